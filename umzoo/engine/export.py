"""A run becomes a weights folder."""

from __future__ import annotations

import platform
import re
import subprocess
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import umzoo
from umzoo.backbones.base import Backbone
from umzoo.backbones.state import canonical_state
from umzoo.data.store.reader import Store
from umzoo.data.store.targets import Target
from umzoo.engine.build import build_from_recipe
from umzoo.engine.checkpoint import fitting, load_checkpoint
from umzoo.engine.energy import JOULES_PER_KWH
from umzoo.engine.initial_weights import trained_input
from umzoo.engine.log import read_metrics
from umzoo.engine.run import Run, best_state, newest_state, open_data
from umzoo.engine.run_plugins import plugins_of
from umzoo.errors import ConfigError
from umzoo.plugins import zoo
from umzoo.pretext.base import PretextTask
from umzoo.pretext.model import PretextModel
from umzoo.weights.folder.info import Provenance, WeightsInfo
from umzoo.weights.folder.io import LOCAL_PATH, save_folder
from umzoo.weights.folder.licenses import require_license

OF_THE_MACHINE = frozenset({"step", "lr", "wait", "patches_per_second"})
"""What a line of metrics says that is not a result of the training."""


def export_run(
    run: Run,
    folder: Path,
    license: str = "unknown",
    name: str | None = None,
    license_link: str = "",
    best: bool = False,
) -> WeightsInfo:
    """Write the newest checkpoint of *run*, or the best one, as a weights folder.

    It holds the network that a task exports (:meth:`umzoo.PretextTask.exported`), or else the moving average where
    the run kept one.

    Args:
        run: the run.
        folder: the weights folder to write.
        license: SPDX identifier of the weights; "unknown" takes that of the weights the run began with, if any.
        name: ``architecture.tag``; by default the backbone's name and the recipe's.
        license_link: text of a license that is called ``other``.
        best: take the checkpoint that did best by the recipe's ``trainer.probe_task``.

    Raises:
        ConfigError: if the run has no such checkpoint, or two tasks would export networks of their own.
        CheckpointError: if the checkpoint is damaged.
        WeightsError: if *folder* holds something else, *license* is none, or the weights that the run began with do
            not allow it.
    """
    require_license(license, license_link)
    path = best_state(run) if best else newest_state(run)
    state, store = load_checkpoint(path), open_data(run)
    with fitting(path):
        targets = {name: Target.of(it) for name, it in state.get("targets", {}).items()}
        model = build_from_recipe(zoo(), run.recipe, tuple(state["modalities"]), targets=targets)
        model.load_state_dict(state["model"])
        if state["ema"] is not None:
            model.backbone.load_state_dict(state["ema"])
        info = _describe(run, store, state, model, (license, license_link), name)
    tensors = canonical_state(exported_network(model))
    weights = {key: value for key, value in tensors.items() if key.split(".")[0] in info.parts}
    save_folder(folder, weights, info, _trained_heads(model))
    return info


def exported_network(model: PretextModel) -> Backbone:
    """Return the network whose weights are written: the backbone, or what a task exports.

    Raises:
        ConfigError: if two tasks would export networks of their own.
    """
    teachers = {label: model.task_exported(label) for label in model.tasks}
    own = {name: network for name, network in teachers.items() if network is not model.backbone}
    if len(own) > 1:
        raise ConfigError(f"pretext tasks {' and '.join(own)} would each export a network of its own: train with one")
    return next(iter(own.values()), model.backbone)


def _trained_heads(model: PretextModel) -> dict[str, Tensor]:
    """State of the tasks without the modules of theirs that are not trained, such as a teacher."""
    frozen = tuple(
        f"{name}."
        for name, module in model.tasks.named_modules()
        if any(True for _ in module.parameters()) and not any(value.requires_grad for value in module.parameters())
    )
    return {name: value for name, value in model.tasks.state_dict().items() if not name.startswith(frozen)}


def _describe(
    run: Run, store: Store, state: dict[str, Any], model: PretextModel, license: tuple[str, str], name: str | None
) -> WeightsInfo:
    recipe, backbone = run.recipe, model.backbone
    tasks: list[PretextTask] = list(model.tasks.values())  # type: ignore[arg-type]
    dense, start = any(task.dense for task in tasks), run.start
    given, link = license
    if start and given == "unknown":
        given, link = start.license, start.license_link
    works = [work for task in tasks for work in task.citations]
    return WeightsInfo(
        name=name or f"{recipe.backbone.name}.{recipe.name}",
        backbone=backbone.spec,
        parts=("encoder", "decoder") if dense else ("encoder",),
        input=trained_input(store, recipe, backbone),
        pretext={
            **_without_paths(recipe.pretext.model_dump(mode="json", by_alias=True, exclude_none=True)),
            "scales": recipe.data.scales,
            "modalities": tuple(state["modalities"]),
        },
        provenance=_provenance(run, store, state),
        base_model=start.base if start else backbone.weights_origin,
        license=given,
        license_link=link,
        citations=tuple(dict.fromkeys((*works, *(start.citations if start else ())))),
    )


def _without_paths(value: Any) -> Any:
    """Return the options *value*; of a path on this machine, such as that of a teacher, only the last part stays."""
    if isinstance(value, dict):
        return {name: _without_paths(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_paths(item) for item in value]
    return re.split(r"[\\/]", value.rstrip("\\/"))[-1] if isinstance(value, str) and LOCAL_PATH.match(value) else value


def _provenance(run: Run, store: Store, state: dict[str, Any]) -> Provenance:
    last: dict[str, float] = {}
    for line in read_metrics(run.folder / "metrics.jsonl"):
        if line["step"] <= state["step"]:
            last |= {key: value for key, value in line.items() if key not in OF_THE_MACHINE and value is not None}
    return Provenance(
        datasets=_count(store.records.values("source")),
        modalities=_count(name or "unknown" for name in store.records.values("modality")),
        volumes=len(store.records),
        steps=state["step"],
        samples=state["samples"],
        hours=round(state["seconds"] * state["processes"] / 3600, 4),
        kwh=round((state.get("joules") or 0.0) / JOULES_PER_KWH, 4),
        device=torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU",
        versions={
            "umzoo": umzoo.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
            **plugins_of(run.recipe),
        },
        seed=run.recipe.seed,
        commit=_commit(),
        metrics=last,
    )


def _count(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _commit() -> str | None:
    """Git commit of a source checkout of umzoo, or None."""
    root = Path(umzoo.__file__).parents[1]
    if not (root / ".git").exists():
        return None
    answer = subprocess.run(["git", "-C", root, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return answer.stdout.strip() or None
