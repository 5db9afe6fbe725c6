"""Preprocessed scans of a task, cached on disk as memory-mapped arrays."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from umzoo.downstream.tasks import Case, Task
from umzoo.errors import DataError, UmzooError
from umzoo.files import read_json, written_whole
from umzoo.scans.crops import center_of
from umzoo.scans.labels import load_labels
from umzoo.scans.load import load_scan
from umzoo.scans.scan import Scan
from umzoo.spec import InputSpec
from umzoo.terminal import Terminal

log = logging.getLogger(__name__)

POINTS = 2000
"""Foreground voxels cached per case, as centers of crops."""


class UnusableScan(DataError):  # noqa: N818
    """A scan or its labels cannot be preprocessed for the network."""


@dataclass(frozen=True)
class CachedCase:
    """A case in the cache.

    Attributes:
        case: the case.
        image: ``(C, D, H, W)``, memory-mapped.
        label: ``(D, H, W)``, memory-mapped; None without label map.
        points: sampled foreground voxels ``(n, 3)``, about as many of each class.
        center: voxel (D, H, W) at which center crops are taken.
        least: minimum of the image, which pads crops beyond it.
        modality: one per channel.
    """

    case: Case
    image: NDArray[Any]
    label: NDArray[Any] | None
    points: NDArray[np.int64]
    center: tuple[int, int, int]
    least: float
    modality: tuple[str, ...]


def cache_cases(folder: Path, task: Task, spec: InputSpec, dtype: str = "float32") -> dict[str, CachedCase]:
    """Return the cases of *task* by id; cases that *folder* lacks are preprocessed and cached there.

    Unusable scans are left out, each with a warning that gives the reason.

    Raises:
        DataError: if more than half of the scans are unusable, or a label map has labels without a class.
    """
    folder.mkdir(parents=True, exist_ok=True)
    cached, refused = {}, []
    console = Terminal(stderr=True)
    shown = len(task.cases) >= 8 and console.is_interactive
    for case in track(task.cases, "reading scans", console=console, disable=not shown, transient=True):
        place = folder / _digest(case, spec, dtype)
        try:
            if not place.is_dir():
                _keep(place, case, spec, dtype, task)
        except UnusableScan as why:
            log.warning("%s: it is left out", why)
            refused.append(str(why))
            continue
        cached[case.id] = _open(place, case)
    if 2 * len(refused) > len(task.cases):
        raise DataError(f"{len(refused)} of {len(task.cases)} scans cannot be used, the first: {refused[0]}")
    return cached


def _digest(case: Case, spec: InputSpec, dtype: str) -> str:
    """Return a cache key of everything that the arrays depend on."""
    files = [*case.images, *filter(None, (case.label, case.mask))]
    parts = [spec.model_dump_json(exclude={"patch_size"}), dtype, *case.modality]
    parts += [f"{file}:{file.stat().st_mtime_ns}" for file in files]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _keep(place: Path, case: Case, spec: InputSpec, dtype: str, task: Task) -> None:
    """Preprocess *case* into the folder *place*; other processes may do so concurrently."""
    try:
        with written_whole(place) as temporary:
            temporary.mkdir()
            _write(temporary, case, spec, dtype, task)
    except OSError:
        if not place.is_dir():
            raise


def _write(folder: Path, case: Case, spec: InputSpec, dtype: str, task: Task) -> None:
    try:
        scan = read_case(case, spec)
        label = load_labels(case.label, scan) if case.label else None
        mask = load_labels(case.mask, scan) if case.mask else None
    except UmzooError as error:
        raise UnusableScan(f"case '{case.id}': {error}") from None
    np.save(folder / "image.npy", scan.image.numpy().astype(dtype))
    points = np.zeros((0, 3), np.int64)
    if label is not None:
        values = label.numpy()
        if values.max() >= len(task.classes) or values.min() < 0:
            raise DataError(f"case '{case.id}' has label {values.max()}, the task names {len(task.classes)} classes")
        np.save(folder / "label.npy", values.astype(np.uint8 if len(task.classes) <= 256 else np.int16))
        points = _points(values)
    np.save(folder / "points.npy", points)
    about = {"center": center_of(scan, mask), "least": float(scan.image.min()), "modality": scan.modality}
    (folder / "about.json").write_text(json.dumps(about), encoding="utf-8")


def read_case(case: Case, spec: InputSpec) -> Scan:
    """Read the scan of *case* for the input *spec*, with the task's modality; see :func:`umzoo.load_scan`."""
    named = tuple(filter(None, case.modality))
    modality = None if not named else named[0] if len(named) == 1 else named[: spec.in_channels]
    return load_scan(case.image, spec, modality=modality)


def _open(folder: Path, case: Case) -> CachedCase:
    file = folder / "about.json"
    about = read_json(file, "center", "least", "modality", remedy=f"remove {folder}, and it is written again")
    label = folder / "label.npy"
    return CachedCase(
        case,
        np.load(folder / "image.npy", mmap_mode="r"),
        np.load(label, mmap_mode="r") if label.is_file() else None,
        np.load(folder / "points.npy"),
        tuple(about["center"]),
        about["least"],
        tuple(about["modality"]),
    )


def _points(label: NDArray[Any]) -> NDArray[np.int64]:
    """Sample foreground voxels deterministically, with the same limit for each class."""
    rng = np.random.default_rng(0)
    kinds = [kind for kind in np.unique(label) if kind]
    found = [np.argwhere(label == kind) for kind in kinds]
    most = POINTS // max(1, len(kinds))
    return np.concatenate([np.zeros((0, 3), np.int64), *(rng.permutation(these)[:most] for these in found)])


def channels_of(cases: Iterable[Case]) -> int:
    """Return the number of channels: image files per case, or modalities if one file holds all channels.

    Raises:
        DataError: if the cases differ in it.
    """
    counts = {max(len(case.images), len(case.modality)) for case in cases}
    if len(counts) > 1:
        raise DataError(f"all cases must have the same number of channels, got {', '.join(map(str, sorted(counts)))}")
    return counts.pop()
