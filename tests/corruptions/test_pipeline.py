from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from umzoo.corruptions.base import Corruption
from umzoo.corruptions.pipeline import Pipeline
from umzoo.errors import ComponentError, DataError
from umzoo.fields import Fields, Rng
from umzoo.noise import fast
from umzoo.plugins import zoo

GENESIS = ("flip", "local_shuffle", "bezier", "paint")
ALL = (*GENESIS, "noise", "gamma", {"name": "local_shuffle", "law": "exact"})


def build(*specs: str | dict[str, object]) -> Pipeline:
    return Pipeline([zoo().corruptions.build(spec) for spec in specs])


class Brighter(Corruption):
    """A stranger's corruption: batched only."""

    name = "brighter"

    def draw(self, image: torch.Tensor, rng: Rng) -> Fields:
        return {"by": rng.uniform((len(image),), 0, 0.1)}

    def apply(self, image: torch.Tensor, params: Fields) -> torch.Tensor:
        return (image + params["by"].view(-1, 1, 1, 1, 1)).clamp(0, 1)


def test_same_rng_same_result_and_the_input_is_left_alone(image: torch.Tensor, path: str) -> None:
    kept = image.clone()
    one, other = build(*ALL), build(*ALL)
    corrupted, clean, draws = one(image, Rng(3, 4))
    again, clean_again, _ = other(image, Rng(3, 4))
    different, _, _ = other(image, Rng(3, 5))
    assert torch.equal(image, kept)
    assert torch.equal(corrupted, again) and torch.equal(clean, clean_again)
    assert not torch.equal(corrupted, different)
    assert all(torch.equal(a, b) for a, b in zip(one.apply(image, draws), (corrupted, clean), strict=True))
    assert corrupted.min() >= 0 and corrupted.max() <= 1


def test_pipeline_equals_its_corruptions_one_after_the_other(image: torch.Tensor, path: str) -> None:
    pipeline = Pipeline([*build(*ALL).corruptions, Brighter(None)])
    for seed in range(4):
        draws = pipeline.draw(image, Rng(seed))
        corrupted, clean = pipeline.apply(image, draws)
        step, target = image, image
        for corruption, params in zip(pipeline.corruptions, draws, strict=True):
            step = corruption.apply(step, params)
            target = corruption.apply(target, params) if corruption.alters_target else target
        assert torch.equal(corrupted, step)
        assert torch.equal(clean, target)
        assert all(torch.equal(a, b) for a, b in zip(pipeline._apply_batch(image, draws), (step, target), strict=True))


def test_clean_is_flipped_only(image: torch.Tensor) -> None:
    pipeline = build({"name": "flip", "p": 1.0, "depth": True}, "bezier", "paint")
    _, clean, draws = pipeline(image, Rng(0))
    assert torch.equal(clean, pipeline.corruptions[0].apply(image, draws[0]))
    assert not torch.equal(clean, image)


