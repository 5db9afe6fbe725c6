from __future__ import annotations

import nibabel
import numpy as np
import typer
from typer.testing import CliRunner

from umzoo.cli.data import data
from umzoo.cli.prepare import prepare

app = typer.Typer()
app.command()(prepare)
app.command()(data)


def test_prepare_then_data(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    for number in range(2):
        voxels = rng.normal(300, 90, (16, 17, 18)).astype(np.int16)
        nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), tmp_path / "in" / f"[{number}].nii.gz")
    nibabel.save(nibabel.Nifti1Image(np.zeros((16, 17, 18)), np.eye(4)), tmp_path / "in" / "[bold].nii.gz")
    store = tmp_path / "store"
    options = ["--modality", "mr=**/in/**", "--spacing", "native", "--workers", "0"]
    result = CliRunner().invoke(app, ["prepare", str(tmp_path / "in"), "--out", str(store), *options])
    assert result.exit_code == 0, result.output
    assert "[bold].nii.gz: every voxel is 0" in result.output
    result = CliRunner().invoke(app, ["data", str(store)])
    assert result.exit_code == 0, result.output
    assert "2 volumes at native spacing" in result.output
    assert (store / "local" / "contact_sheet.png").exists()
