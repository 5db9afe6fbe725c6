import numpy as np
import pytest

from umzoo.downstream.volumes import label_volume
from umzoo.errors import DataError
from umzoo.spec import InputSpec


def values(low, high):
    return np.random.default_rng(0).uniform(low, high, (12, 14, 16)).astype(np.float32)


def test_ct_window_in_unit_space():
    hounsfield = values(-1000, 1000)
    volume = label_volume(hounsfield, np.zeros(hounsfield.shape), "ct", InputSpec(space="unit"))
    np.testing.assert_allclose(volume.image[0], (hounsfield + 1000) / 2000, atol=1e-3)


@pytest.mark.parametrize("modality, low, high", [("ct", -1000, 1000), ("mr", 0, 700)])
def test_zscore_space_has_zero_mean_and_unit_variance(modality, low, high):
    voxels = values(low, high)
    volume = label_volume(voxels, np.ones(voxels.shape), modality, InputSpec(space="zscore"))
    assert abs(float(volume.image.mean())) < 0.02 and abs(float(volume.image.std()) - 1) < 0.02
    assert volume.image.shape == (1, 12, 14, 16) and volume.label.shape == (12, 14, 16)


def test_shapes_must_agree():
    with pytest.raises(DataError, match="must have one shape"):
        label_volume(values(0, 1), np.zeros((3, 3, 3)), "mr", InputSpec())
