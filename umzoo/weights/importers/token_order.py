"""Primus networks that read their tokens in another order, made equal ones that read them in the order of the axes.

nnssl's masked autoencoder (src/nnssl/architectures/evaMAE_module.py) lays tokens out as (h w d) where its axes are
(w, h, d), but takes its position tables for a grid (w, h, d): the first two axes are swapped in all that depends on
position. There are two such things, and both can be undone in the weights.

- The learned embedding is reordered.
- The rotary embedding turns the first third of each head's channels by the position along the first axis, the second
  third along the second, the last along the third (timm's ``RotaryEmbeddingCat``). Queries and keys only meet in
  inner products, which stay as they are if the channels of both are reordered alike. So thirds are swapped instead
  of positions, and the network computes exactly what it did.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from umzoo.errors import WeightsError
from umzoo.weights.transfer.adapt import Size, fit_positions

_TURNED = ("attn.q_proj.weight", "attn.k_proj.weight", "attn.q_proj.bias", "attn.k_proj.bias")


def in_axis_order(state: Mapping[str, Tensor], grid: Size, heads: int, order: str) -> dict[str, Tensor]:
    """Return the tensors of a Primus encoder that computes on tokens in order (D, H, W) what *state* did in *order*.

    Args:
        state: tensors with names that end like those of nnU-Net's Primus.
        grid: tokens (D, H, W).
        heads: attention heads.
        order: how the tokens of *state* run over the axes, such as ``hdw``.

    Raises:
        WeightsError: if *grid* has other numbers along the axes that are swapped: the rotary embedding of the
            original mixes its axes up then.
    """
    if order == "dhw":
        return dict(state)
    if tuple(grid["dhw".index(axis)] for axis in order) != grid:
        raise WeightsError(
            f"the weights were trained on a grid of {grid} tokens in order {order}, where the rotary embedding of the"
            " original does not follow the axes: no network of umzoo's computes the same; give the grid it was trained"
            " on with patch_size=..., or take token_order=dhw to import all as it is"
        )
    return {name: _turned(name, tensor, grid, heads, order) for name, tensor in state.items()}


def _turned(name: str, tensor: Tensor, grid: Size, heads: int, order: str) -> Tensor:
    if name.endswith("pos_embed"):
        return fit_positions(tensor, grid, order, grid)
    if not name.endswith(_TURNED):
        return tensor
    thirds = tensor.unflatten(0, (heads, 3, -1))
    turned: Tensor = thirds[:, [order.index(axis) for axis in "dhw"]].flatten(0, 2)
    return turned
