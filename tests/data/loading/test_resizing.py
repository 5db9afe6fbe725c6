import numpy as np
import pytest

from umzoo.data.loading.resizing import filter_matrix, least_width, resize

SHAPES = [((20, 24, 16), (10, 12, 8)), ((8, 9, 10), (16, 18, 20)), ((12, 12, 12), (12, 12, 12)), ((5, 7, 3), (8, 4, 6))]


def noise(shape, seed=0):
    return np.random.default_rng(seed).integers(-1000, 1000, shape).astype(np.int16)


@pytest.mark.parametrize(("before", "after"), SHAPES)
@pytest.mark.parametrize("width", [0.0, 2.0, 2.7])
def test_constant_stays_and_range_is_kept(before, after, width):
    assert (resize(np.full(before, 37, np.int16), after, after, width) == 37).all()
    result = resize(noise(before), after, after, width)
    assert result.shape == after and result.dtype == np.int16
    assert result.min() >= noise(before).min() and result.max() <= noise(before).max()


def test_same_size_at_least_width_is_the_identity():
    voxels = noise((6, 7, 8))
    assert resize(voxels, (6, 7, 8)) is voxels


@pytest.mark.parametrize(("before", "after"), [(32, 16), (32, 64), (32, 32), (30, 17)])
@pytest.mark.parametrize("width", [0.0, 2.5])
def test_a_ramp_stays_a_ramp_away_from_the_ends(before, after, width):
    ramp = filter_matrix(before, after, width) @ np.arange(before, dtype=np.float32)
    expected = (np.arange(after) + 0.5) * before / after - 0.5
    assert np.allclose(ramp[6:-6], expected[6:-6], atol=0.35 * before / after)
    assert np.allclose(np.diff(ramp[6:-6]).mean(), before / after, rtol=0.02)


def test_least_width_antialiases_downwards_and_interpolates_upwards():
    assert least_width(64, 32) == 1 and least_width(32, 64) == 2 and least_width(5, 5) == 1
    alternating = np.tile([-1.0, 1.0], 32).astype(np.float32)
    assert np.abs(filter_matrix(64, 16) @ alternating)[1:-1].max() < 0.02


def test_wider_is_smoother_and_too_narrow_is_widened():
    voxels = noise((16, 16, 16))
    spread = [resize(voxels, (16, 16, 16), width=width).std() for width in (1.0, 2.0, 3.0)]
    assert spread[0] > spread[1] > spread[2]
    assert np.array_equal(resize(voxels, (32, 32, 32), width=0.5), resize(voxels, (32, 32, 32)))


def test_a_coarser_grid_in_between_equals_two_steps():
    voxels = noise((32, 30, 28))
    once = resize(voxels, (16, 16, 16), (8, 8, 8), 2.0)
    twice = resize(resize(voxels, (8, 8, 8), width=2.0), (16, 16, 16))
    assert np.abs(once.astype(int) - twice).max() <= 1
