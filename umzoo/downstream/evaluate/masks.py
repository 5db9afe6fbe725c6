"""Segmentation from frozen features: a linear decoder of voxels, scored by Dice on held-out subjects."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from umzoo.backbones.base import Backbone
from umzoo.downstream.embed.config import EmbedConfig
from umzoo.downstream.embed.vector_cache import file_name, save_arrays, signature
from umzoo.downstream.embed.vectors import patch_size
from umzoo.downstream.evaluate.config import EvaluateConfig
from umzoo.downstream.evaluate.decoder import Decoder, Moments, Voxels, choose_decoder
from umzoo.downstream.evaluate.feature_table import Compared, targets_of
from umzoo.downstream.evaluate.references import control_names, random_twin
from umzoo.downstream.evaluate.run import Evaluation, Key, conclude, splits
from umzoo.downstream.evaluate.voxels import Source, network_maps, plain_maps
from umzoo.downstream.finetune.cases import CachedCase, cache_cases
from umzoo.downstream.finetune.scores import dice_row
from umzoo.downstream.tasks import Task
from umzoo.scans.listing import Progress, no_progress
from umzoo.scans.load import input_of

PLACE = "intensity and place"
"""Name of the control without anatomical features."""
VOXELS = 1000
"""Training voxels per scan: half of them background, the rest split evenly among the classes."""
DECODER = "decoder"

Made = tuple[int, str, NDArray[Any], Decoder]
"""Index of the seed, label budget, held-out scans, and their decoder."""


@dataclass(frozen=True)
class Reference:
    """A reference: its source of voxel features, preprocessed scans, and cache key."""

    source: Source
    cases: Sequence[CachedCase]
    key: str


def evaluate_masks(
    task: Task,
    references: Mapping[str, Backbone],
    cache: Path,
    config: EvaluateConfig | None = None,
    seed: int = 0,
    progress: Progress = no_progress,
) -> tuple[Evaluation, tuple[str, ...]]:
    """Compare *references* on the segmentation *task*; return the evaluation and the ids of the cases.

    Dice is computed on the preprocessed image. Controls are the same networks with random weights, and intensity and
    position of each voxel. Features are computed twice, for training and for prediction, because they are too large to
    store.

    Args:
        task: the task; cases of the split "test" are not used.
        references: networks of :func:`umzoo.from_pretrained` by name.
        cache: folder that caches scans and voxels.
        config: options.
        seed: seed of the random weights.
        progress: called with the numbers of passes over a case done and in total, and 0.

    Raises:
        DataError: if there are too few usable cases.
    """
    config = config or EvaluateConfig()
    random = control_names(references) if config.draws else {}
    made = _references(task, references, cache, seed, config.draws)
    known = [{case.case.id for case in it[0].cases} for it in made.values()]
    ids = tuple(case.id for case in task.cases if case.split != "test" and all(case.id in them for them in known))
    cases = {case.id: case for case in task.cases}
    folds = [cases[id].fold for id in ids]
    table = Compared(
        tuple(made),
        targets_of(task, [cases[id] for id in ids]),
        np.array([cases[id].subject for id in ids]),
        "segmentation",
        random,
        PLACE,
        ("dice", *task.classes[1:]),
        np.array(folds) if all(folds) else None,
    )
    predictions: dict[Key, NDArray[Any]] = {}
    passes, done = 2 * len(ids) * sum(map(len, made.values())), count(1)
    for name, drawn in made.items():
        parts = [
            _judged(name, one, task, table, config, ids, cache, lambda: progress(next(done), passes, 0))
            for one in drawn
        ]
        predictions |= {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    return conclude(table, config, predictions), ids


def _references(
    task: Task, networks: Mapping[str, Backbone], cache: Path, seed: int, draws: int
) -> dict[str, list[Reference]]:
    """Return references, their random twins, and the simple control on the input of the first reference."""
    made: dict[str, list[Reference]] = {}
    random, plain = control_names(networks), list[Reference]()
    for name, network in networks.items():
        spec = input_of(network)
        cases = list(cache_cases(cache / "scans", task, spec).values())
        made[name] = [_of_network(network, cases)]
        if draws:
            made[random[name]] = [_of_network(random_twin(network, seed + draw), cases) for draw in range(draws)]
        key = signature(torch.nn.Identity(), EmbedConfig(), made[name][0].key)
        plain = plain or [Reference(plain_maps(made[name][0].source.patch), cases, key)]
    return {**made, PLACE: plain}


def _of_network(network: Backbone, cases: Sequence[CachedCase]) -> Reference:
    key = signature(network, EmbedConfig(), input_of(network).model_dump_json(), str(VOXELS))
    return Reference(network_maps(network, lambda size: patch_size(network, size, None)), cases, key)


def _judged(
    name: str,
    reference: Reference,
    task: Task,
    table: Compared,
    config: EvaluateConfig,
    ids: Sequence[str],
    cache: Path,
    tell: Callable[[], None],
) -> dict[Key, NDArray[Any]]:
    """Return Dice ``(S, n, K)``: first the mean over the classes, then each class except the background."""
    cases = {case.case.id: case for case in reference.cases}
    drawn = []
    for id in ids:
        drawn.append(_voxels(reference, cases[id], len(task.classes), cache))
        tell()
    decoders = _decoders(drawn, len(task.classes), table, config)
    found = {(name, DECODER, b): np.full((config.seeds, len(ids), len(task.classes)), np.nan) for b in config.labels}
    for done, id in enumerate(ids):
        mine = [one for one in decoders if done in one[2]]
        for (number, budget, _, _), row in zip(mine, _dice(reference, cases[id], task, mine), strict=True):
            found[name, DECODER, budget][number, done] = row
        tell()
    return found


def _voxels(reference: Reference, case: CachedCase, classes: int, cache: Path) -> Voxels:
    """Return sampled voxels of *case* with their features; sampling is the same for all references."""
    file = cache / reference.key / file_name(repr((case.case.id, case.case.images)))
    if not file.is_file():
        points, labels, shares = _drawn(case, classes)
        rows = reference.source.at(torch.from_numpy(case.image.astype(np.float32)), points)
        file.parent.mkdir(parents=True, exist_ok=True)
        save_arrays(file, {"rows": rows.numpy().astype(np.float32), "labels": labels, "shares": shares})
    with np.load(file) as kept:
        return Voxels(kept["rows"], kept["labels"], kept["shares"])


def _drawn(case: CachedCase, classes: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return sampled voxels ``(m, 3)``, their classes, and their sampling weights."""
    rng = np.random.default_rng(zlib.crc32(case.case.id.encode()))
    label, parts = _label(case), []
    present = [number for number in range(classes) if (label == number).any()]
    for number in present:
        places = np.argwhere(label == number)
        wanted = VOXELS // 2 if number == 0 else VOXELS // (2 * max(1, len(present) - 1))
        chosen = places[rng.permutation(len(places))[:wanted]]
        parts.append((chosen, np.full(len(chosen), number), np.full(len(chosen), len(places) / len(chosen))))
    points, labels, shares = (np.concatenate(column) for column in zip(*parts, strict=True))
    return points, labels, shares


