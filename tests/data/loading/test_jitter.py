from __future__ import annotations

import importlib.util

import pytest
import torch

from umzoo.data.loading.jitter import NOISE, add_jitter
from umzoo.fields import Rng
from umzoo.noise import fast

SIZE = (23, 30, 37)


def jitter(width, seed=0, items=(0, 1, 2), size=SIZE):
    image = torch.full((len(items), 1, *size), 0.5)
    add_jitter(image, torch.as_tensor(width, dtype=torch.float32).expand(len(items)), Rng(seed, items=items))
    return image - 0.5


@pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="numba is not installed")
@pytest.mark.parametrize("width", [1.0, 1.5, 4.0, 7.3])
def test_loops_do_what_tensor_operations_do(width, monkeypatch):
    compiled = jitter(width)
    monkeypatch.setattr(fast, "kernels", lambda module: None)
    torch.testing.assert_close(compiled, jitter(width), rtol=0, atol=1e-6)
    assert not torch.equal(compiled[0], compiled[1])


def test_an_item_does_not_depend_on_the_others_in_its_batch():
    assert torch.equal(jitter(2.0, items=(5, 3))[0], jitter(2.0, items=(1, 2, 5))[2])
    assert not torch.equal(jitter(2.0, seed=1)[0], jitter(2.0)[0])
    mixed = torch.tensor([0.0, 2.0, 0.0])
    assert (jitter(mixed)[[0, 2]] == 0).all() and torch.equal(jitter(mixed)[1], jitter(2.0)[1])


def test_strength_is_the_same_at_the_borders_and_inside(monkeypatch):
    monkeypatch.setattr("umzoo.data.loading.jitter.NOISE", (0.02, 0.02))
    noise = jitter(3.5, items=range(40), size=(16, 16, 16))
    inside, border = noise[..., 6:10].std().item(), noise[..., 0].std().item()
    assert inside == pytest.approx(0.02 * 2**0.5, rel=0.03) and border == pytest.approx(inside, rel=0.06)
    corner = noise[:, 0, :2, :2, :2].std().item()
    assert corner == pytest.approx(inside, rel=0.25)


def test_noise_is_centered_and_close_to_gaussian():
    for width in (1.5, 4.0):
        noise = jitter(width, items=range(8)).flatten(1).double()
        noise = noise / noise.std(dim=1, keepdim=True)
        assert noise.mean().abs() < 0.15
        assert -0.45 < noise.pow(4).mean() - 3 < 0.1
    assert NOISE[0] < NOISE[1]
