from __future__ import annotations

import nibabel
import numpy as np


def test_prepare_then_data(tmp_path, run):
    rng = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    for number in range(2):
        voxels = rng.normal(300, 90, (16, 17, 18)).astype(np.int16)
        nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), tmp_path / "in" / f"[{number}].nii.gz")
    nibabel.save(nibabel.Nifti1Image(np.zeros((16, 17, 18)), np.eye(4)), tmp_path / "in" / "[bold].nii.gz")
    store = tmp_path / "store"
    options = ["--modality", "mr=**/in/**", "--spacing", "native", "--workers", "0"]
    output = run("prepare", tmp_path / "in", "--out", store, *options)
    assert "[bold].nii.gz: every voxel is 0" in output
    assert "2 volumes at native spacing" in run("data", store)
    assert (store / "local" / "contact_sheet.png").exists()


def test_what_is_not_finite_is_refused_or_filled(tmp_path, run):
    voxels = np.random.default_rng(0).normal(300, 90, (16, 17, 18)).astype(np.float32)
    voxels[:2] = np.nan
    (tmp_path / "in").mkdir()
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), tmp_path / "in" / "a.nii.gz")
    command = ["prepare", tmp_path / "in", "--out", tmp_path / "store", "--workers", "0", "--spacing", "native"]
    assert "--nan fill" in run(*command)
    assert "612 of 4896 voxels" in run(*command, "--nan", "fill", "--uneven", "resample")


def test_ctrl_c_says_how_it_goes_on(tmp_path, run, monkeypatch):
    def stopped(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("umzoo.data.preparing.prepare.prepare", stopped)
    output = run("prepare", tmp_path, "--out", tmp_path / "store", code=130)
    assert "stopped: 0 volumes are kept in" in output and "the same command continues from there" in output
