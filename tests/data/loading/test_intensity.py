import pytest
import torch

from umzoo.data.loading.intensity import enter, leave, to_unit
from umzoo.fields import Rng


def batch(count=4, edge=24, width=0.0):
    voxels = torch.full((count, 1, edge, edge, edge), 300, dtype=torch.int16)
    return {
        "voxels": voxels,
        "window": torch.tensor([[-200.0, 800.0]] * count),
        "mean": torch.linspace(0.2, 0.5, count),
        "std": torch.linspace(0.1, 0.3, count),
        "width": torch.full((count,), width),
        "scale": torch.zeros(count, dtype=torch.int64),
    }


def test_the_window_becomes_the_unit_interval():
    fields = batch(1, edge=4)
    fields["voxels"][0, 0, 0, 0] = torch.tensor([-32768, -200, 800, 32767])
    unit = to_unit(fields)
    assert unit["image"][0, 0, 0, 0].tolist() == [0, 0, 1, 1] and unit["image"][0, 0, 1, 1, 1] == 0.5
    assert "voxels" not in unit and "window" not in unit and "scale" in unit
    assert "voxels" in fields


def test_noise_goes_to_matched_crops_only_and_needs_an_rng():
    fields = batch()
    fields["width"][1:3] = 2.5
    spread = to_unit(fields, Rng(0))["image"].flatten(1).std(dim=1)
    assert (spread[[0, 3]] == 0).all() and (spread[1:3] > 0.002).all()
    assert (to_unit(fields)["image"] == 0.5).all()


def test_noise_is_a_pure_function_of_the_rng_and_within_bounds():
    fields = batch(8, width=2.5)
    first, second, other = (to_unit(fields, Rng(key))["image"] for key in (1, 1, 2))
    assert torch.equal(first, second) and not torch.equal(first, other)
    spread = first.flatten(1).std(dim=1)
    assert (spread > 0.0028 * 0.8).all() and (spread < 0.0425 * 1.2).all()


def test_noise_is_smooth_like_the_crop():
    fields = batch(8, width=3.0)
    noise = to_unit(fields, Rng(0))["image"] - 0.5
    correlation = (noise[..., 1:] * noise[..., :-1]).mean(dim=(1, 2, 3, 4)) / noise.square().mean(dim=(1, 2, 3, 4))
    assert (correlation > 0).all() and correlation.max() > 0.3 and correlation.min() < 0.6


@pytest.mark.parametrize("views", [1, 2, 3])
def test_leave_inverts_enter_for_any_number_of_views(views):
    fields = batch()
    image = torch.rand(views * 4, 1, 3, 3, 3)
    inside = enter(image, fields, "zscore")
    assert torch.allclose(leave(inside, fields, "zscore"), image, atol=1e-6)
    expected = (image[4 * (views - 1) + 1] - fields["mean"][1]) / fields["std"][1]
    assert torch.allclose(inside[4 * (views - 1) + 1], expected)
    assert enter(image, fields, "unit") is image and leave(image, fields, "unit") is image
