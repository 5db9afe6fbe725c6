"""Adapts trained tensors to another shape.

All functions are pure. Kernels are ``(out, in, kD, kH, kW)`` unless stated otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

Size = tuple[int, int, int]


def fit_channels(weight: Tensor, count: int, how: str) -> Tensor:
    """Return *weight* for *count* input channels.

    ``repeat``: target channel j takes the source channels i with i = j modulo the smaller number, rescaled so that
    the response to an image with repeated channels is unchanged. ``mean``: all get the same kernel, so
    the response to an image with equal channels is unchanged. ``zero``: the first kernels are kept, others are zero.
    """
    source = weight.shape[1]
    if how == "mean":
        return (weight.sum(1, keepdim=True) / count).repeat(1, count, 1, 1, 1)
    if how == "zero":
        kept = weight[:, :count]
        return torch.cat((kept, kept.new_zeros(kept.shape[0], count - kept.shape[1], *kept.shape[2:])), dim=1)
    if count < source:
        return torch.stack([weight[:, first::count].sum(1) for first in range(count)], dim=1)
    turns = torch.arange(count, device=weight.device) % source
    shares = torch.bincount(turns, minlength=source)[turns].to(weight.dtype)
    return weight[:, turns] / shares[:, None, None, None]


def fit_image_channels(weight: Tensor, images: int, wanted: int, count: int, how: str, keep: bool) -> Tensor:
    """Return *weight* for *count* input channels, of which the first *wanted* are images and the rest are labels.

    The first *images* channels of *weight* are adapted by :func:`fit_channels`. The kernels of labels are zero, or
    those of *weight* if *keep* is set.
    """
    fitted = fit_channels(weight[:, :images], wanted, how)
    rest = weight[:, images:] if keep else weight.new_zeros(weight.shape[0], count - wanted, *weight.shape[2:])
    return torch.cat((fitted, rest), dim=1)


def pick_channels(weight: Tensor, source: Sequence[str], target: Sequence[str]) -> Tensor:
    """Return the kernels of the input channels *target* by name; channels missing in *source* are zero."""
    zero = torch.zeros_like(weight[:, 0])
    return torch.stack([weight[:, source.index(name)] if name in source else zero for name in target], dim=1)


def fit_kernel(weight: Tensor, size: Sequence[int], how: str = "sum") -> Tensor:
    """Return a convolution kernel with *size* taps per axis, all odd.

    Larger kernels contain the old one at their center and zeros around it, so the response is unchanged. Smaller ones
    add the outer taps to the outermost kept tap (``sum``), or drop them (``crop``).
    """
    for axis, taps in enumerate(size, start=2):
        weight = _fit_axis(weight, axis, taps, how)
    return weight


def _fit_axis(weight: Tensor, axis: int, taps: int, how: str) -> Tensor:
    margin = (weight.shape[axis] - taps) // 2
    if margin < 0:
        edge = weight.new_zeros(*weight.shape[:axis], -margin, *weight.shape[axis + 1 :])
        return torch.cat((edge, weight, edge), dim=axis)
    if margin == 0:
        return weight
    if how == "crop":
        return weight.narrow(axis, margin, taps)
    if taps == 1:
        return weight.sum(axis, keepdim=True)
    first, inner, last = weight.split((margin + 1, taps - 2, margin + 1), dim=axis)
    return torch.cat((first.sum(axis, keepdim=True), inner, last.sum(axis, keepdim=True)), dim=axis)


def fit_upsampling(weight: Tensor, size: Size) -> Tensor:
    """Return a transposed convolution's kernel ``(in, out, ...)``, as large as its stride, for stride *size*.

    Outputs that coincide are averaged; an output that becomes several is repeated.
    """
    resized: Tensor = functional.adaptive_avg_pool3d(weight, size)
    return resized


def fit_patch_embedding(weight: Tensor, size: Sequence[int]) -> Tensor:
    """Return a patch embedding for patches of *size*, by pseudo-inverse resizing (FlexiViT, CVPR 2023).

    The response to a patch that is enlarged linearly along with the kernel is unchanged; for smaller patches this holds
    in the least-squares sense.
    """
    result = weight.double()
    for axis, edge in enumerate(size, start=2):
        if (old := weight.shape[axis]) != edge:
            basis = torch.eye(old, dtype=torch.float64, device=weight.device)
            resize = functional.interpolate(basis[None], size=edge, mode="linear", align_corners=False)[0]
            result = (result.movedim(axis, -1) @ torch.linalg.pinv(resize).T).movedim(-1, axis)
    return result.to(weight.dtype)


def fit_positions(embedding: Tensor, grid: Size, order: str, wanted: Size) -> Tensor:
    """Return a position embedding ``(1, D*H*W, C)`` for the grid *wanted* (D, H, W), resized trilinearly.

    Args:
        embedding: one vector per token of *grid*.
        grid: tokens (D, H, W) of the source.
        order: its token order; ``dhw`` is row-major, as is the result.
        wanted: tokens (D, H, W) of the target.
    """
    laid = embedding.transpose(1, 2).unflatten(2, [grid["dhw".index(axis)] for axis in order])
    volume = laid.permute(0, 1, *(2 + order.index(axis) for axis in "dhw"))
    if grid != wanted:
        resized = functional.interpolate(volume.float(), size=wanted, mode="trilinear", align_corners=False)
        volume = resized.to(embedding.dtype)
    tokens: Tensor = volume.flatten(2).transpose(1, 2)
    return tokens


def fit_widths(weight: Tensor, target: Tensor, inputs: int = 1, transposed: bool = False) -> Tensor:
    """Return *target* with its first features replaced by those of *weight*.

    New features keep the values of *target*; their paths into the old ones are zero, so that the old features
    are unchanged if norms act on single channels.

    Args:
        weight: trained kernel, or vector.
        target: the kernel or vector to fill, not changed.
        inputs: number of equally wide tensors that are concatenated as input.
        transposed: whether axis 0 is the input.
    """
    if transposed:
        return fit_widths(weight.transpose(0, 1), target.transpose(0, 1), inputs).transpose(0, 1)
    result = target.detach().to(weight, copy=True)
    rows = min(weight.shape[0], result.shape[0])
    if weight.ndim == 1:
        result[:rows] = weight[:rows]
        return result
    pairs = zip(weight.chunk(inputs, dim=1), result.chunk(inputs, dim=1), strict=True)
    for old, new in pairs:
        columns = min(old.shape[1], new.shape[1])
        new[:rows] = 0
        new[:rows, :columns] = old[:rows, :columns]
    return result
