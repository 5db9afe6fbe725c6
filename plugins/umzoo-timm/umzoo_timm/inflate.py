"""Inflation of 2-D convolutional networks to 3-D, as in I3D (Carreira and Zisserman, CVPR 2017).

Kernels are repeated along the new axis and divided by its length. So the response to a volume that is constant along
that axis equals the 2-D response to its slice; :func:`same_response` tests this.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

FLAT = {
    nn.BatchNorm2d: nn.BatchNorm3d,
    nn.InstanceNorm2d: nn.InstanceNorm3d,
    nn.Dropout2d: nn.Dropout3d,
}
"""Layers whose 3-D version has the same attributes."""
POOLS = {nn.MaxPool2d: nn.MaxPool3d, nn.AvgPool2d: nn.AvgPool3d}


def inflate(network: nn.Module) -> nn.Module:
    """Replace the layers of *network* by 3-D layers in place, with the same names; return it.

    Raises:
        ValueError: if a layer has no 3-D version; the message names it.
    """
    for name, module in list(network.named_modules()):
        twin = _twin(module)
        if twin is module:
            continue
        parent, _, last = name.rpartition(".")
        setattr(network.get_submodule(parent), last, twin)
    return network


def _twin(module: nn.Module) -> nn.Module:
    """Return the 3-D version of one layer, which is the changed *module* itself if its parameters are the same."""
    kind = type(module)
    if kind is nn.Conv2d:
        return _convolution(module)
    if kind in POOLS:
        return _pool(module)
    if kind in FLAT:
        module.__class__ = FLAT[kind]
    elif change := _timm_layers().get(kind):
        module.forward = partial(change, module)  # type: ignore[method-assign]  # a bound method is not pickled
    elif isinstance(module, nn.Conv2d) or kind.__name__.endswith("2d"):
        raise ValueError(f"its {kind.__name__} has no 3-D version")
    return module


def _convolution(flat: Any) -> nn.Conv3d:
    """Return a convolution with the kernel of *flat* repeated along depth, with the same size as along height."""
    if isinstance(flat.padding, str):
        raise ValueError(f"its convolutions pad by '{flat.padding}'")
    options = {name: _deep(getattr(flat, name)) for name in ("kernel_size", "stride", "padding", "dilation")}
    deep = nn.Conv3d(
        flat.in_channels, flat.out_channels, **options, groups=flat.groups, bias=flat.bias is not None,
        padding_mode=flat.padding_mode, device=flat.weight.device, dtype=flat.weight.dtype,
    )  # fmt: skip
    depth = deep.kernel_size[0]
    with torch.no_grad():
        deep.weight.copy_(flat.weight.unsqueeze(2).expand_as(deep.weight) / depth)
        if flat.bias is not None and deep.bias is not None:
            deep.bias.copy_(flat.bias)
    return deep


def _pool(flat: Any) -> nn.Module:
    options = {"ceil_mode": flat.ceil_mode}
    if isinstance(flat, nn.AvgPool2d):
        options["count_include_pad"] = flat.count_include_pad
    else:
        options["dilation"] = _deep(flat.dilation)
    return POOLS[type(flat)](_deep(flat.kernel_size), _deep(flat.stride), _deep(flat.padding), **options)


def _deep(value: int | tuple[int, ...]) -> int | tuple[int, ...]:
    """Convert *value* per axis (H, W) to one per axis (D, H, W)."""
    return value if isinstance(value, int) else (value[0], *value)


def _timm_layers() -> dict[type, Callable[..., Tensor]]:
    """Return 3-D forward passes of timm's layers whose own code is specific to 2-D images."""
    from timm.layers import BatchNormAct2d, LayerNorm2d, SqueezeExcite
    from timm.models import _efficientnet_blocks, convnext

    return {
        BatchNormAct2d: _norm_and_activation,
        LayerNorm2d: _layer_norm,
        SqueezeExcite: _squeeze_excite,
        _efficientnet_blocks.SqueezeExcite: _squeeze_excite_mobile,
        convnext.ConvNeXtBlock: _convnext_block,
    }


def _norm_and_activation(layer: Any, x: Tensor) -> Tensor:
    if layer.training and layer.num_batches_tracked is not None:
        layer.num_batches_tracked.add_(1)
    use_batch = layer.training or layer.running_mean is None
    normed = functional.batch_norm(
        x, layer.running_mean, layer.running_var, layer.weight, layer.bias, use_batch, layer.momentum or 0.1, layer.eps
    )
    out: Tensor = layer.act(layer.drop(normed))
    return out


def _layer_norm(layer: Any, x: Tensor) -> Tensor:
    normed = functional.layer_norm(x.movedim(1, -1), layer.normalized_shape, layer.weight, layer.bias, layer.eps)
    return normed.movedim(-1, 1)


def _squeeze_excite(layer: Any, x: Tensor) -> Tensor:
    pooled = x.mean((2, 3, 4), keepdim=True)
    if layer.add_maxpool:
        pooled = 0.5 * pooled + 0.5 * x.amax((2, 3, 4), keepdim=True)
    out: Tensor = x * layer.gate(layer.fc2(layer.act(layer.bn(layer.fc1(pooled)))))
    return out


def _squeeze_excite_mobile(layer: Any, x: Tensor) -> Tensor:
    reduced = layer.act1(layer.conv_reduce(x.mean((2, 3, 4), keepdim=True)))
    out: Tensor = x * layer.gate(layer.conv_expand(reduced))
    return out


def _convnext_block(block: Any, x: Tensor) -> Tensor:
    inner = block.conv_dw(x)
    if block.use_conv_mlp:
        inner = block.mlp(block.norm(inner))
    else:
        inner = block.mlp(block.norm(inner.movedim(1, -1))).movedim(-1, 1)
    if block.gamma is not None:
        inner = inner * block.gamma.reshape(1, -1, 1, 1, 1)
    out: Tensor = block.drop_path(inner) + block.shortcut(x)
    return out


def same_response(flat: nn.Module, deep: nn.Module, channels: int, size: int) -> bool:
    """Return whether, at every level, *deep* responds to a volume of equal slices as *flat* does to the slice.

    The test uses copies with replicate padding, since zero padding would give differences along depth.
    """
    flat, deep = _bordered(flat), _bordered(deep)
    steps = torch.linspace(0, 1, channels * size * size)
    image = torch.sin(97 * steps).reshape(1, channels, size, size)
    with torch.no_grad():
        expected = flat(image)
        found = deep(image.unsqueeze(2).expand(-1, -1, size, -1, -1))
    return all(
        b.ndim == 5 and torch.allclose(a.unsqueeze(2).expand_as(b), b, rtol=1e-3, atol=1e-3 * float(a.abs().max()))
        for a, b in zip(expected, found, strict=True)
    )


def _bordered(network: nn.Module) -> nn.Module:
    twin = copy.deepcopy(network).eval()
    for module in twin.modules():
        if isinstance(module, (nn.Conv2d, nn.Conv3d)):
            module.padding_mode = "replicate"
    return twin
