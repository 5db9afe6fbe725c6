from __future__ import annotations

import torch

from umzoo.corruptions.gamma import Gamma
from umzoo.corruptions.noise import Noise
from umzoo.fields import Rng


def test_noise_has_the_strength_drawn() -> None:
    image = torch.full((8, 1, 32, 32, 32), 0.5)
    noise = Noise(Noise.Config(p=1, std=(0.01, 0.08)))
    params = noise.draw(image, Rng(0))
    result = noise.apply(image, params)
    assert torch.allclose(result.std((1, 2, 3, 4)), params["std"], rtol=0.03)
    assert ((params["std"] >= 0.01) & (params["std"] <= 0.08)).all()
    assert torch.allclose(result.mean((1, 2, 3, 4)), torch.tensor(0.5), atol=0.003)
    assert torch.equal(result, noise.apply_batch(image, params))


def test_noise_stays_in_the_unit_range(image: torch.Tensor) -> None:
    noise = Noise(Noise.Config(p=1, std=(0.5, 0.5)))
    result = noise.apply(image, noise.draw(image, Rng(0)))
    assert result.min() == 0 and result.max() == 1


def test_gamma_is_the_power_drawn(image: torch.Tensor) -> None:
    gamma = Gamma(Gamma.Config(p=1, invert=0.5))
    params = gamma.draw(image, Rng(4))
    result = gamma.apply(image, params)
    for before, after, exponent, inverted in zip(image, result, params["gamma"], params["inverted"], strict=True):
        expected = 1 - (1 - before) ** exponent if inverted else before**exponent
        assert torch.allclose(after, expected, atol=1e-6)
    assert params["inverted"].any() and not params["inverted"].all()
    assert torch.allclose(result, gamma.apply_batch(image, params), atol=1e-6)
