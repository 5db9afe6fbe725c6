"""Infers the network of a vision transformer checkpoint from its tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from umzoo.backbones.vit import timm_name
from umzoo.errors import WeightsError
from umzoo.weights.importers.checkpoint import some_names

Size = tuple[int, int, int]
SIZES = {384: "vit3d_s", 768: "vit3d_b", 1024: "vit3d_l"}
"""Backbones by the number of channels; other widths are options of the first."""
DINOV2_NAMES = ((r"^blocks\.\d+\.(?=\d+\.)", "blocks."), (r"^register_tokens$", "reg_token"))
"""DINOv2 stores blocks in chunks with continuous block numbers."""
CHANNELS_PER_HEAD = 64


def timm_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return *state* of DINOv2, timm or MONAI with timm's names."""
    renamed = {}
    for name, tensor in state.items():
        for pattern, replacement in DINOV2_NAMES:
            name = re.sub(pattern, replacement, name)
        renamed[timm_name(name)] = tensor
    return renamed


def network_options(state: Mapping[str, Tensor], heads: int | None, input_shape: Size | None) -> dict[str, Any]:
    """Return name and options of the network with the tensors *state*, which have timm's names.

    Args:
        state: the tensors.
        heads: number of attention heads, which cannot be inferred from tensors; None: one per 64 channels.
        input_shape: image size (D, H, W) of the position embedding; None: a cube.

    Raises:
        WeightsError: if it is not a 3D vision transformer, or heads or shape must be given.
    """
    kernel, hidden = state.get("patch_embed.proj.weight"), state.get("blocks.0.mlp.fc1.weight")
    if kernel is None or kernel.ndim != 5 or hidden is None or "pos_embed" not in state:
        raise WeightsError(
            "the file contains no 3D vision transformer with a learned position embedding (expected pos_embed or"
            f" patch_embedding.position_embeddings, blocks and a 5-axis kernel): it has {some_names(state)}"
        )
    dim, token = int(kernel.shape[0]), (int(kernel.shape[2]), int(kernel.shape[3]), int(kernel.shape[4]))
    if heads is None and dim % CHANNELS_PER_HEAD:
        raise WeightsError(f"the number of attention heads for {dim} channels is unknown: set heads=...")
    registers = state.get("reg_token")
    return {
        "name": SIZES.get(dim, "vit3d_s"),
        "in_channels": int(kernel.shape[1]),
        "input_shape": input_shape or _cube(state, token),
        "token_size": token,
        "embed_dim": dim,
        "depth": len({name.split(".")[1] for name in state if name.startswith("blocks.")}),
        "heads": heads or dim // CHANNELS_PER_HEAD,
        "mlp_ratio": hidden.shape[0] / dim,
        "qkv_bias": "blocks.0.attn.qkv.bias" in state,
        "class_token": "cls_token" in state,
        "register_tokens": 0 if registers is None else int(registers.shape[1]),
        "layer_scale": 1e-5 if "blocks.0.ls1.gamma" in state else None,
    }


def with_own_class_token(state: Mapping[str, Tensor], tokens: int) -> dict[str, Tensor]:
    """Return *state* with a position embedding for the image *tokens* only; that of the class token is added to it.

    The original always adds the two, so the network's output is unchanged.
    """
    positions = state["pos_embed"]
    if "cls_token" not in state or positions.shape[1] != tokens + 1:
        return dict(state)
    token = state["cls_token"] + positions[:, :1]
    return {**state, "cls_token": token, "pos_embed": positions[:, 1:].contiguous()}


def _cube(state: Mapping[str, Tensor], token: Size) -> Size:
    """The image size for a cube of tokens, with or without a class token among the positions."""
    count = int(state["pos_embed"].shape[1])
    for tokens in (count, count - 1) if "cls_token" in state else (count,):
        edge = round(tokens ** (1 / 3))
        if edge and edge**3 == tokens:
            return edge * token[0], edge * token[1], edge * token[2]
    raise WeightsError(
        f"the {count} positions do not form a cube of tokens (token size {token}): set the image size with"
        " input_shape=[D,H,W]"
    )
