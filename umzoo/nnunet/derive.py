"""Plans derived for one training: nnU-Net's own, under another name, with umzoo's entry."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from umzoo.errors import ConfigError
from umzoo.files import written_whole
from umzoo.nnunet.entry import KEY, Options, PlansEntry, WeightsEntry, read_entry, summarize
from umzoo.nnunet.environment import folder_of, preprocessed_folder
from umzoo.nnunet.planned import Planned, read_json, read_planned
from umzoo.nnunet.preflight import locate, preflight, require_data
from umzoo.weights.transfer import TransferReport

TRAINER = "nnUNetTrainerUmzoo"


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
        batch_size: in place of the plan's.
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

    @property
    def plans_name(self) -> str:
        """Name of the derived plans; nnU-Net splits names of folders at double underscores."""
        return self.name or re.sub("_+", "_", "_".join((self.base, KEY, self._word, self.recipe)))

    @property
    def _word(self) -> str:
        """The weights, as a word of a file name; it must not depend on whether they are still there."""
        return "scratch" if self.reference is None else re.sub(r"[^A-Za-z0-9.]+", "_", Path(self.reference).name)

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
    planned = read_planned(request.folder, request.base, request.configuration)
    if KEY in planned.plans:
        raise ConfigError(f"'{request.base}' is derived already: give '-p {read_entry(planned.plans).base}'")
    require_data(planned, request.folder)
    weights, report = None, None
    if request.reference is not None:
        folder, weights = locate(request.reference, request.revision)
        report = preflight(planned, folder, request.options.rules, request.folder)
    entry = PlansEntry(
        **dict(request.options), base=request.base, weights=weights, summary=summarize(report) if report else None
    )
    if write:
        _write(_derived(planned, request, entry), request.file)
    return report


def check_continued(request: Request) -> None:
    """Check that the derived plans are those of *request*; the weights are not looked at, and may be gone.

    Raises:
        ConfigError: if there are no such plans, or they say otherwise.
    """
    if not request.file.is_file():
        raise ConfigError(f"there is nothing to go on with: no plans {request.file}")
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
    if not _same_weights(entry.weights, request.reference):
        raise ConfigError(f"'{request.plans_name}' was made for other weights than {request.reference}: {_ANEW}")


_ANEW = "ask for the same, or start anew under another --name"


def _same_weights(known: WeightsEntry | None, reference: str | None) -> bool:
    if known is None or reference is None:
        return known is None and reference is None
    return reference == known.asked or str(Path(reference).resolve()) == known.reference


def _derived(planned: Planned, request: Request, entry: PlansEntry) -> dict[str, Any]:
    """The plans with another name, umzoo's entry, and perhaps another batch size."""
    plans: dict[str, Any] = json.loads(json.dumps(planned.plans))
    if request.batch_size is not None:
        plans["configurations"][request.configuration]["batch_size"] = request.batch_size
    return plans | {"plans_name": request.plans_name, KEY: entry.model_dump(mode="json")}


def _write(plans: Mapping[str, Any], file: Path) -> None:
    """Write *plans* to *file*, which may be replaced as long as nothing was trained with it."""
    if file.is_file() and _without_summary(read_json(file)) != _without_summary(plans):
        results = folder_of("nnUNet_results") / str(plans["dataset_name"])
        trained = sorted(results.glob(f"{TRAINER}__{file.stem}__*/fold_*/checkpoint_*.pth"))
        if trained:
            raise ConfigError(
                f"'{file.stem}' says otherwise, and {trained[0].parent} was trained with it: go on with --c and the"
                " same options, or give another --name"
            )
    with written_whole(file) as temporary:
        temporary.write_text(json.dumps(plans, indent=4) + "\n", encoding="utf-8")


def _without_summary(plans: Mapping[str, Any]) -> dict[str, Any]:
    entry = {key: value for key, value in (plans.get(KEY) or {}).items() if key != "summary"}
    return {**plans, KEY: entry}


def _brief(value: Any) -> str:
    """A value, or only those options that differ from their defaults."""
    changed = getattr(value, "model_dump", None)
    return str(changed(exclude_defaults=True) or "as by default") if changed else repr(value)
