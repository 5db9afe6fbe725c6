"""The files of nnssl: a checkpoint, its adaptation plan, and defaults without a plan."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from umzoo.backbones.state import canonical_name, collapse_aliases
from umzoo.errors import WeightsError
from umzoo.files import read_json
from umzoo.weights.importers.checkpoint import WRAPPERS, some_names, without_prefixes
from umzoo.weights.importers.pickled import read_checkpoint

CHECKPOINTS = ("checkpoint_final.pth", "checkpoint_best.pth", "checkpoint_latest.pth")
PLAN = "adaptation_plan.json"
METHODS = {
    "simmim": "simmim",
    "simclr": "simclr",
    "voco": "voco",
    "volumefusion": "vf",
    "genesis": "mg",
    "swinunetr": "swinunetr",
    "spark": "s3d",
    "mae": "mae",
}
"""Part of a trainer's name, in lower case, to the short name of the method in the releases."""


@dataclass(frozen=True)
class Release:
    """The content of a checkpoint that describes its network; of the training data only the name.

    Attributes:
        file: the checkpoint.
        tensors: each tensor once, under canonical names, without the prefix that contrastive methods add.
        plan: the adaptation plan; empty if there is none.
        trainer: class name of the trainer; empty if unknown.
        epochs: number of training epochs; 0 if unknown.
        citations: publications that its authors ask to cite.
    """

    file: Path
    tensors: Mapping[str, Tensor]
    plan: Mapping[str, Any]
    trainer: str
    epochs: int
    citations: tuple[str, ...]

    @property
    def method(self) -> str:
        """Short name of the method, from that of the trainer; ``nnssl`` if unknown."""
        name = self.trainer.lower()
        return next((short for part, short in METHODS.items() if part in name), "nnssl")

    @property
    def dataset(self) -> str:
        """Name of the data set, without nnU-Net's number; empty if unknown."""
        name = str((self.plan.get("pretrain_plan") or {}).get("dataset_name") or "")
        return re.sub(r"^Dataset\d+_+", "", name)

    @property
    def configuration(self) -> dict[str, Any]:
        """The one configuration of the plan; empty without a plan."""
        known = (self.plan.get("pretrain_plan") or {}).get("configurations") or {}
        return dict(next(iter(known.values()), None) or {}) if isinstance(known, Mapping) else {}


def read_release(source: Path) -> Release:
    """Return the release in *source*: a checkpoint, or a folder with one and optionally its plan.

    Raises:
        WeightsError: if there is no checkpoint, or it cannot be read.
    """
    file = _checkpoint(source)
    content = read_checkpoint(file)
    plan = content.get("nnssl_adaptation_plan") or _plan_beside(file) or {}
    state = _state(content)
    if not isinstance(plan, Mapping) or not state:
        raise WeightsError(
            f"{file} is not an nnssl checkpoint: expected tensors under 'network_weights', 'spark_weights' or"
            f" 'state_dict', got {some_names(content, 6) or 'no entries'}"
        )
    tensors = computing_tensors(state)
    prefix = encoder_prefix(plan, tensors)
    return Release(
        file,
        {name.removeprefix(prefix): tensor for name, tensor in tensors.items()},
        plan,
        str(content.get("trainer_name") or plan.get("trainer_name") or ""),
        int(content.get("current_epoch") or 0),
        tuple(_citations(content.get("citations"))),
    )


def computing_tensors(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of *state* that the network uses, each once by canonical name.

    The blocks of nnU-Net's networks list their layers twice and run those under ``all_modules``. SparK's conversion to
    masked layers (nnssl's ``convert_to_spark_cnn``) replaces both by different ones, so that in its files ``conv`` and
    ``norm`` keep their initial values while ``all_modules`` is trained.

    Raises:
        WeightsError: if two aliases of one tensor have different values.
    """
    bare = {_bare(name): tensor for name, tensor in state.items()}
    run = {name: tensor for name, tensor in bare.items() if ".all_modules." in name}
    known = set(map(canonical_name, run))
    return collapse_aliases(run | {name: it for name, it in bare.items() if canonical_name(name) not in known})


def encoder_prefix(plan: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """Return the prefix before ``encoder.stages`` or ``eva`` in the names of *tensors*.

    Raises:
        WeightsError: if no tensor has the plan's key as prefix, or no name contains either.
    """
    if key := plan.get("key_to_encoder"):
        if not any(name.startswith(f"{key}.") for name in tensors):
            raise WeightsError(f"the adaptation plan expects the encoder under '{key}', but no tensor has this prefix")
        return str(key).removesuffix("encoder.stages").removesuffix("eva")
    found = (re.match(r"(.*?)(encoder\.stages|eva\.blocks)\.", name) for name in tensors)
    prefixes = {match[1] for match in found if match}
    if not prefixes:
        raise WeightsError(
            "the file contains neither the encoder of a U-Net (encoder.stages) nor a Primus (eva.blocks)"
        )
    return min(prefixes, key=len)


def _state(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of the network: under nnssl's key, under that of trainers such as Lightning, or at the top."""
    ours = [content.get(key) for key in ("spark_weights", "network_weights")]
    found = [part for part in ours if isinstance(part, Mapping) and part]
    parts = found or [next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), content)]
    state = {str(name): it for part in parts for name, it in part.items() if isinstance(it, Tensor)}
    return state if found else without_prefixes(state, ("module.", "_orig_mod.", "model.", "network.", "net."))


def _bare(name: str) -> str:
    """*name* without the wrapper of SparK, which lists its network's tensors a second time under ``architecture``."""
    while name.startswith(("module.", "_orig_mod.", "architecture.")):
        name = name.partition(".")[2]
    return name


def _checkpoint(source: Path) -> Path:
    if not source.is_dir():
        return source
    folders = (source, source / "fold_all", *sorted(source.glob("fold_[0-9]*")))
    files = [folder / name for folder in folders for name in CHECKPOINTS if (folder / name).is_file()]
    others = sorted(source.glob("*.pth"))
    if not files and len(others) != 1:
        held = ", ".join(file.name for file in others) or "no .pth file"
        raise WeightsError(f"{source} has none of {', '.join(CHECKPOINTS)} (it has {held}): give the file itself")
    return (files or others)[0]


def _plan_beside(file: Path) -> dict[str, Any] | None:
    for plan in (file.parent / PLAN, file.parent.parent / PLAN):
        if plan.is_file():
            return read_json(plan, error=WeightsError, remedy="download it again")
    return None


def _citations(entries: Any) -> list[str]:
    """The references of ``citations``, a list of mappings."""
    listed = [entry for entry in entries if isinstance(entry, Mapping)] if isinstance(entries, list | tuple) else []
    texts = [entry.get("apa_citations") or entry.get("bibtex_citations") or [] for entry in listed]
    return [text for group in texts for text in ([group] if isinstance(group, str) else group) if isinstance(text, str)]
