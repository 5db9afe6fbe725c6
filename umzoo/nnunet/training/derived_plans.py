"""Plans derived for one training: nnU-Net's own, under another name, with umzoo's entry."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from umzoo.errors import ConfigError
from umzoo.files import replace_text
from umzoo.nnunet.environment import folder_of, preprocessed_folder
from umzoo.nnunet.planning.configuration import Planned, read_json, read_planned
from umzoo.nnunet.planning.plan_names import check_name, word_of
from umzoo.nnunet.training.plans_entry import KEY, Options, PlansEntry, WeightsEntry, read_entry, summarize
from umzoo.nnunet.training.preflight import locate, preflight, require_data
from umzoo.nnunet.training.weights_location import read_where, write_where
from umzoo.weights.transfer import TransferReport


@dataclass(frozen=True)
class Request:
    """A training as the user asks for it.

    Attributes:
        dataset: number or name of nnU-Net's data set.
        configuration: such as ``3d_fullres``.
        base: name of the plans to start from.
        reference: weights; None for the matched training from scratch.
        options: how the weights are fitted and trained from.
        recipe: name of the fine-tuning recipe, a word of the plans' name.
        revision: commit of a Hub repository.
        batch_size: instead of the plan's.
        name: name of the derived plans; None for one made of the others.
    """

    dataset: str
    configuration: str
    base: str
    reference: str | None
    options: Options
    recipe: str
    revision: str | None = None
    batch_size: int | None = None
    name: str | None = None

    @cached_property
    def plans_name(self) -> str:
        """Name of the derived plans: of the base, the weights and the recipe, if none was given.

        Raises:
            ConfigError: if nnU-Net could not use it.
            WeightsError: if the weights cannot be had.
        """
        name = self.name
        if name is None:
            word = "scratch" if self.located is None else word_of(str(self.reference), self.located[1].sha256)
            name = re.sub("_+", "_", "_".join((self.base, KEY, word, self.recipe)))
        check_name(name)
        return name

    @cached_property
    def located(self) -> tuple[Path, WeightsEntry] | None:
        """Folder of the weights, and the entry that names them; None without weights.

        Raises:
            WeightsError: if they cannot be had.
        """
        return None if self.reference is None else locate(self.reference, self.revision)

    @cached_property
    def folder(self) -> Path:
        """nnU-Net's folder of the data set.

        Raises:
            ConfigError: if ``nnUNet_preprocessed`` is not set.
            DataError: if the data set is unknown or not planned yet.
        """
        return preprocessed_folder(self.dataset)

    @property
    def file(self) -> Path:
        """The derived plans."""
        return self.folder / f"{self.plans_name}.json"


def derive_plans(request: Request, write: bool = True) -> TransferReport | None:
    """Write the plans of *request* once the weights are known to fit; return what becomes of the planned network.

    Args:
        request: the training.
        write: False to look only.

    Raises:
        ConfigError: if plans of that name belong to another training.
        DataError: if the data is not planned or preprocessed.
        WeightsError: if the weights cannot be had, or do not fit.
    """
    if request.name is not None:
        check_name(request.name)
    planned = read_planned(request.folder, request.base, request.configuration)
    if KEY in planned.plans:
        raise ConfigError(f"'{request.base}' is derived already: give '-p {read_entry(planned.plans).base}'")
    require_data(planned, request.folder)
    weights, report = None, None
    if request.located is not None:
        folder, weights = request.located
        report = preflight(planned, folder, request.options.rules, request.folder)
    entry = PlansEntry(
        **dict(request.options), base=request.base, weights=weights, summary=summarize(report) if report else None
    )
    plans = _derived(planned, request, entry)
    _require_replaceable(plans, request.file)
    if write:
        _write(plans, request)
    return report


def continued(request: Request) -> Request | None:
    """Return *request* with the name of the plans it was derived as; None if there are none.

    The weights may be gone: where they were is noted beside the plans.

    Raises:
        ConfigError: if several plans could be meant.
    """
    if request.name is not None:
        return request if request.file.is_file() else None
    if request.reference is None:
        return request if request.file.is_file() else None
    reference = request.reference
    files = [
        file
        for file in sorted(request.folder.glob(f"{request.base}_{KEY}_*_{request.recipe}.json"))
        if (where := read_where(file)) is not None and where.names(reference)
    ]
    if len(files) > 1:
        names = ", ".join(file.stem for file in files)
        raise ConfigError(f"there are several plans for {reference}, which has changed: give one as --name, of {names}")
    return replace(request, name=files[0].stem) if files else None


def check_continued(request: Request) -> None:
    """Check that the derived plans are those of *request*, which :func:`continued` found; the weights may be gone.

    Raises:
        ConfigError: if they say otherwise.
    """
    plans = read_json(request.file)
    require_data(Planned(plans, request.configuration, read_json(request.folder / "dataset.json")), request.folder)
    entry = read_entry(plans)
    asked = {"base": request.base, **dict(request.options)}
    if request.batch_size is not None:
        asked["batch_size"] = request.batch_size
    known = {**dict(entry), "batch_size": plans["configurations"][request.configuration].get("batch_size")}
    for key, value in asked.items():
        if known[key] != value:
            raise ConfigError(
                f"'{request.plans_name}' was made with {key} {_brief(known[key])}, not {_brief(value)}: {_ANEW}"
            )
    if not _same_weights(entry.weights, request):
        raise ConfigError(f"'{request.plans_name}' was made for other weights than {request.reference}: {_ANEW}")


_ANEW = "ask for the same, or start anew under another --name"


def _same_weights(known: WeightsEntry | None, request: Request) -> bool:
    if known is None or request.reference is None:
        return known is None and request.reference is None
    where = read_where(request.file)
    if where is not None:
        return where.names(request.reference)
    return known.reference in (request.reference.partition("@")[0], str(Path(request.reference).resolve()))


def _derived(planned: Planned, request: Request, entry: PlansEntry) -> dict[str, Any]:
    """The plans with another name, umzoo's entry, and perhaps another batch size."""
    plans: dict[str, Any] = json.loads(json.dumps(planned.plans))
    if request.batch_size is not None:
        plans["configurations"][request.configuration]["batch_size"] = request.batch_size
    return plans | {"plans_name": request.plans_name, KEY: entry.model_dump(mode="json")}


