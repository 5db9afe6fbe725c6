from __future__ import annotations

import numpy as np
import torch

import umzoo
from tests.scans.conftest import as_nifti
from umzoo.scans.crops import center_of, crop_about
from umzoo.spec import InputSpec


def test_a_crop_about_the_center_is_padded_with_the_least_value():
    image = np.arange(27.0).reshape(1, 3, 3, 3) + 1
    crop = crop_about(image, (1, 1, 1), (5, 3, 1), float(image.min()))
    assert crop.shape == (1, 5, 3, 1)
    assert (crop[0, [0, 4]] == 1).all()
    assert np.array_equal(crop[0, 1:4, :, 0], image[0, :, :, 1])
    assert (crop_about(image, (50, 50, 50), (3, 3, 3), float(image.min())) == 1).all()


def test_the_center_is_that_of_the_mask_if_there_is_one(body):
    scan = umzoo.load_scan(as_nifti(body), InputSpec(spacing=None))
    assert center_of(scan) == (10, 12, 14)
    mask = torch.zeros(scan.image.shape[1:], dtype=torch.int64)
    assert center_of(scan, mask) == (10, 12, 14)
    mask[3:8, 2:5, 20:21] = 1
    assert center_of(scan, mask) == (5, 3, 20)
