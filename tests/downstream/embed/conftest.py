"""A small network's weights and a folder of scans."""

from __future__ import annotations

from pathlib import Path

import nibabel
import pytest
import torch

import umzoo
from tests.scans.conftest import as_nifti, make_body
from umzoo.spec import InputSpec


def make_weights(folder: Path) -> Path:
    """Weights of a tiny residual U-Net that expects 1.5 mm and windows of 16 voxels."""
    torch.manual_seed(0)
    network = umzoo.create_model("resenc_unet_s", features_per_stage=(4, 8), n_blocks_per_stage=(1, 1))
    umzoo.save_pretrained(network, folder, input=InputSpec(spacing=(1.5, 1.5, 1.5), patch_size=(16, 16, 16)))
    return folder


@pytest.fixture(scope="session")
def weights(tmp_path_factory) -> Path:
    return make_weights(tmp_path_factory.mktemp("weights") / "tiny")


@pytest.fixture
def scans(tmp_path) -> Path:
    """Three CT scans and a damaged file."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for number in range(3):
        nibabel.save(as_nifti(make_body(number)), folder / f"p{number}.nii.gz")
    (folder / "damaged.nii.gz").write_bytes(b"no scan")
    return folder


@pytest.fixture
def body():
    """A CT volume ``(D, H, W)``."""
    return make_body(shape=(18, 24, 24))
