from __future__ import annotations

import numpy as np
import torch

from umzoo.corruptions.bezier import LEVELS, Bezier, tabulate
from umzoo.fields import Rng


def make(**options: object) -> Bezier:
    return Bezier(Bezier.Config.parse(options))


def reference_map(values: np.ndarray, control: np.ndarray, decreasing: bool) -> np.ndarray:
    """The map by the description: 100,000 points of a cubic from (0, 0) to (1, 1), interpolated, clamped outside."""
    t = np.linspace(0, 1, 100_000)[:, None]
    points = 3 * t * (1 - t) ** 2 * control[0] + 3 * t**2 * (1 - t) * control[1] + t**3
    x, y = np.sort(points[:, 0]), np.sort(points[:, 1])
    return np.interp(values, x, y[::-1] if decreasing else y)


def test_maps_agree_with_the_reference(path: str) -> None:
    image = Rng(0).uniform((40, 1, 16, 16, 8), -0.2, 1.2)
    bezier = make(p=1)
    params = bezier.draw(image, Rng(1))
    result = bezier.apply(image, params)
    for item, mapped, control, decreasing in zip(image, result, params["control"], params["decreasing"], strict=True):
        error = np.abs(mapped.numpy() - reference_map(item.numpy(), control.numpy(), bool(decreasing)))
        assert np.median(error) < 3e-4
        assert np.quantile(error, 0.99) < 5e-3


def test_tables_are_monotone_as_drawn_and_end_at_the_corners() -> None:
    control = Rng(0).uniform((200, 2, 2))
    decreasing = torch.arange(200) % 2 == 1
    steps = tabulate(control, decreasing).diff()
    assert (steps[~decreasing] >= -1e-6).all()
    assert (steps[decreasing] <= 1e-6).all()
    ends = tabulate(control, decreasing)[:, [0, LEVELS - 1]]
    assert torch.allclose(ends[~decreasing], torch.tensor([0.0, 1.0]))
    assert torch.allclose(ends[decreasing], torch.tensor([1.0, 0.0]))


def test_straight_control_points_change_nothing() -> None:
    table = tabulate(torch.tensor([[[1 / 3, 1 / 3], [2 / 3, 2 / 3]]]), torch.tensor([False]))
    assert torch.allclose(table[0], torch.linspace(0, 1, LEVELS), atol=1 / LEVELS)


def test_values_outside_the_unit_range_are_clamped(image: torch.Tensor, path: str) -> None:
    bezier = make(p=1)
    params = bezier.draw(image, Rng(1))
    inside, outside = image.clone(), image.clone()
    inside[..., 0], inside[..., 1] = 0, 1
    outside[..., 0], outside[..., 1] = -5e9, 7e9
    assert torch.equal(bezier.apply(inside, params), bezier.apply(outside, params))


def test_share_of_decreasing_and_of_untouched() -> None:
    params = make().draw(torch.empty(4000, 1, 1, 1, 1), Rng(0))
    assert abs(params["applied"].double().mean() - 0.9) < 0.02
    assert abs(params["decreasing"].double().mean() - 0.5) < 0.04


def test_all_paths_agree(image: torch.Tensor, path: str) -> None:
    bezier = make(p=0.5)
    params = bezier.draw(image, Rng(3))
    assert torch.equal(bezier.apply(image, params), bezier.apply_batch(image, params))
