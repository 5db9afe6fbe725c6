from __future__ import annotations

import numpy as np
import pytest

from umzoo.data.checks import check_not_labels, check_shape, value_range
from umzoo.data.refusal import Reason, Refused


@pytest.mark.parametrize("shape, reason", [((1, 9, 9), Reason.TWO_D), ((9, 9), Reason.TWO_D), ((9, 7, 9), Reason.THIN)])
def test_shapes_that_are_no_volume(shape, reason):
    with pytest.raises(Refused) as caught:
        check_shape(shape)
    assert caught.value.reason is reason


def test_values_that_cannot_be_used(make_scan):
    volume = make_scan().astype(np.float32)
    volume[2, 2, 2] = np.nan
    with pytest.raises(Refused, match="1 of 13440 voxels"):
        value_range(volume)
    with pytest.raises(Refused, match="every voxel is 3"):
        value_range(np.full((9, 9, 9), 3))


def blocks(count: int) -> np.ndarray:
    """*count* labels in cubes of 5 voxels on background."""
    cells = np.random.default_rng(0).integers(0, count + 1, (6, 6, 6))
    return cells.repeat(5, 0).repeat(5, 1).repeat(5, 2)


@pytest.mark.parametrize("count", [1, 4, 60, 117])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_label_maps_are_refused(count, dtype):
    with pytest.raises(Refused) as caught:
        check_not_labels(blocks(count).astype(dtype))
    assert caught.value.reason is Reason.LABELS


@pytest.mark.parametrize("ct", [True, False])
def test_images_are_not_label_maps(make_scan, ct):
    check_not_labels(make_scan(ct=ct))
    check_not_labels((make_scan(ct=ct) // 8).astype(np.int16))
    check_not_labels(blocks(60) + np.random.default_rng(1).normal(0, 1, (30, 30, 30)))
