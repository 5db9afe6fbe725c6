from __future__ import annotations

import numpy as np
import torch

from umzoo.corruptions.flip import Flip
from umzoo.fields import Rng


def make(**options: object) -> Flip:
    return Flip(Flip.Config.parse(options))


def reference_law(count: int, p: float, rng: np.random.Generator) -> np.ndarray:
    """How often axes 0, 1, 2 end up flipped, by the description: up to three rounds, each with probability p."""
    flipped = np.zeros((count, 3), bool)
    for item in flipped:
        for _ in range(3):
            if rng.random() >= p:
                break
            item[rng.integers(3)] ^= True
    return flipped.mean(0)


def test_shares_agree_with_the_reference_and_depth_is_left_alone() -> None:
    count = 20_000
    drawn = make().draw(torch.empty(count, 1, 4, 4, 4), Rng(1))["axes"].double().mean(0)
    reference = reference_law(count, 0.4, np.random.default_rng(0))
    assert drawn[0] == 0
    assert np.allclose(drawn[1:], reference[1:], atol=0.015)
    assert np.allclose(drawn[1:], 0.154, atol=0.01)


def test_depth_takes_the_place_of_the_idle_axis() -> None:
    drawn = make(depth=True).draw(torch.empty(20_000, 1, 4, 4, 4), Rng(1))["axes"].double().mean(0)
    assert np.allclose(drawn, 0.154, atol=0.01)


def test_flips_are_those_recorded(image: torch.Tensor) -> None:
    flip = make(p=1.0, depth=True)
    params = flip.draw(image, Rng(0))
    result = flip.apply(image, params)
    for before, after, axes in zip(image, result, params["axes"], strict=True):
        assert torch.equal(after, before.flip([dim for dim in (1, 2, 3) if axes[dim - 1]]))
    assert torch.equal(result, flip.apply_batch(image, params))
    assert flip.alters_target