@pytest.mark.parametrize("name", ["flip", "local_shuffle", "bezier", "paint", "noise", "gamma"])
def test_p_0_is_the_identity_and_says_so(
    name: str, image: torch.Tensor, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    with caplog.at_level(logging.WARNING):
        pipeline = build({"name": name, "p": 0})
    assert len(caplog.records) == 1 and name in caplog.text
    corrupted, clean, draws = pipeline(image, Rng(0))
    assert torch.equal(corrupted, image) and torch.equal(clean, image)
    corruption = pipeline.corruptions[0]
    assert torch.equal(getattr(corruption, "apply_batch", corruption.apply)(image, draws[0]), image)


@pytest.mark.parametrize("spec", ALL)
def test_an_item_does_not_depend_on_the_others(spec: str | dict[str, object], image: torch.Tensor, path: str) -> None:
    corruption = build(spec).corruptions[0]
    params = corruption.draw(image, Rng(1))
    whole = corruption.apply(image, params)
    others = image.flip(0)
    others[2] = image[2]
    assert torch.equal(corruption.apply(others, params)[2], whole[2])
    alone = corruption.apply(image[2:3], {name: value[2:3] for name, value in params.items()})
    assert torch.equal(alone[0], whole[2])
    assert all(len(value) == len(image) for value in params.values())


def test_one_more_corruption_leaves_the_draws_of_the_others(image: torch.Tensor) -> None:
    few, more = build(*GENESIS).draw(image, Rng(7)), build(*GENESIS, "noise", "gamma").draw(image, Rng(7))
    for one, other in zip(few, more, strict=False):
        assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("size", [(8, 8, 8), (9, 12, 7), (16, 32, 32)])
def test_small_and_odd_sizes(size: tuple[int, int, int], path: str) -> None:
    image = Rng(0).uniform((12, 1, *size))
    corrupted, _, _ = build(*ALL)(image, Rng(0))
    assert corrupted.shape == image.shape and corrupted.isfinite().all()
    assert (corrupted != image).double().mean() > 0.5


def test_images_need_not_be_contiguous(image: torch.Tensor) -> None:
    turned = image.transpose(2, 4)
    pipeline = build(*ALL)
    for corruption in pipeline.corruptions:
        params = corruption.draw(turned, Rng(0))
        batched = getattr(corruption, "apply_batch", corruption.apply)
        assert torch.allclose(batched(turned, params), corruption.apply(turned.contiguous(), params), atol=1e-6)
    assert torch.equal(pipeline(turned, Rng(0))[0], pipeline(turned.contiguous(), Rng(0))[0])


def test_z_scored_images_are_refused() -> None:
    scored = Rng(0).normal((2, 1, 16, 16, 16))
    with pytest.raises(DataError, match=r"expect images in \[0, 1\], got values from -"):
        build("bezier")(scored, Rng(0))


def test_gray_values_survive_on_unit_images() -> None:
    """The map of z-scores collapses two thirds of the voxels onto two constants; on [0, 1] hardly any."""
    image = Rng(0).uniform((8, 1, 16, 16, 16))
    mapped = build({"name": "bezier", "p": 1})(image, Rng(0))[0]
    for item in mapped:
        commonest = np.sort(np.unique(item.numpy(), return_counts=True)[1])[-2:].sum()
        assert commonest < 0.02 * item.numel()


def test_a_draw_that_returns_nothing_is_named(image: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Brighter, "draw", lambda *_: None)
    with pytest.raises(ComponentError, match="corruption 'brighter'.*draw must return a dictionary.*NoneType"):
        Pipeline([*build("flip").corruptions, Brighter(None)])(image, Rng(0))


def test_no_corruptions_give_the_image_back(image: torch.Tensor) -> None:
    corrupted, clean, draws = Pipeline([])(image, Rng(0))
    assert torch.equal(corrupted, image) and torch.equal(clean, image) and draws == []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_agrees_with_the_cpu(image: torch.Tensor) -> None:
    """Parameters are equal, and so are results, but for rounding; the exact shuffle only has the same law."""
    pipeline = build(*GENESIS, "noise", "gamma")
    here = pipeline(image, Rng(3))
    there = pipeline(image.cuda(), Rng(3, device="cuda"))
    assert there[0].is_cuda and there[1].is_cuda
    for one, other in zip(here[2], there[2], strict=True):
        assert all(torch.allclose(one[name], other[name].cpu()) for name in one)
    assert torch.allclose(here[0], there[0].cpu(), atol=1e-5)
    assert torch.equal(here[1], there[1].cpu())
    exact = build({"name": "local_shuffle", "law": "exact", "p": 1.0})
    moved = [(exact(x, Rng(0, device=x.device))[0] != x).double().mean().item() for x in (image, image.cuda())]
    assert moved[0] == pytest.approx(moved[1], abs=0.03)


def test_numba_that_cannot_be_used_is_done_without(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(name: str) -> None:
        raise ImportError("Numba needs NumPy 2.3 or less")

    monkeypatch.setattr(fast.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(fast.importlib, "import_module", broken)
    assert fast.kernels.__wrapped__("corruptions.compiled") is None
    assert "Numba needs NumPy" in caplog.text
