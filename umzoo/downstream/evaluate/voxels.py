"""Feature maps of windows, and their values at single voxels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from umzoo.backbones.base import Backbone
from umzoo.downstream.inference import slide
from umzoo.scans.windows import Size, Window, pad_to, size_of, windows

OVERLAP = 0.25
"""Overlap of neighboring windows, as a fraction."""
BLURS = (3, 7)
"""Edges, in voxels, of the neighborhoods whose mean is a feature of the control."""

Maps = Callable[[Tensor], list[Tensor]]
"""Windows ``(B, C, D, H, W)`` -> maps ``(B, c, d, h, w)`` of any size, which are interpolated to the window."""


@dataclass(frozen=True)
class Source:
    """Source of features for every voxel of an image.

    Attributes:
        maps: computes feature maps of windows.
        channels: converts an image ``(C, D, H, W)`` to the channels of the windows.
        patch: size of the windows, for the size of an image.
        device: device of *maps*.
    """

    maps: Maps
    channels: Callable[[Tensor], Tensor]
    patch: Callable[[Size], Size]
    device: torch.device

    def at(self, image: Tensor, points: NDArray[np.int64]) -> Tensor:
        """Return the features ``(m, F)`` of *image* ``(C, D, H, W)`` at the voxels *points* ``(m, 3)``."""
        patch = self.patch(size_of(image))
        padded = pad_to(self.channels(image), patch)
        rows, order = [], []
        for window, chosen in _assigned(list(windows(size_of(padded), patch, OVERLAP)), points):
            crop = padded[None, :, window[0], window[1], window[2]].to(self.device)
            inside = torch.from_numpy(points[chosen] - [axis.start for axis in window])
            with torch.inference_mode():
                rows.append(torch.cat([_sample(one, inside, patch) for one in self.maps(crop)], dim=1))
            order.append(chosen)
        return torch.cat(rows)[torch.from_numpy(np.argsort(np.concatenate(order)))]

    def linear(self, image: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Return ``weight @ features + bias`` at every voxel of *image* ``(C, D, H, W)``: ``(n, D, H, W)``.

        The product is computed at the resolution of each map and then interpolated, which is equivalent and cheaper.

        Args:
            image: the image.
            weight: ``(n, F)``.
            bias: ``(n,)``.
        """
        patch = self.patch(size_of(image))
        weight, bias = weight.to(self.device), bias.to(self.device)

        def answer(crops: Tensor) -> Tensor:
            maps = self.maps(crops)
            parts = weight.split([one.shape[1] for one in maps], dim=1)
            found = [torch.einsum("nc,bcdhw->bndhw", part, one) for part, one in zip(parts, maps, strict=True)]
            return sum((_onto(one, patch) for one in found), bias[None, :, None, None, None])

        depth, height, width = size_of(image)
        with torch.inference_mode():
            whole = slide(answer, pad_to(self.channels(image), patch), patch, OVERLAP, self.device)
        return whole[:, :depth, :height, :width]


def network_maps(network: Backbone, patch: Callable[[Size], Size]) -> Source:
    """Return every encoder level, and the decoder's output if the weights hold a trained decoder."""
    info = network.weights_info
    dense = network.info.decoder_channels is not None and info is not None and "decoder" in info.parts

    def maps(crops: Tensor) -> list[Tensor]:
        if not dense:
            return list(network.encode(crops))
        features = network(crops, dense=True)
        return [*features.levels, features.dense]

    network.eval()
    return Source(maps, lambda image: image, patch, next(network.parameters()).device)


def plain_maps(patch: Callable[[Size], Size]) -> Source:
    """Return intensity, its square and neighborhood means; the position in the scan, and products of coordinates."""

    def maps(crops: Tensor) -> list[Tensor]:
        image, place = crops[:, :-3], crops[:, -3:]
        means = [functional.avg_pool3d(image, n, 1, n // 2, count_include_pad=False) for n in BLURS]
        products = torch.stack([place[:, i] * place[:, j] for i in range(3) for j in range(i, 3)], dim=1)
        return [torch.cat([image, image**2, *means, place, products], dim=1)]

    def channels(image: Tensor) -> Tensor:
        axes = [torch.linspace(-1, 1, size) for size in image.shape[1:]]
        return torch.cat([image, torch.stack(torch.meshgrid(*axes, indexing="ij"))])

    return Source(maps, channels, patch, torch.device("cpu"))


def _assigned(found: list[Window], points: NDArray[np.int64]) -> Iterator[tuple[Window, NDArray[np.int64]]]:
    """Yield each window with the points that are nearest to its center."""
    centers = np.array([[(axis.start + axis.stop - 1) / 2 for axis in window] for window in found])
    nearest = np.abs(points[:, None] - centers[None]).max(axis=2).argmin(axis=1)
    for number in np.unique(nearest):
        yield found[number], np.flatnonzero(nearest == number)


def _sample(level: Tensor, points: Tensor, patch: Size) -> Tensor:
    """Return values ``(m, c)`` of the map *level* ``(1, c, d, h, w)`` at voxels *points* ``(m, 3)`` of the window."""
    places = (2 * points.float() + 1) / torch.tensor(patch) - 1
    grid = places.flip(1)[None, :, None, None].to(level.device, level.dtype)
    values = functional.grid_sample(level, grid, padding_mode="border", align_corners=False)
    return values[0, :, :, 0, 0].T.float().cpu()


def _onto(level: Tensor, patch: Size) -> Tensor:
    same = tuple(level.shape[2:]) == tuple(patch)
    return level if same else functional.interpolate(level, size=patch, mode="trilinear")
