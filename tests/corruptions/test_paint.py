from __future__ import annotations

import numpy as np
import pytest
import torch

from umzoo.corruptions.paint import MARGIN, Paint, window_mask
from umzoo.fields import Rng

SIZE = (32, 64, 64)


def make(**options: object) -> Paint:
    return Paint(Paint.Config.parse(options))


def reference_share(inner: bool, rng: np.random.Generator) -> float:
    """Share of the volume inside the windows of one image, by the description."""
    inside = np.zeros(SIZE, bool)
    windows = 0 if inner else 1
    while windows < 5 and rng.random() < 0.95:
        windows += 1
    for _ in range(windows):
        box = []
        for s in SIZE:
            edge = rng.integers(s // 6, s // 3 + 1) if inner else s - rng.integers(3 * s // 7, 4 * s // 7 + 1)
            start = rng.integers(3, s - edge - 3 + 1)
            box.append(slice(start, start + edge))
        inside[tuple(box)] = True
    return float(inside.mean())


@pytest.mark.parametrize(("inner", "mean", "low", "high"), [(1.0, 0.055, 0, 0.082), (0.0, 0.32, 0.176, 0.399)])
def test_shares_agree_with_the_reference(inner: float, mean: float, low: float, high: float) -> None:
    params = make(p=1, inner=inner).draw(torch.empty(400, 1, *SIZE), Rng(0))
    shares = window_mask(params["start"], params["stop"], torch.Size(SIZE)).double().mean((1, 2, 3, 4)).numpy()
    rng = np.random.default_rng(1)
    reference = [reference_share(bool(inner), rng) for _ in range(400)]
    assert np.isclose(shares.mean(), mean, rtol=0.06)
    assert np.isclose(shares.mean(), np.mean(reference), rtol=0.06)
    assert np.allclose(np.quantile(shares, [0.05, 0.95]), [low, high], atol=0.03)
    assert np.isclose(shares.std(), np.std(reference), rtol=0.25)


@pytest.mark.parametrize("size", [SIZE, (8, 8, 8), (10, 13, 14), (6, 5, 4)])
@pytest.mark.parametrize("inner", [0.0, 1.0])
def test_windows_keep_within_bounds(size: tuple[int, int, int], inner: float) -> None:
    params = make(p=1, inner=inner).draw(torch.empty(500, 1, *size), Rng(0))
    start, edge = params["start"], params["stop"] - params["start"]
    used = (edge > 0).all(-1)
    assert ((edge > 0).any(-1) == used).all()
    for axis, s in enumerate(size):
        edges, starts = edge[..., axis][used], start[..., axis][used]
        low, high = (max(s // 6, 1), max(s // 3, 1)) if inner else (s - 4 * s // 7, s - 3 * s // 7)
        assert edges.min() >= low and edges.max() <= high
        assert (starts >= 0).all() and (starts + edges <= s).all()
        if s >= 14:
            assert starts.min() >= MARGIN and (starts + edges).max() <= s - MARGIN
    assert used[:, 0].all() if not inner else abs(used[:, 0].double().mean() - 0.95) < 0.05


def test_shares_of_kinds() -> None:
    params = make().draw(torch.empty(4000, 1, 16, 16, 16), Rng(0))
    assert abs((params["applied"] & params["inner"]).double().mean() - 0.18) < 0.02
    assert abs((params["applied"] & ~params["inner"]).double().mean() - 0.72) < 0.03


def test_paints_noise_where_it_says_and_nothing_else(image: torch.Tensor, path: str) -> None:
    paint = make(p=0.8, inner=0.5)
    for seed in range(5):
        params = paint.draw(image, Rng(seed))
        result = paint.apply(image, params)
        inside = window_mask(params["start"], params["stop"], image.shape[2:])
        painted = (inside == params["inner"].view(-1, 1, 1, 1, 1)) & params["applied"].view(-1, 1, 1, 1, 1)
        assert torch.equal(result[~painted], image[~painted])
        noise = result[painted].double()
        assert abs(noise.mean() - 0.5) < 0.01
        assert abs(noise.var() - 1 / 12) < 0.005


@pytest.mark.parametrize("size", [(20, 40, 30), (7, 9, 11), (8, 8, 8)])
def test_all_paths_agree(size: tuple[int, int, int], path: str) -> None:
    image = Rng(0).uniform((8, 2, *size))
    paint = make(inner=0.5)
    params = paint.draw(image, Rng(1))
    assert torch.equal(paint.apply(image, params), paint.apply_batch(image, params))


def test_noise_differs_between_items_and_channels() -> None:
    image = torch.zeros(2, 2, 16, 16, 16)
    paint = make(p=1, inner=0)
    result = paint.apply(image, paint.draw(image, Rng(0)))
    both = (result[0, 0] > 0) & (result[0, 1] > 0) & (result[1, 0] > 0)
    assert (result[0, 0][both] != result[0, 1][both]).double().mean() > 0.99
    assert (result[0, 0][both] != result[1, 0][both]).double().mean() > 0.99
