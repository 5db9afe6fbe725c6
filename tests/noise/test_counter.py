from __future__ import annotations

import numpy as np
import pytest
import torch

from umzoo.fields import Rng
from umzoo.noise.counter import CHUNK, integers_between, normal_like, uniform_, uniform_like, words

SEED = torch.tensor(1234, dtype=torch.int32)


def test_uniform_is_flat_and_independent_of_neighbors() -> None:
    noise = uniform_like(SEED, torch.empty(1, 64, 64, 64)).flatten().double()
    counts = torch.histc(noise, 64, 0, 1)
    expected = len(noise) / 64
    assert ((counts - expected) ** 2 / expected).sum() < 63 + 6 * (2 * 63) ** 0.5
    centered = (noise - 0.5) * 12**0.5
    for lag in (1, 2, 3, 64, 65, 4096):
        correlation = (centered[:-lag] * centered[lag:]).mean()
        assert abs(correlation) < 5 / len(noise) ** 0.5, lag
    assert noise.min() > 0 and noise.max() < 1


def test_streams_of_different_seeds_are_uncorrelated() -> None:
    seeds = torch.arange(64, dtype=torch.int32)
    noise = uniform_(torch.empty(64, 4096), seeds)
    correlation = np.corrcoef(noise.numpy()) - np.eye(64)
    assert np.abs(correlation).max() < 5.5 / 64
    assert abs(noise[:, 0].mean() - 0.5) < 5 * (1 / 12 / 64) ** 0.5


def test_every_bit_of_a_word_is_fair() -> None:
    bits = (words(SEED, 0, 1 << 16)[:, None] >> torch.arange(32)) & 1
    assert (bits.double().mean(0) - 0.5).abs().max() < 5 * 0.5 / 256


@pytest.mark.parametrize("length", [1, 7, 2 * CHUNK + 3])
def test_noise_depends_on_the_position_only(length: int) -> None:
    long = uniform_(torch.empty(2 * CHUNK + 10), SEED)
    assert torch.equal(uniform_(torch.empty(length), SEED), long[:length])
    batch = uniform_(torch.empty(2, length), torch.stack([SEED, SEED + 1]))
    assert torch.equal(batch[0], long[:length])


def test_words_continue_where_they_were_left() -> None:
    assert torch.equal(words(SEED, 0, 100)[40:], words(SEED, 40, 100))


def test_normal_noise_has_the_right_moments() -> None:
    noise = normal_like(SEED, torch.empty(1, 64, 64, 64)).double()
    assert noise.isfinite().all()
    assert abs(noise.mean()) < 0.01
    assert abs(noise.std() - 1) < 0.01
    assert abs((noise**4).mean() - 3) < 0.1


def test_integers_between_reaches_both_ends() -> None:
    low = torch.tensor([2, -3, 7]).expand(4000, 3)
    high = torch.tensor([5, -1, 7]).expand(4000, 3)
    drawn = integers_between(Rng(0), low, high)
    assert drawn.amin(0).tolist() == [2, -3, 7]
    assert drawn.amax(0).tolist() == [5, -1, 7]
    assert abs(drawn[:, 0].double().mean() - 3.5) < 0.1
