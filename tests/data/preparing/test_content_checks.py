from __future__ import annotations

import numpy as np
import pytest

from umzoo.data.preparing.content_checks import check_not_labels, check_shape, value_range
from umzoo.data.reading.refusal import Reason, Refused


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


def regions(count: int) -> np.ndarray:
    """*count* labels: the voxels nearest to each of as many points, in a ball."""
    rng = np.random.default_rng(0)
    places = np.stack(np.meshgrid(*[np.linspace(-1, 1, 40)] * 3, indexing="ij"), -1)
    nearest = np.full(places.shape[:3], np.inf)
    labels = np.zeros(places.shape[:3], np.int64)
    for label, point in enumerate(rng.uniform(-1, 1, (count, 3)), 1):
        distance = ((places - point) ** 2).sum(-1)
        labels[distance < nearest] = label
        nearest = np.minimum(nearest, distance)
    return np.where((places**2).sum(-1) < 0.9, labels, 0)


@pytest.mark.parametrize("count", [1, 4, 60, 117, 400])
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
@pytest.mark.parametrize("larger", [1, 2])
def test_label_maps_are_refused(count, dtype, larger):
    labels = regions(count).repeat(larger, 2).repeat(larger, 1)
    with pytest.raises(Refused) as caught:
        check_not_labels(labels.astype(dtype))
    assert caught.value.reason is Reason.LABELS


def test_masks_in_any_scale_and_probabilities_are_refused():
    mask = (regions(1) * np.float32(1 / 255) * 255).astype(np.float32)
    rng = np.random.default_rng(0)
    edge = rng.random(mask.shape) < 0.1
    for labels in (mask * 1.0000001, np.where(edge, rng.random(mask.shape), mask).astype(np.float32)):
        with pytest.raises(Refused) as caught:
            check_not_labels(labels)
        assert caught.value.reason is Reason.LABELS


@pytest.mark.parametrize("top", [1, 100, 255])
@pytest.mark.parametrize("soft", [0.7, 1.0])
def test_smooth_probabilities_in_any_scale_are_refused(top, soft):
    from scipy.ndimage import gaussian_filter

    inside = gaussian_filter((regions(3) == 1).astype(np.float32), soft) * top
    with pytest.raises(Refused, match="a probability map"):
        check_not_labels(np.rint(inside) if top == 255 else inside)


@pytest.mark.parametrize("ct", [True, False])
def test_images_are_not_label_maps(make_scan, ct):
    scan = make_scan(ct=ct)
    check_not_labels(scan)
    check_not_labels((scan // 8).astype(np.int16))
    check_not_labels((scan // 8).repeat(3, 1).repeat(3, 2))
    check_not_labels(regions(60) + np.random.default_rng(1).normal(0, 1, (40, 40, 40)))
    unit = ((scan - scan.min()) / np.ptp(scan)).astype(np.float32)
    check_not_labels(unit)
    check_not_labels((unit / np.percentile(unit, 98)).clip(0, 1))
    check_not_labels(np.rint((unit / np.percentile(unit, 97)).clip(0, 1) * 255))


def test_air_and_padding_of_one_value_each_are_no_labels(make_scan):
    scan = make_scan(shape=(20, 40, 40), ct=True)
    scan[scan < -800] = -1000
    scan[:, :8] = -2048
    check_not_labels(scan)
