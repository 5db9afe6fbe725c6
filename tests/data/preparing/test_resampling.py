from __future__ import annotations

import numpy as np
import pytest

from umzoo.data.preparing.resampling import parse_spacing, resample, resampled_shape
from umzoo.errors import ConfigError

WIDE = (-1e9, 1e9)


@pytest.mark.parametrize(
    ("text", "spacing"), [("native", None), ("1", (1, 1, 1)), ("3,1,1", (3, 1, 1)), ("0.5", (0.5, 0.5, 0.5))]
)
def test_spacing_option(text, spacing):
    assert parse_spacing(text) == spacing


@pytest.mark.parametrize("text", ["", "1,2", "a", "0", "-1", "1,1,1,1", "nan"])
def test_malformed_spacing(text):
    with pytest.raises(ConfigError, match="--spacing expects"):
        parse_spacing(text)


def test_native_and_equal_spacing_change_nothing(make_scan):
    volume = make_scan()
    assert resample(volume, (2, 1, 1), None, WIDE) == (volume, (2, 1, 1))
    assert resample(volume, (1, 1, 1.0005), (1, 1, 1), WIDE)[0] is volume


@pytest.mark.parametrize("spacing", [(3.0, 1.0, 1.0), (0.5, 0.7, 2.5), (3.0, 3.0, 3.0)])
def test_extent_and_place_are_kept(spacing):
    """A linear ramp in mm stays that ramp: nothing is shifted, whatever the spacing."""
    shape = tuple(int(60 / mm) for mm in spacing)
    z, y, x = ((np.arange(n) + 0.5) * mm for n, mm in zip(shape, spacing, strict=True))
    ramp = (z[:, None, None] + 2 * y[:, None] + 3 * x).astype(np.float32)
    result, new = resample(ramp, spacing, (1, 1, 1), WIDE)
    assert new == (1, 1, 1) and result.shape == resampled_shape(shape, spacing, (1, 1, 1))
    assert all(0 <= n * mm - m < 1 for n, mm, m in zip(shape, spacing, result.shape, strict=True))
    z, y, x = (np.arange(n) + 0.5 for n in result.shape)
    error = np.abs(result - (z[:, None, None] + 2 * y[:, None] + 3 * x))
    assert error[8:-8, 8:-8, 8:-8].max() < 0.35


def test_shrinking_is_antialiased():
    """A checkerboard of single voxels has no place on a coarser grid: it averages out."""
    board = (np.indices((32, 32, 32)).sum(0) % 2).astype(np.float32)
    result, _ = resample(board, (1, 1, 1), (2.5, 2.5, 2.5), WIDE)
    assert np.abs(result[2:-2, 2:-2, 2:-2] - 0.5).max() < 0.05


def test_padding_far_below_air_does_not_ring():
    volume = np.full((10, 40, 40), -1000, np.int16)
    volume[..., :20] = -3024
    result, _ = resample(volume, (1, 2, 2), (1, 1, 1), (-1024, 3071))
    assert result.min() > -1030 and result.max() < -994


def test_zero_background_stays_zero():
    volume = np.zeros((16, 32, 32), np.float32)
    volume[4:8, 10:16, 10:16] = 500
    result, _ = resample(volume, (1.3, 1.3, 1.3), (1, 1, 1), (0, 500))
    assert not result[:, :5].any() and not result[-4:].any()
