import math

import pytest
import torch

from umzoo.engine.feature_health import decline, feature_health


def test_features_of_full_rank_have_nearly_that_effective_rank():
    features = torch.randn(512, 8, generator=torch.Generator().manual_seed(0))
    assert feature_health(features)["health.rank"] == pytest.approx(8, abs=0.2)
    assert feature_health(5 * features + 3)["health.rank"] == pytest.approx(feature_health(features)["health.rank"])


@pytest.mark.parametrize("rank", [1, 3])
def test_the_effective_rank_is_at_most_the_rank(rank):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(64, rank, generator=generator) @ torch.randn(rank, 16, generator=generator)
    assert rank - 0.7 < feature_health(features)["health.rank"] <= rank + 1e-3


def test_channels_that_do_not_vary_are_dead():
    features = torch.randn(64, 8, generator=torch.Generator().manual_seed(0))
    features[:, :2] = 4.0
    assert feature_health(features)["health.dead"] == 0.25


def test_features_that_are_all_the_same_are_dead():
    health = feature_health(torch.ones(16, 4))
    assert health == {"health.rank": 0, "health.std": 0, "health.dead": 1}


def test_what_cannot_be_told_is_nan():
    assert all(math.isnan(value) for value in feature_health(torch.ones(1, 4)).values())
    assert all(math.isnan(value) for value in feature_health(torch.full((4, 4), torch.nan)).values())


def test_a_fall_is_told_once_it_is_one():
    first = {"health.rank": 8.0, "health.dead": 0.1}
    assert decline(first, {"health.rank": 5.0, "health.dead": 0.2}) is None
    assert "from 8.0 to 2.0" in decline(first, {"health.rank": 2.0, "health.dead": 0.1})
    assert "50%" in decline(first, {"health.rank": 8.0, "health.dead": 0.5})
