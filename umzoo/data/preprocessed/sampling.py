"""Statistics of arrays preprocessed by another program, from a sample of their blocks, and their cache."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umzoo.data.preparing.encoding import fit
from umzoo.data.preparing.statistics import POINTS
from umzoo.data.store.record import Triple, VolumeRecord
from umzoo.errors import DataError
from umzoo.files import replace_text
from umzoo.spec import IntensityRule

RULE = IntensityRule(kind="percentile", percentiles=(0.5, 99.5))
_BLOCKS = 16
_EDGE = 32
_LEVELS = 20_000

logger = logging.getLogger(__name__)

Box = tuple[Triple, NDArray[np.float32]]


def sample_boxes(shape: Triple, seed: int, read: Callable[[Triple, Triple], NDArray[np.float32]]) -> Iterator[Box]:
    """Random boxes of a volume of *shape* (D, H, W) with their first voxels; all of a small one."""
    if np.prod(shape) <= _BLOCKS * _EDGE**3:
        yield (0, 0, 0), read((0, 0, 0), shape)
        return
    rng = np.random.default_rng(seed)
    for _ in range(_BLOCKS):
        start = rng.integers(0, np.maximum(np.subtract(shape, _EDGE), 0) + 1)
        stop = np.minimum(start + _EDGE, shape)
        first: Triple = tuple(start.tolist())
        yield first, read(first, tuple(stop.tolist()))


def summarize(boxes: list[Box], properties: dict[str, Any], to_original: tuple[int, ...]) -> dict[str, Any]:
    """Window, encoding, statistics and foreground points from sampled *boxes*."""
    values = np.concatenate([box.ravel() for _, box in boxes])
    if not np.isfinite(values).all():
        raise DataError("it has NaN or infinite values")
    limits = float(values.min()), float(values.max())
    if limits[0] == limits[1]:
        raise DataError("all sampled voxels are equal")
    encoding = fit(values[:, None, None], limits, "", RULE, resampled=True)
    low, high = encoding.window
    unit = np.clip((values - low) / (high - low), 0, 1)
    return {
        "slope": (high - low) / _LEVELS,
        "intercept": (high + low) / 2,
        "window": encoding.window,
        "mean": float(unit.mean()),
        "std": max(float(unit.std()), 1e-6),
        "foreground": float((values > encoding.foreground).mean()),
        "points": labeled_points(properties, to_original) or bright_points(boxes, encoding.foreground),
    }


def labeled_points(properties: dict[str, Any], to_original: tuple[int, ...]) -> tuple[Triple, ...]:
    """Some labeled voxels, which nnU-Net stores as rows (channel, z, y, x) in the order of the array's axes."""
    locations = [np.asarray(rows)[:, -3:] for rows in (properties.get("class_locations") or {}).values() if len(rows)]
    if not locations:
        return ()
    share = max(POINTS // len(locations), 1)
    chosen = np.concatenate([rows[:: max(len(rows) // share, 1)][:share] for rows in locations])
    return tuple(map(tuple, chosen[:, to_original].tolist()))


def bright_points(boxes: list[Box], threshold: float) -> tuple[Triple, ...]:
    """Evenly spread voxels of *boxes* above *threshold*."""
    found = np.concatenate([np.argwhere(box > threshold) + np.array(start) for start, box in boxes])
    return tuple(map(tuple, found[:: max(len(found) // POINTS, 1)][:POINTS].tolist()))


def digest(text: str) -> str:
    """A hash of *text* with 24 hexadecimal digits."""
    return hashlib.blake2b(text.encode(), digest_size=12).hexdigest()


def read_cache(file: Path) -> list[VolumeRecord]:
    """Records cached in *file*; none if it is missing or corrupted."""
    try:
        return [VolumeRecord.parse(json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError, TypeError, RecursionError):
        return []


def write_cache(file: Path, records: list[VolumeRecord]) -> None:
    """Cache *records* in *file*, if it can be written."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_text(file, "".join(record.model_dump_json() + "\n" for record in records))
    except OSError as error:
        logger.info("cannot write the cache %s: %s", file, error)
