"""Features of a scan's windows, pooled over regions one window at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from umzoo.backbones.base import Backbone
from umzoo.downstream.embed.config import EmbedConfig
from umzoo.errors import ConfigError, DataError
from umzoo.heads.model import Model
from umzoo.scans.scan import Scan
from umzoo.scans.windows import BODY_SHARE, Size, Window, body, pad_to, size_of, window_size, windows

DEFAULT_PATCH: Size = (96, 96, 96)
"""Window for weights that do not state their patch size."""


@dataclass(frozen=True, eq=False)
class Embedding:
    """Vectors of one scan.

    Args:
        vectors: float32 ``(n, d)``.
        regions: region of each vector: ``""`` for the scan, ``"z,y,x"`` (first voxel) for a window, or the label of
            the mask.
    """

    vectors: Tensor
    regions: tuple[str, ...]

    @property
    def vector(self) -> Tensor:
        """The only vector ``(d,)``.

        Raises:
            ConfigError: if there are several vectors.
        """
        if len(self.vectors) != 1:
            raise ConfigError(
                f"expected one vector, got {len(self.vectors)}: use .vectors, with rows named by .regions"
            )
        return self.vectors[0]


class _Pool:
    """Running mean and maximum of features over weighted feature voxels."""

    def __init__(self) -> None:
        self.total: Tensor | None = None
        self.weight = 0.0
        self.peak: Tensor | None = None

    def add(self, level: Tensor, weights: Tensor) -> None:
        """Add the voxels of *level* ``(C, d, h, w)`` with *weights* ``(d, h, w)`` from 0 to 1."""
        if not (mass := float(weights.sum())):
            return
        total = (level * weights).sum(dim=(1, 2, 3))
        peak = level.masked_fill(weights == 0, -torch.inf).amax(dim=(1, 2, 3))
        self.total = total if self.total is None else self.total + total
        self.peak = peak if self.peak is None else torch.maximum(self.peak, peak)
        self.weight += mass

    def result(self, pooling: str) -> Tensor | None:
        """Return the pooled vector, or None if all weights were 0."""
        if self.total is None or self.peak is None:
            return None
        parts = {"mean": self.total / self.weight, "max": self.peak}
        return torch.cat([parts[name] for name in pooling.split("+")])


def embed(
    model: Backbone | Model, scan: Scan, config: EmbedConfig | None = None, *, roi: Tensor | None = None, **options: Any
) -> Embedding:
    """Return vectors of *scan* from the frozen features of *model*.

    Windows slide over the body. Feature voxels inside the scan are pooled over all windows: padding has no influence,
    and a vector does not depend on the other scans.

    Args:
        model: a network of :func:`umzoo.from_pretrained`; a head is not used.
        scan: of :func:`umzoo.load_scan`.
        config: options; single options can be passed as keywords, such as ``pooling="mean+max"``.
        roi: int64 ``(D, H, W)``, a mask on the image of the scan (:func:`umzoo.scans.labels.load_labels`); one vector
            for each label except 0.
        options: of :class:`EmbedConfig`.

    Raises:
        ConfigError: if an option is wrong, or *per* is "roi" without a mask.
        DataError: if the mask has another shape than the image, or is empty.
    """
    if roi is not None:
        options.setdefault("per", "roi")
    config = EmbedConfig.parse({**(config.model_dump() if config else {}), **options})
    backbone = model.backbone if isinstance(model, Model) else model
    levels = _levels(backbone, config.levels)
    size = patch_size(backbone, size_of(scan.image), config.patch_size)
    image = pad_to(scan.image, size)
    chosen = body_windows(list(windows(size_of(image), size, config.overlap)), scan.image)
    regions = _regions(scan, config, roi, chosen)
    pools: dict[str, list[_Pool]] = {}
    for window, features in _features(backbone, image, chosen, config):
        place = ",".join(str(axis.start) for axis in window) if config.per == "window" else ""
        for name, mask in regions.items():
            weights = _cut(mask, window)
            for pool, level in zip(pools.setdefault(name or place, [_Pool() for _ in levels]), levels, strict=True):
                pool.add(features[level], _shrink(weights, features[level]))
    rows = {name: [pool.result(config.pooling) for pool in found] for name, found in sorted(pools.items())}
    rows = {name: parts for name, parts in rows.items() if all(part is not None for part in parts)}
    if not rows:
        raise DataError(f"no region of '{scan.name}' holds a voxel of the features: give a mask that is not empty")
    return Embedding(torch.stack([torch.cat(parts) for parts in rows.values()]).cpu(), tuple(rows))  # type: ignore[arg-type]


def _levels(backbone: Backbone, levels: tuple[int, ...]) -> list[int]:
    count = len(backbone.info.levels)
    wrong = [level for level in levels if not -count <= level < count]
    if wrong:
        raise ConfigError(f"{backbone.name} has levels 0 to {count - 1} (or -{count} to -1), got {wrong[0]}")
    return [level % count for level in levels]


def _regions(scan: Scan, config: EmbedConfig, roi: Tensor | None, chosen: Sequence[Window]) -> Mapping[str, Tensor]:
    """Return weights ``(D, H, W)`` by region; with one region per window, the only name is empty.

    A voxel in several windows has a total weight of 1.
    """
    size = scan.image.shape[1:]
    if config.per == "window":
        return {"": torch.ones(size)}
    if config.per == "scan":
        return {"": _once(size, chosen)}
    if roi is None:
        raise ConfigError("per='roi' needs a mask: give roi=labels on the image, see umzoo.scans.labels.load_labels")
    if roi.shape != size:
        raise DataError(f"the mask {tuple(roi.shape)} does not lie on the image {tuple(size)} of '{scan.name}'")
    once = _once(size, chosen)
    return {str(int(label)): (roi == label) * once for label in roi.unique() if int(label) != 0}


def _once(size: torch.Size, chosen: Sequence[Window]) -> Tensor:
    """Return ``(D, H, W)``: one over the number of windows that contain a voxel, 1 if none does."""
    seen = torch.zeros(size)
    for window in chosen:
        seen[window] += 1
    return 1 / seen.clamp_min(1)


def _cut(mask: Tensor, window: Window) -> Tensor:
    """Return the part of *mask* in *window*, padded with 0 beyond the image."""
    part = mask[window]
    margins = [
        side
        for axis, n in zip(reversed(window), reversed(part.shape), strict=True)
        for side in (0, axis.stop - axis.start - n)
    ]
    return functional.pad(part, margins)


def _shrink(weights: Tensor, level: Tensor) -> Tensor:
    """Return the mean weight in each voxel of *level* ``(C, d, h, w)``."""
    size = (level.shape[1], level.shape[2], level.shape[3])
    return functional.adaptive_avg_pool3d(weights[None], size)[0].to(level.device)


def patch_size(backbone: Backbone, shape: Size, wanted: Size | None) -> Size:
    """Return the window size of *backbone* for an image of *shape*.

    Raises:
        ConfigError: if the network does not support the *wanted* window.
    """
    fixed = getattr(backbone.config, "input_shape", None)
    known = backbone.weights_info.input.patch_size if backbone.weights_info is not None else None
    size = wanted or fixed or known or DEFAULT_PATCH
    if fixed is None:
        size = window_size(shape, size, backbone.info.divisor)
    if wanted is not None and (nearest := backbone.info.nearest_size(wanted)) != wanted:
        raise ConfigError(f"{backbone.name} takes no window of {wanted}: the nearest is {nearest}")
    return backbone.info.nearest_size(size)


def _features(
    backbone: Backbone, image: Tensor, chosen: Sequence[Window], config: EmbedConfig
) -> Iterator[tuple[Window, list[Tensor]]]:
    """Yield each of the *chosen* windows with its levels ``(C, d, h, w)``."""
    device = next(backbone.parameters()).device
    left = iter(chosen)
    backbone.eval()
    while batch := list(islice(left, config.batch_size)):
        crops = torch.stack([image[:, z, y, x] for z, y, x in batch]).to(device)
        with torch.inference_mode(), _precision(config, device):
            levels = backbone.encode(crops)
        for number, window in enumerate(batch):
            yield window, [level[number].float() for level in levels]


def body_windows(found: list[Window], image: Tensor) -> list[Window]:
    """Return the windows that contain the body; all windows if none does."""
    mask = body(image)
    kept = [window for window in found if mask[window].float().mean() > BODY_SHARE]
    return kept or found


def _precision(config: EmbedConfig, device: torch.device) -> AbstractContextManager[Any]:
    return torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bf16")
