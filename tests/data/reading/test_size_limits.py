from __future__ import annotations

import gzip

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from umzoo.data.preparing.prepare import prepare
from umzoo.data.reading import size_limits
from umzoo.data.reading.refusal import Refused


def only(tmp_path, spacing=None):
    report = prepare([tmp_path / "in"], tmp_path / "store", spacing=spacing, workers=0)
    (outcome,) = report.outcomes
    return outcome


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def test_a_small_file_that_claims_much_is_refused_before_it_is_read(tmp_path, folder, monkeypatch):
    header = nibabel.Nifti1Header()
    header.set_data_shape((1400, 1400, 1100))
    header.set_data_dtype(np.int16)
    header["magic"], header["vox_offset"] = b"n+1", 352
    (folder / "a.nii.gz").write_bytes(gzip.compress(header.binaryblock + b"\0" * 2_000_000))
    monkeypatch.setattr(size_limits, "free_memory", lambda: 1 << 40)
    outcome = only(tmp_path)
    assert outcome.reason == "unreadable" and "declares 4.0 GiB of voxels, the file has" in outcome.detail


def test_what_does_not_fit_into_memory_is_refused_with_both_sizes(tmp_path, folder, make_scan, monkeypatch):
    sitk.WriteImage(sitk.GetImageFromArray(make_scan()), folder / "a.nrrd")
    monkeypatch.setattr(size_limits, "free_memory", lambda: 20_000)
    outcome = only(tmp_path)
    assert outcome.reason == "out of memory" and "26.2 KiB of memory is needed, 19.5 KiB is free" in outcome.detail


def test_resampling_to_too_much_is_refused_with_the_size(tmp_path, folder, make_scan, write_nifti, monkeypatch):
    write_nifti(folder / "a.nii", make_scan(), (49, 49, 49))
    monkeypatch.setattr(size_limits, "free_memory", lambda: 1 << 40)
    outcome = only(tmp_path, (1, 1, 1))
    assert outcome.reason == "geometry" and "980 x 1176 x 1372 voxels" in outcome.detail
    assert "--spacing native" in outcome.detail


def test_resampling_needs_memory(tmp_path, folder, make_scan, write_nifti, monkeypatch):
    write_nifti(folder / "a.nii", make_scan(), (5, 2, 2))
    monkeypatch.setattr(size_limits, "free_memory", lambda: 1 << 20)
    outcome = only(tmp_path, (1, 1, 1))
    assert outcome.reason == "out of memory" and "at 1 x 1 x 1 mm it would have 100 x 48 x 56 voxels" in outcome.detail


def test_ordinary_scans_pass(monkeypatch):
    monkeypatch.setattr(size_limits, "free_memory", lambda: 16 << 30)
    size_limits.require_growth((60, 512, 512), (300, 358, 358), (1, 1, 1))
    size_limits.require_growth((20, 24, 28), (200, 240, 280), (1, 1, 1))
    with pytest.raises(Refused):
        size_limits.require_growth((2000, 1024, 1024), (2000, 2048, 2048), (1, 1, 1))


def test_sizes_in_words():
    assert [size_limits.size(n) for n in (12, 2048, 5 << 20, 3 << 40)] == ["12 bytes", "2.0 KiB", "5.0 MiB", "3.0 TiB"]
