from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from umzoo.data.reading.hounsfield import has_air_and_tissue, in_hounsfield, is_offset

SHARED = Path(__file__).parents[3].parent / "shared" / "data"


def values(scan) -> np.ndarray:
    return np.asarray(scan, np.float32).ravel()


def test_a_patient_in_air_is_told_with_padding_and_without(make_scan):
    ct = values(make_scan(ct=True))
    padded = np.concatenate([np.full(9000, -3024, np.float32), ct])
    assert has_air_and_tissue(ct) and has_air_and_tissue(padded)


@pytest.mark.parametrize("spread", [200, 600, 1500])
def test_signed_maps_and_phases_are_no_ct(spread):
    rng = np.random.default_rng(0)
    zeros = np.zeros(20_000)
    assert not has_air_and_tissue(values(np.concatenate([rng.normal(0, spread, 40_000), zeros])))
    assert not has_air_and_tissue(values(np.concatenate([rng.uniform(-4096, 4095, 40_000), zeros])))


def test_an_offset_shows_with_padding_and_without(make_scan):
    ct = values(make_scan(ct=True)) + 1024
    for offset in (ct, np.concatenate([np.full(2000, -1024, np.float32), ct])):
        assert is_offset(offset) and not in_hounsfield(offset) and not in_hounsfield(offset, declared=True)
        assert not has_air_and_tissue(offset)


def test_soft_tissue_alone_is_believed_if_the_header_says_so():
    soft = values(np.random.default_rng(0).normal(50, 15, 10_000).clip(0))
    assert in_hounsfield(soft, declared=True) and not in_hounsfield(soft)


def test_bone_is_no_offset(make_scan):
    bone = values(make_scan(ct=True))
    bone[: bone.size // 60] = 1000
    assert not is_offset(bone)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared test data are not here")
def test_real_scans():
    import nibabel

    def is_ct(file):
        voxels = np.asanyarray(nibabel.load(file).dataobj)
        return has_air_and_tissue(values(voxels[::3, ::3, ::3]))

    not_hu = ("head_quarter", "uint8")
    for file in sorted((SHARED / "ct").glob("*.nii.gz")):
        assert is_ct(file) is not any(name in file.name for name in not_hu), file.name
    assert not any(is_ct(file) for file in sorted((SHARED / "mr").glob("*.nii.gz"))[:8])
