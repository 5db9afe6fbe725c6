"""Crops of equal size without padding, so that a crop does not reveal the size of a scan."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from umzoo.downstream.embed.vector_cache import file_name
from umzoo.downstream.finetune.cases import read_case
from umzoo.downstream.tasks import Case
from umzoo.errors import ConfigError, DataError, UmzooError
from umzoo.files import read_json, replace_text
from umzoo.scans.crops import center_of, cut
from umzoo.scans.labels import load_labels
from umzoo.scans.scan import Scan
from umzoo.scans.windows import Size
from umzoo.spec import InputSpec

log = logging.getLogger(__name__)

LEAST = 4
"""Minimum size of a crop along each axis, in voxels."""


@dataclass(frozen=True)
class Cut:
    """Extent of a crop (D, H, W) before and behind the center, in voxels, which every case has."""

    before: Size
    behind: Size

    @property
    def size(self) -> Size:
        """Size (D, H, W) of the crop in voxels."""
        depth, height, width = (a + b for a, b in zip(self.before, self.behind, strict=True))
        return depth, height, width

    def __call__(self, scan: Scan, case: Case) -> Scan:
        """Return *scan*, cropped at the center of the case's mask, or else of the scan."""
        start = np.array(_center(scan, case)) - np.array(self.before)
        image = cut(scan.image.numpy(), start, self.size, float(scan.image.min()))
        shift = np.eye(4)
        shift[:3, 3] = start
        return replace(scan, image=torch.from_numpy(image), grid=scan.grid.moved(self.size, shift))


def common_cut(cases: Sequence[Case], spec: InputSpec, wanted: Size, cache: Path, tell: Callable[[], None]) -> Cut:
    """Return the largest crop of at most *wanted* voxels that lies within all *cases*.

    A crop that reaches beyond a scan needs padding, which reveals the size of the scan to the network, and the size
    often correlates with the target. Therefore all crops are as small as the smallest one.

    Args:
        cases: cases; unreadable ones are skipped.
        spec: input of the network.
        wanted: size (D, H, W) in voxels.
        cache: folder that caches the extent of each case around its center.
        tell: called after each case.

    Raises:
        DataError: if the crop would be smaller than :data:`LEAST` voxels.
    """
    room = _room_of(cases, spec, cache, tell)
    if not room:
        raise DataError(f"none of {len(cases)} cases can be read: check the paths of the images")
    half = np.array([*(size // 2 for size in wanted), *(size - size // 2 for size in wanted)])
    found = np.minimum(half, np.array(list(room.values())).min(axis=0)).astype(int).tolist()
    common = Cut((found[0], found[1], found[2]), (found[3], found[4], found[5]))
    if common.size != tuple(wanted) or min(common.size) < LEAST:
        short = (half - found).argmax()
        smallest = min(room, key=lambda case: room[case][short])
        text = f"crops are limited to {_size(common.size)} of {_size(wanted)} voxels by case '{smallest}'"
        if min(common.size) < LEAST:
            raise DataError(f"{text}; leave it out, or make --crop smaller")
        log.warning("%s, as padding would reveal the size of a scan", text)
    return common


def _room_of(
    cases: Sequence[Case], spec: InputSpec, cache: Path, tell: Callable[[], None]
) -> Mapping[str, Sequence[int]]:
    """Return the voxels before and behind the center of each case."""
    key = repr((spec.model_dump_json(exclude={"patch_size"}), [(case.id, case.images, case.mask) for case in cases]))
    file = cache / file_name(key).replace(".npz", ".json")
    if file.is_file():
        kept: dict[str, list[int]] = read_json(file, remedy="remove it, and it is written again")
        if not all(isinstance(sizes, list) and len(sizes) == 6 for sizes in kept.values()):
            raise ConfigError(
                f"{file} is damaged: expected six numbers for each case; remove it, and it is written again"
            )
        return kept
    room = {}
    for case in cases:
        try:
            scan = read_case(case, spec)
            center = np.array(_center(scan, case))
        except ConfigError:
            raise
        except UmzooError as error:
            log.debug("%s: %s", case.id, error)  # embedding reads the case again and warns
        else:
            room[case.id] = [*center.tolist(), *(np.array(scan.image.shape[1:]) - center).tolist()]
        tell()
    file.parent.mkdir(parents=True, exist_ok=True)
    replace_text(file, json.dumps(room))
    return room


def _center(scan: Scan, case: Case) -> Size:
    mask = load_labels(case.mask, scan) if case.mask is not None else None
    if case.mask is not None and mask is not None and not mask.any():
        raise DataError(f"mask '{case.mask.name}' is empty: a crop needs a mask with labels")
    return center_of(scan, mask)


def _size(size: Size) -> str:
    return " x ".join(map(str, size))
