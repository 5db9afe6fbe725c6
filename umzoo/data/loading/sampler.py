"""Samples crops: a pure function of (seed, step, slot, attempt), without any state."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umzoo.data.loading.config import DataConfig
from umzoo.data.store.record import Triple, VolumeRecord
from umzoo.data.store.record_columns import Records
from umzoo.errors import DataError

_STREAM = 0x5A3B1E
"""Makes these draws independent of others with the same seed and step."""

WIDTH = (1.5, 2.5)
"""Range of the half-width of the filter of equally sharp crops. From 1.5 on, a crop at its own resolution and one that
is averaged down to it have nearly the same spectrum; below, the first is visibly sharper."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Crop:
    """A box to cut from a volume and to resize to the patch.

    Attributes:
        volume: row in the store's records.
        start: first voxel (D, H, W); negative if the crop begins before the volume.
        size: voxels (D, H, W) of the box; parts outside the volume are padded with the low end of its window.
        scale: index into ``config.scales``.
        grid: voxels (D, H, W) that the crop is resized to first; from there it is interpolated to the patch.
        width: half-width of the filter of the first step, in voxels of the grid; 0 is the sharpest without aliasing.
        asked: whether the crop is used for scale prediction.
    """

    volume: int
    start: Triple
    size: Triple
    scale: int
    grid: Triple
    width: float
    asked: bool

    @property
    def halved(self) -> bool:
        """Whether the crop needs voxels at least twice as coarse, so that half the resolution is enough."""
        each = zip(self.start, self.size, self.grid, strict=True)
        return all(start % 2 == 0 and size % 2 == 0 and size >= 2 * cells for start, size, cells in each)

    @property
    def label(self) -> int:
        """The scale's index, or -1 if the crop is not used for scale prediction."""
        return self.scale if self.asked else -1


