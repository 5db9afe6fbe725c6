"""A Primus that reads its tokens in another order becomes one that reads them in order and computes the same."""

import pytest
import torch
from dynamic_network_architectures.building_blocks.eva import Eva

from umzoo.errors import WeightsError
from umzoo.fields import Rng
from umzoo.weights.importers.token_order import in_axis_order

GRIDS = {"hdw": (3, 3, 2), "dwh": (2, 3, 3), "wdh": (2, 2, 2), "dhw": (2, 3, 4)}


def eva(grid, heads=4):
    network = Eva(
        embed_dim=24 * heads, depth=2, num_heads=heads, ref_feat_shape=grid, init_values=0.1, scale_attn_inner=True
    ).eval()
    with torch.no_grad():
        for number, value in enumerate(network.parameters()):
            value.add_(Rng(number).normal(value.shape) * 0.2)
    return network


def answer(network, volume, order):
    """Tokens of *volume* (B, C, D, H, W) go through in *order*; the answer lies as *volume* does."""
    permutation = ["dhw".index(axis) for axis in order]
    laid = volume.permute(0, 1, *(2 + axis for axis in permutation))
    result, _ = network(laid.flatten(2).transpose(1, 2))
    back = result.transpose(1, 2).unflatten(2, laid.shape[2:])
    return back.permute(0, 1, *(2 + permutation.index(axis) for axis in range(3)))


@pytest.mark.parametrize("order", GRIDS)
def test_the_network_computes_the_same(order):
    grid = GRIDS[order]
    original, twin = eva(grid), eva(grid)
    turned = in_axis_order(original.state_dict(), grid, heads=4, order=order)
    twin.load_state_dict(turned)
    volume = Rng(99).normal((2, 96, *grid))
    with torch.no_grad():
        expected = answer(original, volume, order)
        assert torch.allclose(answer(twin, volume, "dhw"), expected, atol=1e-4)
        if order != "dhw":
            assert not torch.allclose(answer(original, volume, "dhw"), expected, atol=0.1)
            untouched = {**turned, **{k: v for k, v in original.state_dict().items() if ".attn." in k}}
            twin.load_state_dict(untouched)
            assert not torch.allclose(answer(twin, volume, "dhw"), expected, atol=1e-3), "positions are not enough"


def test_grids_that_mix_up_the_axes_are_refused():
    with pytest.raises(WeightsError, match="does not follow the axes"):
        in_axis_order(eva((2, 3, 4)).state_dict(), (2, 3, 4), heads=4, order="hdw")