def _label(case: CachedCase) -> NDArray[Any]:
    return np.zeros(case.image.shape[1:], np.uint8) if case.label is None else np.asarray(case.label)


def _decoders(drawn: Sequence[Voxels], classes: int, table: Compared, config: EvaluateConfig) -> list[Made]:
    """Return a decoder for each seed, budget and outer fold; its settings are chosen on the other outer folds."""
    made: list[Made] = []
    everything = list(splits(table, config))

    @lru_cache(maxsize=2 * config.folds)  # at the full budget, all outer folds use the same inner parts
    def moments(members: tuple[int, ...]) -> Moments:
        return Moments.of([drawn[place] for place in members], classes)

    for number, budget, train, held, _ in everything:
        folds = [other[3] for other in everything if other[:2] == (number, budget) and other[3] is not held]
        inner = {part: np.intersect1d(train, members).tolist() for part, members in enumerate(folds)}
        inner = {part: members for part, members in inner.items() if members}
        parts = {part: moments(tuple(members)) for part, members in inner.items()}
        voxels = {part: [drawn[place] for place in members] for part, members in inner.items()}
        made.append((number, budget, held, choose_decoder(parts, voxels)))
    return made


def _dice(reference: Reference, case: CachedCase, task: Task, made: Sequence[Made]) -> list[list[float]]:
    """Return a row of Dice for each decoder, from one pass over the scan."""
    weight = torch.from_numpy(np.concatenate([one[3].weight for one in made])).float()
    bias = torch.from_numpy(np.concatenate([one[3].bias for one in made])).float()
    image = torch.from_numpy(case.image.astype(np.float32))
    answers = reference.source.linear(image, weight, bias).split(len(task.classes))
    return [list(dice_row(task, answer.argmax(0), _label(case)).values()) for answer in answers]
