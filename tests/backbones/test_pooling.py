"""Pooling over space: against plain sums, under a mask, and refusals."""

import pytest
import torch

from umzoo.backbones.pooling import POOLINGS, pool
from umzoo.errors import ConfigError
from umzoo.fields import Rng

LEVEL = Rng(0).normal((2, 3, 4, 4, 4))


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ("mean", LEVEL.mean((2, 3, 4))),
        ("max", LEVEL.amax((2, 3, 4))),
        ("std", LEVEL.std((2, 3, 4), correction=0)),
        ("mean+max", torch.cat((LEVEL.mean((2, 3, 4)), LEVEL.amax((2, 3, 4))), 1)),
    ],
)
def test_against_plain_reductions(pooling, expected):
    torch.testing.assert_close(pool(LEVEL, pooling), expected)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_what_is_masked_does_not_matter(pooling):
    mask = torch.zeros(1, 1, 4, 4, 4)
    mask[..., :2] = 1
    other = torch.where(mask > 0, LEVEL, LEVEL + 100)
    torch.testing.assert_close(pool(LEVEL, pooling, mask), pool(other, pooling, mask), atol=1e-5, rtol=1e-5)
    assert torch.isfinite(pool(LEVEL, pooling, torch.zeros_like(mask))).all()
    assert not pool(LEVEL, pooling, torch.zeros_like(mask)).any()


def test_behind_an_instance_norm_the_spread_tells_what_the_mean_does_not():
    normed = torch.nn.functional.instance_norm(LEVEL).relu()
    assert pool(torch.nn.functional.instance_norm(LEVEL), "mean").abs().max() < 1e-5
    assert pool(normed, "octants").std(0).mean() > pool(normed, "mean").std(0).mean()


def test_refusals():
    with pytest.raises(ConfigError, match="did you mean.*mean"):
        pool(LEVEL, "meen")
    with pytest.raises(ConfigError, match="mask must broadcast"):
        pool(LEVEL, "mean", torch.ones(1, 1, 3, 4, 4))
    with pytest.raises(ConfigError, match=r"\(B, C, D, H, W\)"):
        pool(LEVEL[0], "mean")
