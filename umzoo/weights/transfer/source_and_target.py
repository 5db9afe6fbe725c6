"""The two sides of a transfer in the same representation: weights (folder, network, tensors) and target network."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from umzoo.backbones.base import Backbone
from umzoo.backbones.state import collapse_aliases, named_tensors, shapes, unwrap
from umzoo.errors import WeightsError
from umzoo.spec import InputSpec
from umzoo.weights.folder.base_model import origin
from umzoo.weights.folder.info import BaseModel, WeightsInfo
from umzoo.weights.folder.licenses import say_terms
from umzoo.weights.folder.reader import MODEL, read_info
from umzoo.weights.folder.tensors import load_state
from umzoo.weights.importers.checkpoint import WRAPPERS
from umzoo.weights.networks.construction import build_on_meta
from umzoo.weights.transfer.naming import find_naming
from umzoo.weights.transfer.tensor_roles import Layout

log = logging.getLogger(__name__)

Size = tuple[int, int, int]
Source = nn.Module | Mapping[str, Tensor] | Path | str


@dataclass(frozen=True)
class Side:
    """A network, or weights without a network.

    Attributes:
        name: name in messages.
        tensors: the actual tensors of the backbone, each once, by canonical name.
        heads: tensors outside of the backbone.
        kinds: ``conv``, ``transposed`` or ``patch`` for kernels; empty if the network is not available.
        strides: strides (D, H, W) of the stages, relative to the previous stage; empty if unknown.
        image_kernels: names of the kernels that read the image.
        steps: stride and dilation (D, H, W) of each convolution, by kernel name.
        positions: token grid (D, H, W) of each position embedding, if known.
        token_order: axis order of the tokens.
        input: expected input of the network; None if unknown.
        space: value range of the input; None if unknown.
        sha256: sha256 of the tensor file, if it comes from a weights folder.
        origin: the base model, if known.
    """

    name: str
    tensors: Mapping[str, Tensor]
    heads: Mapping[str, Tensor] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    strides: tuple[Size, ...] = ()
    image_kernels: frozenset[str] = frozenset()
    steps: Mapping[str, tuple[Size, Size]] = field(default_factory=dict)
    positions: Mapping[str, Size] = field(default_factory=dict)
    token_order: str = "dhw"
    input: InputSpec | None = None
    space: str | None = None
    sha256: str | None = None
    origin: BaseModel | None = None

    @cached_property
    def layout(self) -> Layout:
        """The positions of its tensors."""
        return Layout(self.tensors)


def source_side(source: Source) -> Side:
    """Return the weights in *source*: a weights folder, a network (possibly wrapped), or a state dict.

    Raises:
        WeightsError: if a folder is incomplete or modified, or aliases of one tensor have different values.
    """
    if isinstance(source, nn.Module):
        return network_side(source)
    if isinstance(source, Mapping):
        tensors = collapse_aliases(_bare(_unwrapped(source)))
        if not tensors:
            keys = ", ".join(map(str, list(source)[:8])) or "no entries"
            raise WeightsError(
                f"the state dict contains no tensors (it has {keys}): pass the state dict of the network"
            )
        return Side("the state dict", tensors, strides=_strides_of_tensors(tensors))
    info, tensors = read_info(source), load_state(source)
    say_terms(info.name, info.license, info.license_link)
    sketch = _sketch(info, tensors)
    known = _describe(sketch, tensors)
    return Side(
        info.name,
        tensors,
        strides=known["strides"] or _strides_of_tensors(tensors),
        steps=_steps(sketch) if sketch is not None else {},
        positions=known["positions"],
        token_order=info.token_order,
        input=info.input,
        space=info.input.space,
        sha256=info.files.get(MODEL),
        origin=origin(source, info),
    )


def _unwrapped(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """The state dict of the network inside a checkpoint; *state* itself if it already is one."""
    if any(isinstance(value, Tensor) for value in state.values()):
        return state
    return next((state[key] for key in WRAPPERS if isinstance(state.get(key), Mapping)), state)


def _bare(state: Mapping[str, Any]) -> dict[str, Any]:
    """*state* without a prefix before the names of the network; other tensors keep their names."""
    naming = find_naming([name for name, value in state.items() if isinstance(value, Tensor)])
    ours = {} if naming.kind else naming.ours
    return {ours.get(name, name): value for name, value in state.items()}


def network_side(module: nn.Module) -> Side:
    """Return the backbone in *module*, which may be wrapped by DDP, ``torch.compile`` or a model with one backbone.

    Raises:
        WeightsError: if it contains several.
    """
    network = find_backbone(module)
    tensors = named_tensors(network)
    inside = {id(tensor) for tensor in tensors.values()}
    around = {name: tensor for name, tensor in named_tensors(module).items() if id(tensor) not in inside}
    layers = [layer for layer in network.modules() if isinstance(layer, (nn.Conv3d, nn.ConvTranspose3d))]
    kinds = {id(layer.weight): _kind(layer) for layer in layers}
    info = getattr(network, "weights_info", None)
    return Side(
        type(network).__name__,
        tensors,
        around,
        {name: kinds[id(tensor)] for name, tensor in tensors.items() if id(tensor) in kinds},
        input=info.input if info else None,
        space=network.info.input_space if isinstance(network, Backbone) else None,
        image_kernels=_image_kernels(network, tensors),
        steps=_steps(network),
        origin=getattr(network, "weights_origin", None),
        **_describe(network, tensors),
    )


def find_backbone(module: nn.Module) -> nn.Module:
    """Return the one :class:`Backbone` in *module*, its attribute ``backbone``, or else the unwrapped *module*.

    Raises:
        WeightsError: if there are several.
    """
    network = unwrap(module)
    inner = getattr(network, "backbone", None)
    if isinstance(inner, nn.Module):
        return unwrap(inner)
    found = [part for part in network.modules() if isinstance(part, Backbone)]
    if len(found) > 1:
        raise WeightsError(f"{type(network).__name__} contains {len(found)} backbones: pass one of them")
    return found[0] if found else network


def _steps(network: nn.Module) -> dict[str, tuple[Size, Size]]:
    """Stride and dilation of the convolutions of *network*."""
    layers = {id(layer.weight): layer for layer in network.modules() if isinstance(layer, nn.Conv3d)}
    found = {name: layers.get(id(tensor)) for name, tensor in named_tensors(network).items()}
    return {name: (_size(layer.stride), _size(layer.dilation)) for name, layer in found.items() if layer is not None}


def _size(values: tuple[int, ...]) -> Size:
    depth, height, width = values
    return depth, height, width


def _kind(layer: nn.Conv3d | nn.ConvTranspose3d) -> str:
    if isinstance(layer, nn.ConvTranspose3d):
        return "transposed"
    return "patch" if layer.kernel_size == layer.stride and max(layer.stride) > 1 else "conv"


def _describe(network: nn.Module | None, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Strides and positions of *network*."""
    if isinstance(network, Backbone):
        return {"strides": _strides(network), "positions": network.info.positions}
    parts: Iterable[nn.Module] = () if network is None else network.modules()
    grids = (getattr(part, "feat_shape", None) or getattr(part, "feat_size", None) for part in parts)
    grid = next((tuple(int(n) for n in shape) for shape in grids if shape), ())
    names = [name for name in tensors if name.endswith(("pos_embed", "position_embeddings"))]
    return {"strides": _strides(network), "positions": dict.fromkeys(names, grid) if len(grid) == 3 else {}}


