"""Converts Primus networks with another token order to equivalent ones in the order of the axes.

nnssl's masked autoencoder (src/nnssl/architectures/evaMAE_module.py) arranges tokens as (h w d) although its axes are
(w, h, d), but its position tables are for a grid (w, h, d): the first two axes are swapped in everything that depends
on position. There are two such parts, and both can be corrected in the weights.

- The learned embedding is reordered.
- The rotary embedding rotates the first third of each head's channels by the position along the first axis, the second
third along the second, the last along the third (timm's ``RotaryEmbeddingCat``). Queries and keys are only used in
inner products, which do not change if the channels of both are reordered in the same way. So thirds are swapped
instead of positions, and the output of the network is unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from umzoo.errors import WeightsError
from umzoo.weights.transfer.adapt import Size, fit_positions

_TURNED = ("attn.q_proj.weight", "attn.k_proj.weight", "attn.q_proj.bias", "attn.k_proj.bias")


def in_axis_order(state: Mapping[str, Tensor], grid: Size, heads: int, order: str) -> dict[str, Tensor]:
    """Return the tensors of a Primus encoder in token order (D, H, W) that is equivalent to *state* in *order*.

    Args:
        state: tensors with names that end like those of nnU-Net's Primus.
        grid: tokens (D, H, W).
        heads: attention heads.
        order: token order of *state*, such as ``hdw``.

    Raises:
        WeightsError: if *grid* differs along the swapped axes, where the rotary embedding of the original does not
            follow the axes.
    """
    if order == "dhw":
        return dict(state)
    if tuple(grid["dhw".index(axis)] for axis in order) != grid:
        raise WeightsError(
            f"the grid of {grid} tokens has different sizes along axes that token order {order} swaps: the original's"
            " rotary embedding does not follow the axes, so no umzoo network is equivalent; set patch_size=... to the"
            " patch size of training, or token_order=dhw to import the weights unchanged"
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
