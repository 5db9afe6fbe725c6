"""Features of several weights and their controls for the cases of a task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umzoo.backbones.base import Backbone
from umzoo.downstream.embed.config import EmbedConfig
from umzoo.downstream.evaluate.case_vectors import SIMPLE, embed_cases
from umzoo.downstream.evaluate.feature_table import FeatureTable, targets_of
from umzoo.downstream.finetune.network import fresh_backbone
from umzoo.downstream.tasks import Case, Task
from umzoo.errors import ConfigError, DataError
from umzoo.scans.listing import Progress, no_progress
from umzoo.scans.windows import Size


def feature_table(
    task: Task,
    references: Mapping[str, Backbone],
    cache: Path,
    config: EmbedConfig,
    crop: Size | None = None,
    seed: int = 0,
    progress: Progress = no_progress,
    draws: int = 1,
) -> tuple[FeatureTable, tuple[str, ...]]:
    """Embed the cases of *task* with every reference, its random twins, and the simple features.

    Cases of the split "test" are not used. A case that is unusable for one reference is left out for all.

    Args:
        task: task to embed, not a segmentation.
        references: networks of :func:`umzoo.from_pretrained` by name.
        cache: folder of the cache.
        config: options of embedding.
        crop: maximum size (D, H, W) in voxels of a crop at the center of the mask, or of the scan (see
            :func:`~umzoo.downstream.evaluate.common_crop.common_cut`); None takes the whole scan.
        seed: seed of the random weights.
        progress: called with the numbers of cases done, cases in total, and cases left out.
        draws: number of random initializations; 0: no such control.

    Returns:
        The table and the ids of its cases.

    Raises:
        ConfigError: if the task is a segmentation.
        DataError: if no case can be used.
    """
    if task.kind == "segmentation":
        raise ConfigError("expected a task with one target per scan, got a segmentation: use evaluate_masks")
    cases = [case for case in task.cases if case.split != "test"]
    random = control_names(references) if draws else {}
    features = embed_cases(cases, with_controls(references, seed, draws), cache, config, crop, progress)
    kept = [case for case in cases if all(case.id in rows for rows in features.values())]
    if not kept:
        raise DataError(f"none of {len(cases)} cases could be used: see the reasons above")
    return _table(task, kept, features, random), tuple(case.id for case in kept)


def control_names(references: Mapping[str, Backbone]) -> dict[str, str]:
    """Return the name of each reference's control, the same network with random weights."""
    return {
        name: f"random {network.name}" if len(references) == 1 else f"random weights like {name}"
        for name, network in references.items()
    }


def with_controls(references: Mapping[str, Backbone], seed: int, draws: int = 1) -> list[dict[str, Backbone]]:
    """Return each of the *references* together with *draws* random twins, by name and number."""
    random = control_names(references)
    return [
        {name: network, **{f"{random[name]}#{draw}": random_twin(network, seed + draw) for draw in range(draws)}}
        for name, network in references.items()
    ]


def stacked(
    features: Mapping[str, Mapping[str, NDArray[Any]]], cases: Sequence[Case], random: Mapping[str, str]
) -> dict[str, NDArray[Any]]:
    """Return the features ``(n, d)`` of *cases* by reference, and those of its random twins ``(r, n, d)``."""
    arrays = {name: np.stack([rows[case.id] for case in cases]) for name, rows in features.items()}
    found = {name: array for name, array in arrays.items() if "#" not in name or name in random}
    for control in random.values():
        found[control] = np.stack([array for name, array in arrays.items() if name.rpartition("#")[0] == control])
    return found


def random_twin(network: Backbone, seed: int) -> Backbone:
    """Return a network of the same architecture and input with random weights."""
    twin = fresh_backbone(network.spec, seed)
    twin.weights_info = network.weights_info
    return twin.to(next(network.parameters()).device).eval()


def _table(
    task: Task, cases: Sequence[Case], features: Mapping[str, Mapping[str, Any]], random: Mapping[str, str]
) -> FeatureTable:
    folds = [case.fold for case in cases]
    return FeatureTable(
        stacked(features, cases, random),
        targets_of(task, cases),
        np.array([case.subject for case in cases]),
        task.kind,  # type: ignore[arg-type]
        dict(random),
        SIMPLE,
        task.classes,
        np.array(folds) if all(folds) else None,
    )


def at_spacing(network: Backbone, spacing: str) -> Backbone:
    """Set the input spacing of *network* to *spacing*: mm "D,H,W", "native", or "" for that of its weights; return it.

    Raises:
        ConfigError: if *spacing* has another format.
    """
    if not spacing:
        return network
    try:
        values = None if spacing == "native" else tuple(float(part) for part in spacing.split(","))
    except ValueError:
        values = ()
    if values is not None and (len(values) != 3 or min(values) <= 0):
        raise ConfigError(f"--spacing expects three numbers of mm D,H,W, or native, got '{spacing}'")
    if (info := network.weights_info) is not None:
        input = info.input.model_copy(update={"spacing": values})
        network.weights_info = info.model_copy(update={"input": input})
    return network


def named(references: Sequence[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yield networks with the names of their weights, numbered if names repeat."""
    counts: dict[str, int] = {}
    for name, network in references:
        counts[name] = counts.get(name, 0) + 1
        yield (name if counts[name] == 1 else f"{name} ({counts[name]})"), network
