"""Adapted tensors: each keeps the response that it says it keeps."""

import pytest
import torch
from torch.nn import functional

from umzoo.fields import Rng
from umzoo.weights.transfer import adapt

close = torch.testing.assert_close


def normal(*shape):
    return Rng(0, len(shape), sum(shape)).normal(shape)


@pytest.mark.parametrize(("source", "target"), [(1, 4), (2, 4), (2, 3), (4, 1), (4, 2), (3, 2)])
def test_repeated_channels_keep_the_response(source, target):
    weight, least = normal(2, source, 3, 3, 3), normal(1, min(source, target), 6, 6, 6)
    seen = [least[:, torch.arange(count) % least.shape[1]] for count in (source, target)]
    close(functional.conv3d(seen[1], adapt.fit_channels(weight, target, "repeat")), functional.conv3d(seen[0], weight))


@pytest.mark.parametrize(("source", "target"), [(1, 3), (3, 1), (4, 3), (2, 5)])
def test_equal_channels_keep_the_response_of_the_mean(source, target):
    weight, image = normal(2, source, 3, 3, 3), normal(1, 1, 6, 6, 6)
    adapted = adapt.fit_channels(weight, target, "mean")
    assert torch.equal(adapted[:, 0], adapted[:, -1])
    close(functional.conv3d(image.repeat(1, target, 1, 1, 1), adapted),
          functional.conv3d(image.repeat(1, source, 1, 1, 1), weight))  # fmt: skip


def test_extra_channels_can_start_at_zero():
    weight = normal(2, 2, 3, 3, 3)
    more, fewer = adapt.fit_channels(weight, 4, "zero"), adapt.fit_channels(weight, 1, "zero")
    assert torch.equal(more[:, :2], weight) and not more[:, 2:].any()
    assert torch.equal(fewer, weight[:, :1])


def test_channels_by_name():
    weight = normal(2, 3, 1, 1, 1)
    picked = adapt.pick_channels(weight, ("t1", "t2", "flair"), ("flair", "adc", "t1"))
    assert torch.equal(picked[:, [0, 2]], weight[:, [2, 0]]) and not picked[:, 1].any()


@pytest.mark.parametrize(("old", "new"), [(3, 1), (5, 3), (7, 3), (7, 5), (5, 1)])
def test_smaller_kernels_keep_the_response_to_a_constant(old, new):
    weight, plane = normal(2, 3, old, 3, 3), normal(1, 3, 1, 6, 6)
    adapted = adapt.fit_kernel(weight, (new, 3, 3))
    close(functional.conv3d(plane.expand(-1, -1, new, -1, -1), adapted),
          functional.conv3d(plane.expand(-1, -1, old, -1, -1), weight))  # fmt: skip
    cropped = adapt.fit_kernel(weight, (new, 3, 3), "crop")
    assert torch.equal(cropped, weight[:, :, (old - new) // 2 :][:, :, :new])


@pytest.mark.parametrize(("old", "new"), [(1, 3), (3, 5), (3, 7), (1, 7)])
def test_greater_kernels_keep_the_response(old, new):
    weight, image = normal(2, 3, 3, old, 3), normal(1, 3, 8, 8, 8)
    adapted = adapt.fit_kernel(weight, (3, new, 3))
    close(functional.conv3d(image, adapted, padding=(1, new // 2, 1)),
          functional.conv3d(image, weight, padding=(1, old // 2, 1)))  # fmt: skip


def test_each_axis_on_its_own():
    weight = normal(1, 1, 3, 3, 5)
    adapted = adapt.fit_kernel(weight, (1, 5, 3))
    close(adapted[0, 0, 0, 1:4, 1], weight[0, 0, :, :, 2].sum(0))
    assert adapted.shape == (1, 1, 1, 5, 3) and not adapted[:, :, :, [0, 4]].any()


def test_upsampling_kernels():
    """Fewer outputs are means of those they replace; more repeat them."""
    weight, x = normal(3, 2, 2, 2, 2), normal(1, 3, 4, 4, 4)
    fine = functional.conv_transpose3d(x, weight, stride=2)
    coarse = functional.conv_transpose3d(x, adapt.fit_upsampling(weight, (1, 2, 2)), stride=(1, 2, 2))
    close(coarse, fine.unflatten(2, (4, 2)).mean(3))
    again = adapt.fit_upsampling(weight, (4, 2, 2))
    close(functional.conv_transpose3d(x, again, stride=(4, 2, 2)), fine.repeat_interleave(2, dim=2))


def test_patch_embeddings_keep_the_response_to_enlarged_patches():
    weight, patch = normal(5, 2, 4, 4, 4), normal(1, 2, 4, 4, 4)
    enlarged = functional.interpolate(patch, size=(8, 4, 6), mode="trilinear", align_corners=False)
    adapted = adapt.fit_patch_embedding(weight, (8, 4, 6))
    close(functional.conv3d(enlarged, adapted), functional.conv3d(patch, weight), rtol=1e-4, atol=1e-4)
    smaller = adapt.fit_patch_embedding(weight.mean((2, 3, 4), keepdim=True).expand_as(weight), (2, 4, 2))
    close(smaller.sum((2, 3, 4)), weight.mean((2, 3, 4)) * 64, rtol=1e-4, atol=1e-4)


def test_positions_by_grid_and_order():
    grid, wanted = (2, 3, 4), (4, 6, 8)
    volume = normal(1, 5, *grid)
    resized = functional.interpolate(volume, size=wanted, mode="trilinear", align_corners=False)
    expected = resized.flatten(2).transpose(1, 2)
    for order in ("dhw", "hdw", "wdh"):
        axes = [2 + "dhw".index(axis) for axis in order]
        tokens = volume.permute(0, 1, *axes).flatten(2).transpose(1, 2)
        assert torch.equal(adapt.fit_positions(tokens, grid, order, grid), volume.flatten(2).transpose(1, 2))
        close(adapt.fit_positions(tokens, grid, order, wanted), expected)


def test_widths_leave_the_target_alone_and_cut_new_inputs():
    weight, target = normal(2, 4, 3, 3, 3), normal(3, 6, 3, 3, 3)
    before = target.clone()
    filled = adapt.fit_widths(weight, target, inputs=2)
    assert torch.equal(target, before)
    assert torch.equal(filled[:2, [0, 1, 3, 4]], weight) and not filled[:2, [2, 5]].any()
    assert torch.equal(filled[2], target[2])
    narrow = adapt.fit_widths(weight, normal(1, 2, 3, 3, 3), inputs=2)
    assert torch.equal(narrow, weight[:1, [0, 2]])
    assert torch.equal(adapt.fit_widths(normal(3), torch.zeros(5)), torch.cat((normal(3), torch.zeros(2))))
