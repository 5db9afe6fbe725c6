"""The same parameters give what batchgeneratorsv2 gives, and parameters and results have its distribution."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp

from umzoo.augmentation import DefaultAugmentation
from umzoo.augmentation.draws import Draws
from umzoo.augmentation.gray_levels import blur, change_contrast, change_gamma, coarsen
from umzoo.augmentation.space import center, matrices, resample, resample_compiled
from umzoo.fields import Rng
from umzoo.testing.simulated_device import simulated_device

pytest.importorskip("batchgeneratorsv2")
SIZE = (14, 11, 12)


def channels(count=2, size=SIZE, seed=0):
    coarse = torch.rand(count, 1, 4, 4, 4, generator=torch.Generator().manual_seed(seed))
    noise = torch.rand(count, *size, generator=torch.Generator().manual_seed(seed + 1))
    return torch.nn.functional.interpolate(coarse, size, mode="trilinear")[:, 0] + 0.2 * noise


@pytest.mark.parametrize("sigmas", [(0.5, 0.6, 0.75), (0.58, 0.8, 1.0), (0.9, 0.93, 0.5834)])
def test_blur_is_theirs(sigmas):
    from batchgeneratorsv2.transforms.noise.gaussian_blur import blur_dimension

    expected = channels(1)
    for axis, sigma in enumerate(sigmas):
        expected = blur_dimension(expected, sigma, axis)
    made = channels(2)
    made[0] = channels(1)[0]
    blur(made, [0], torch.tensor([sigmas, sigmas]))
    torch.testing.assert_close(made[:1], expected, atol=1e-5, rtol=0)
    assert torch.equal(made[1], channels(2)[1])


@pytest.mark.parametrize(("scale", "planar"), [(0.5, False), (0.73, False), (0.99, False), (0.62, True)])
def test_low_resolution_is_theirs(scale, planar):
    from batchgeneratorsv2.transforms.spatial.low_resolution import SimulateLowResolutionTransform

    theirs = SimulateLowResolutionTransform((0.5, 1), False, True, (0,) if planar else None)
    scales = torch.tensor([[1.0 if planar else scale, scale, scale]])
    expected = theirs._apply_to_image(channels(), apply_to_channel=[1], scales=scales)
    made = channels()
    coarsen(made, [1], torch.tensor([0.0, scale]), planar)
    torch.testing.assert_close(made, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("factor", [0.75, 1.4])
@pytest.mark.parametrize("inverted", [False, True])
def test_gamma_and_contrast_are_theirs(factor, inverted):
    from batchgeneratorsv2.transforms.intensity.contrast import ContrastTransform
    from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform

    index, factors = torch.tensor([1]), torch.tensor([factor])
    gamma = GammaTransform(1.0, 0, False, 1, 1)
    yes = torch.tensor([True])
    given = {"apply_to_channel": index, "retain_stats": yes, "invert_image": yes & inverted, "gamma": factors}
    made = channels()
    change_gamma(made, [1], torch.tensor([0.0, factor]), inverted)
    torch.testing.assert_close(made, gamma._apply_to_image(channels(), **given), atol=1e-5, rtol=0)
    contrast = ContrastTransform(1.0, True, False)
    change_contrast(again := channels(), [1], torch.tensor([0.0, factor]))
    expected = contrast._apply_to_image(channels(), apply_to_channel=index, multipliers=factors)
    torch.testing.assert_close(again, expected, atol=1e-5, rtol=0)


def spatial(patch, **options):
    from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform

    return SpatialTransform(
        patch,
        0,
        False,
        p_synchronize_scaling_across_axes=1,
        border_mode_seg="constant",
        padding_value_seg=-1,
        **options,
    )


@pytest.mark.parametrize("labels", [2, 4])
@pytest.mark.parametrize("scale", [0.7, 1.4])
def test_turned_images_and_labels_are_theirs(labels, scale):
    patch, image = (10, 11, 8), channels(2)
    label = torch.from_numpy(np.digitize(channels(1, seed=5).numpy(), np.linspace(0, 1, labels + 1)[1:-1])).short()
    theirs = spatial(patch, p_rotation=1, rotation=(-0.6, 0.6), p_scaling=1, scaling=(scale, scale))
    np.random.seed(labels)
    drawn = theirs.get_parameters(image=image)
    turn = torch.from_numpy(drawn["affine"]).float()[None]
    made, target = resample(image[None], label[None], turn, patch, None)
    torch.testing.assert_close(made[0], theirs._apply_to_image(image, **drawn), atol=1e-5, rtol=0)
    assert (target[0] == theirs._apply_to_segmentation(label, **drawn)).float().mean() > 0.998
    assert len(target.unique()) >= labels


@pytest.mark.parametrize("values", [1, 2, 5])
@pytest.mark.parametrize("scale", [0.6, 1.0, 1.7])
def test_compiled_loops_do_as_tensor_operations(values, scale):
    loops = pytest.importorskip("umzoo.augmentation.compiled")
    turns = scale * matrices(Draws(Rng(5, items=range(40)), 40), 40, 0.7, False)[0]
    image = torch.stack([channels(2, seed=seed) for seed in range(len(turns))])
    label = (image[:, :1] * values).clamp(max=values - 1).short()
    made, target = resample(image, label, turns, (10, 11, 8), None)
    ours, labels = torch.empty_like(made), torch.empty_like(target)
    for row, turn in enumerate(turns):
        resample_compiled(loops, image[row], label[row], turn, ours[row], labels[row])
    torch.testing.assert_close(ours, made, atol=1e-4, rtol=0)
    assert (labels == target).float().mean() > 0.999
    assert scale < 1.7 or (target == -1).any()


def test_the_middle_is_theirs():
    for size, patch in (((14, 11, 12), (10, 8, 11)), ((9, 9, 9), (12, 8, 9))):
        image = channels(2, size)
        theirs = spatial(patch)
        expected = theirs._apply_to_image(image, grid=None, center_location_in_pixels=[n / 2 for n in size])
        assert torch.equal(center(image, patch, 0), expected)


def test_matrices_have_their_distribution():
    theirs = spatial((2, 2, 2), p_rotation=0.2, rotation=(-0.5, 0.5), p_scaling=0.2, scaling=(0.7, 1.4))
    np.random.seed(0)
    found = [theirs.get_parameters(image=torch.zeros(1, 2, 2, 2))["affine"] for _ in range(1500)]
    ours, rows = matrices(Draws(Rng(3), 6000), 6000, 0.5, False)
    changed = [one for one in found if one is not None]
    assert len(rows) / 6000 == pytest.approx(0.36, abs=0.02)
    assert len(changed) / 1500 == pytest.approx(0.36, abs=0.04)
    sides = np.stack(changed), ours[rows].double().numpy()
    for entry in range(9):
        assert ks_2samp(*(side.reshape(-1, 9)[:, entry].round(5) for side in sides)).pvalue > 1e-3, entry
    assert ks_2samp(*(np.linalg.det(side).round(5) for side in sides)).pvalue > 1e-3
    planar, _ = matrices(Draws(Rng(4), 50), 50, 3.0, True)
    assert (planar[:, 0] == torch.tensor([1.0, 0, 0])).all() and (planar[:, :, 0] == torch.tensor([1.0, 0, 0])).all()


@pytest.mark.parametrize("planar", [False, True])
def test_a_device_gives_what_the_cpu_gives(planar):
    image = torch.stack([channels(2, seed=seed) for seed in range(12)])
    label = (image[:, :1] > 0.5).short()
    augment = DefaultAugmentation((8, 8, 8), 0.5, planar=planar, labels=[-1, 0, 1])
    expected = augment(image, label, Rng(2, items=range(12)))
    with simulated_device() as device:
        made = augment(image.to(device), label.to(device), Rng(2, device=device, items=range(12)))
        found = [it.cpu() for it in made]
    torch.testing.assert_close(found[0], expected[0], atol=1e-4, rtol=0)
    assert (found[1] == expected[1]).float().mean() > 0.999


def test_it_is_a_function_of_the_draws_of_each_item():
    image = torch.stack([channels(2, seed=seed) for seed in range(8)])
    augment = DefaultAugmentation((8, 8, 8), 0.5)
    whole, _ = augment(image, None, Rng(1, items=range(8)))
    part, _ = augment(image[3:5], None, Rng(1, items=range(3, 5)))
    torch.testing.assert_close(whole[3:5], part, atol=1e-6, rtol=0)
    assert not torch.allclose(augment(image, None, Rng(2, items=range(8)))[0], whole)


def test_every_mirroring_is_as_frequent_and_labels_follow_the_image():
    count, patch = 400, (4, 4, 4)
    label = torch.arange(64, dtype=torch.int16).view(1, 1, 4, 4, 4).expand(count, -1, -1, -1, -1)
    augment = DefaultAugmentation(patch, 0.0, mirror_axes=(0, 2))
    image, target = augment(label.float(), label, Rng(6, items=range(count)))
    flips = [[axis for axis, chosen in ((0, a), (2, b)) if chosen] for a in (0, 1) for b in (0, 1)]
    same = [(target[:, 0] == label[0, 0].flip(axes)).flatten(1).all(1) for axes in flips]
    found = [int(rows.sum()) for rows in same]
    assert sum(found) > 0.75 * count, "four of five are not scaled"
    assert max(found) - min(found) < 0.12 * count
    for rows, axes in zip(same, flips, strict=True):
        likeness = torch.corrcoef(
            torch.stack([image[rows].mean(0).flatten(), label[0].float().flip([1 + axis for axis in axes]).flatten()])
        )
        assert likeness[0, 1] > 0.9