class Sampler:
    """Draws crops, balanced over modalities, then over the sources of a modality.

    A modality of ``n`` volumes is drawn with probability proportional to ``n ** temperature``, then a source of
    it with ``n`` volumes again proportional to ``n ** temperature``, then one of its volumes uniformly. So 1 is by
    number of volumes and 0 is uniform. Volumes of unknown modality count as one modality.

    The scale of a crop could be inferred from its sharpness, because enlarged crops are blurred; a network would then
    learn nothing about anatomy. So a fraction ``config.matched`` of the crops is made equally sharp: at every scale,
    they are first brought to the grid of the smallest crop, by a triangle filter of half-width U(1.5, 2.5) in voxels of
    that grid, and then interpolated to the patch, so that all have the same detail and the same traces of
    interpolation. Only those are used for scale prediction (unless ``config.ask`` is ``all``); the others are as sharp
    as possible. A volume too small for the largest crop is never used for it, because padding would reveal the scale.

    Args:
        records: the volumes.
        modalities: known modalities, as in the field ``modality``.
        sources: data sets, as in the field ``source``.
        config: options of sampling.
        seed: seed of the run.

    Raises:
        DataError: if there are no volumes.
    """

    def __init__(
        self,
        records: Sequence[VolumeRecord],
        modalities: Sequence[str],
        sources: Sequence[str],
        config: DataConfig,
        seed: int,
    ) -> None:
        if not len(records):
            raise DataError("the store has no volumes: add some with 'umzoo prepare', and see its report")
        self.config = config
        self.seed = seed
        self.records = Records.of(records)
        self.modality = _positions(self.records, "modality", modalities)
        self.source = _positions(self.records, "source", sources)
        self._cumulative = np.cumsum(volume_shares(self.modality, self.source, config.temperature))
        self._shapes = self.records.column("shape")
        self._edges = [_edge(config.patch_size, scale) for scale in config.scales]
        self._coarse = triple(np.minimum(np.min(self._edges, axis=0), config.patch_size))
        self._holds_all = (self._shapes >= np.max(self._edges, axis=0)).all(axis=1)
        asks = config.matched > 0 or config.ask == "all"
        if asks and len(config.scales) > 1 and not self._holds_all.any():
            logger.warning(
                "no volume is large enough for a crop of %s voxels: scales are not predicted", max(self._edges)
            )

    def crop(self, step: int, slot: int, attempt: int = 0) -> Crop:
        """Return the crop for item *slot* of the batch of *step*; slots are numbered across all processes.

        *attempt* counts the draws for that item that could not be read.
        """
        draw, volume, matched = self._draw(step, slot, attempt)
        scale = int(draw[1] * len(self._edges))
        size, grid = self._edges[scale], self._coarse if matched else self.config.patch_size
        return Crop(
            volume=volume,
            start=self._start(volume, size, grid, draw[4:]),
            size=size,
            scale=scale,
            grid=grid,
            width=WIDTH[0] + (WIDTH[1] - WIDTH[0]) * float(draw[3]) if matched else 0.0,
            asked=self._is_asked(volume, matched),
        )

    def labeled(self, step: int, slots: int) -> dict[str, int]:
        """Return how many of the first *slots* items of *step* have a ``scale`` label, and a known ``modality``.

        Only first draws count, whether or not they can be read, so the result is the same in all processes.
        """
        drawn = [self._draw(step, slot)[1:] for slot in range(slots)]
        known = sum(int(self.modality[volume] >= 0) for volume, _ in drawn)
        return {"scale": sum(self._is_asked(*of_slot) for of_slot in drawn), "modality": known}

    def _draw(self, step: int, slot: int, attempt: int = 0) -> tuple[NDArray[np.float64], int, bool]:
        """Nine numbers from U[0, 1), the volume (by the first), and whether its crop is matched (by the third)."""
        keys = (_STREAM, self.seed, step, slot, attempt)
        draw = np.random.Generator(np.random.Philox(np.random.SeedSequence(keys))).random(9)
        volume = min(int(np.searchsorted(self._cumulative, draw[0], side="right")), len(self._shapes) - 1)
        return draw, volume, bool(draw[2] < self.config.matched)

    def _is_asked(self, volume: int, matched: bool) -> bool:
        """Whether a crop of *volume* is used for scale prediction."""
        return (matched or self.config.ask == "all") and bool(self._holds_all[volume])

    def _start(self, volume: int, edge: Triple, grid: Triple, draw: NDArray[np.float64]) -> Triple:
        """The crop's first voxel: around a foreground voxel, or uniform; never past the volume's far end.

        It is even if the crop needs voxels twice as coarse, whether or not a copy at half the resolution exists.
        """
        points = self.records.points(volume)
        room = np.subtract(self._shapes[volume], edge)
        low, high = np.minimum(room, 0), np.maximum(room, 0)
        if draw[0] < self.config.foreground and len(points):
            start = np.clip(points[int(draw[1] * len(points))] - np.floor_divide(edge, 2), low, high)
        else:
            start = low + (draw[2:5] * (high - low + 1)).astype(int)
        if (np.asarray(edge) >= 2 * np.asarray(grid)).all():
            start = np.fix(start / 2) * 2
        return triple(start)


def volume_shares(modality: NDArray[np.int64], source: NDArray[np.int64], temperature: float) -> NDArray[np.float64]:
    """Return the probability ``(N,)`` of each volume; see :class:`Sampler` for the formula."""
    groups, group, per_group = np.unique(modality, return_inverse=True, return_counts=True)
    pairs, pair, per_pair = np.unique((group.reshape(-1), source), axis=1, return_inverse=True, return_counts=True)
    pair = pair.reshape(-1)
    weights, within = per_group.astype(float) ** temperature, np.zeros(len(groups))
    np.add.at(within, pairs[0], per_pair.astype(float) ** temperature)
    of_pair = weights[pairs[0]] / weights.sum() * per_pair.astype(float) ** (temperature - 1) / within[pairs[0]]
    shares: NDArray[np.float64] = of_pair[pair]
    return shares


def _positions(records: Records, name: str, known: Sequence[str]) -> NDArray[np.int64]:
    """The index in *known* of the text of each record, -1 if it is not in *known*."""
    texts, places = records.texts(name)
    of_text = np.array([known.index(text) if text in known else -1 for text in texts], np.int64)
    positions: NDArray[np.int64] = of_text[places]
    return positions


def _edge(patch: Triple, scale: float) -> Triple:
    return triple(max(round(edge * scale), 1) for edge in patch)


def triple(values: Iterable[Any]) -> Triple:
    """Return three numbers as a tuple of int."""
    depth, height, width = (int(value) for value in values)
    return depth, height, width