def _require_replaceable(plans: Mapping[str, Any], file: Path) -> None:
    """Plans that are others than *plans* may be replaced as long as no training began with them.

    Raises:
        ConfigError: if one did, or *file* is none of umzoo's.
    """
    if not file.is_file() or _without_summary(known := read_json(file)) == _without_summary(plans):
        return
    if KEY not in known:
        raise ConfigError(f"'{file.stem}' are plans of nnU-Net's own: give another --name")
    results = folder_of("nnUNet_results") / str(plans["dataset_name"])
    begun = sorted(results.glob(f"*__{file.stem}__*/fold_*"))
    if begun:
        raise ConfigError(
            f"'{file.stem}' says otherwise, and {begun[0]} was trained with it: go on with --c and the"
            " same options, give another --name, or remove the folder"
        )


def _write(plans: Mapping[str, Any], request: Request) -> None:
    """Write *plans*, and where their weights are."""
    if request.located is not None:
        write_where(request.file, str(request.reference), request.located[0])
    replace_text(request.file, json.dumps(plans, indent=4) + "\n")


def _without_summary(plans: Mapping[str, Any]) -> dict[str, Any]:
    entry = read_entry(plans).model_dump(mode="json", exclude={"summary"}) if KEY in plans else {}
    return {**plans, KEY: entry}


def _brief(value: Any) -> str:
    """A value, or only those options that differ from their defaults."""
    changed = getattr(value, "model_dump", None)
    return str(changed(exclude_defaults=True) or "as by default") if changed else repr(value)