def _image_kernels(network: nn.Module, tensors: Mapping[str, Tensor]) -> frozenset[str]:
    """The kernels that *network* declares, or else the first kernel and the shortcut parallel to it."""
    if isinstance(network, Backbone) and network.image_kernels:
        return frozenset(network.image_kernels)
    layout = Layout(tensors)
    if layout.naming.kind and (known := layout.naming.kind.image_kernels):
        return frozenset(name for name, ours in layout.naming.ours.items() if ours in known)
    slots = {name: layout.slot(name) for name, it in tensors.items() if it.ndim == 5 and name.endswith("weight")}
    first = next((name for name, slot in slots.items() if slot.part == "encoder"), None)
    if first is None:
        return frozenset()
    channels = tensors[first].shape[1]
    beside = (
        name
        for name, slot in slots.items()
        if ".skip." in name and slot.group == slots[first].group == "stem" and tensors[name].shape[1] == channels
    )
    return frozenset((first, *beside))


def _strides(network: nn.Module | None) -> tuple[Size, ...]:
    """Strides of the stages, as declared by a backbone or by nnU-Net's encoders."""
    if isinstance(network, Backbone):
        totals = [(1, 1, 1), *(level.stride for level in network.info.levels)]
        return tuple(
            (after[0] // before[0], after[1] // before[1], after[2] // before[2])
            for before, after in zip(totals, totals[1:], strict=False)
        )
    strides = getattr(getattr(network, "encoder", None), "strides", None) or ()
    return tuple((int(d), int(h), int(w)) for d, h, w in strides)


def _strides_of_tensors(tensors: Mapping[str, Tensor]) -> tuple[Size, ...]:
    """Strides of nnU-Net's U-Nets, which are the sizes of the transposed kernels, deepest first."""
    sizes: list[Size] = []
    while (kernel := tensors.get(f"decoder.transpconvs.{len(sizes)}.weight")) is not None and kernel.ndim == 5:
        sizes.append((kernel.shape[2], kernel.shape[3], kernel.shape[4]))
    return ((1, 1, 1), *reversed(sizes)) if sizes else ()


def _sketch(info: WeightsInfo, tensors: Mapping[str, Tensor]) -> nn.Module | None:
    """The network described by *info*, on ``meta``; None if it cannot be built."""
    try:
        return build_on_meta(info, shapes(tensors))
    except WeightsError as error:
        log.debug("%s cannot be built: %s", info.backbone.name, error)
        return None
