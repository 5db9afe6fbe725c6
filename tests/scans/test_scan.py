from __future__ import annotations

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
import torch

import umzoo
from tests.data.conftest import write_dicom
from tests.scans.conftest import SPACING, as_nifti, guises, make_body, ras_affine
from tests.scans.test_load import SPECS
from umzoo.errors import DataError
from umzoo.scans.labels import load_labels
from umzoo.spec import InputSpec


def ball(body):
    """The brighter part of the body, as a label map of two classes (D, H, W)."""
    labels = (body > -500).astype(np.uint8)
    labels[:, :, : body.shape[2] // 2] *= 2
    return labels


@pytest.mark.parametrize("spec", [SPECS["native"], SPECS["RAS"]], ids=["native", "RAS"])
def test_without_resampling_labels_come_back_exactly(tmp_path, body, spec):
    for name, source in guises(body, tmp_path).items():
        scan = umzoo.load_scan(source, spec)
        file_labels = np.arange(np.prod(scan.original.shape)).reshape(scan.original.shape) % 7
        there = scan.from_original(file_labels)
        assert np.array_equal(scan.to_original(there).values, file_labels), name


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_a_map_lies_over_the_scan(tmp_path, body, spec):
    """The middle of the body, found on the network's grid, is off by at most one voxel on the scan's own."""
    for name, source in guises(body, tmp_path).items():
        scan = umzoo.load_scan(source, spec.model_copy(update={"space": "unit"}))
        back = scan.to_original(scan.image[0] > 0.3)
        own = umzoo.load_scan(source, SPECS["native"].model_copy(update={"space": "unit"}))
        truth = own.to_original(own.image[0] > 0.3).values
        assert back.values.shape == truth.shape, name
        middles = [np.array(np.nonzero(mask)).mean(axis=1) for mask in (back.values, truth)]
        assert np.abs(middles[0] - middles[1]).max() < 0.5, name
        assert (back.values != truth).mean() < 0.08, name


def test_tilted_slices_come_back_in_place(tmp_path, body):
    folder = write_dicom(tmp_path / "tilted", body, spacing=SPACING, tilt=0.6)
    scan = umzoo.load_scan(folder, InputSpec(spacing=(1.0, 1.0, 1.0), space="unit"))
    back = scan.to_original(scan.image[0])
    stored = body.transpose(2, 1, 0).clip(-1000, 1000) / 2000 + 0.5
    assert back.values.shape == stored.shape
    assert np.corrcoef(back.values.ravel(), stored.ravel())[0, 1] > 0.97
    with pytest.raises(DataError, match="sheared"):
        back.save(tmp_path / "a.nrrd")
    assert nibabel.load(back.save(tmp_path / "a.nii.gz")).shape == stored.shape


def test_files_keep_header_and_type(tmp_path, body):
    image = as_nifti(body)
    image.header.set_xyzt_units("mm", "sec")
    image.set_sform(image.affine, 2)
    image.set_qform(image.affine, 1)
    image.header.set_slope_inter(2, 5)
    nibabel.save(image, tmp_path / "scan.nii.gz")
    scan = umzoo.load_scan(tmp_path / "scan.nii.gz", SPECS["resampled"], modality="ct")
    saved = nibabel.load(scan.to_original((scan.image[0] > 0).long()).save(tmp_path / "mask.nii.gz"))
    assert saved.get_data_dtype() == np.uint8
    assert np.array_equal(saved.affine, nibabel.load(tmp_path / "scan.nii.gz").affine)
    assert (int(saved.header["sform_code"]), int(saved.header["qform_code"])) == (2, 1)
    assert set(np.unique(saved.dataobj)) <= {0, 1}
    typed = scan.to_original(scan.image[0], dtype=np.int16).save(tmp_path / "typed.nii.gz")
    assert nibabel.load(typed).get_data_dtype() == np.int16


def test_micrometers_stay_micrometers(tmp_path, body):
    image = as_nifti(body, ras_affine() @ np.diag([1000, 1000, 1000, 1]))
    image.header.set_xyzt_units("micron")
    nibabel.save(image, tmp_path / "scan.nii.gz")
    scan = umzoo.load_scan(tmp_path / "scan.nii.gz", SPECS["native"])
    assert scan.spacing == pytest.approx(SPACING)
    saved = nibabel.load(scan.to_original(scan.image[0]).save(tmp_path / "map.nii.gz"))
    assert np.allclose(saved.affine, image.affine)
    assert saved.header.get_xyzt_units()[0] == "micron"


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_every_container_holds_maps_and_labels(tmp_path, body, suffix):
    scan = umzoo.load_scan(as_nifti(body), SPECS["resampled"])
    maps = torch.stack([scan.image[0], -scan.image[0]])
    path = scan.to_original(maps).save(tmp_path / f"maps{suffix}")
    if suffix.startswith(".nii"):
        assert nibabel.load(path).shape == (28, 24, 20, 2)
    else:
        assert sitk.ReadImage(str(path)).GetNumberOfComponentsPerPixel() == 2
    assert not list(tmp_path.glob(".*"))


def test_values_that_do_not_lie_on_the_image_are_refused(tmp_path, body):
    scan = umzoo.load_scan(as_nifti(body), SPECS["native"])
    with pytest.raises(DataError, match="expected a map"):
        scan.to_original(torch.zeros(3, 3, 3))
    with pytest.raises(DataError, match="expected a name that ends in"):
        scan.to_original(scan.image[0]).save(tmp_path / "a.png")
    assert not (tmp_path / "a.png").exists()


def test_labels_follow_the_scan_whatever_their_container(tmp_path, body):
    labels = ball(body)
    scan = umzoo.load_scan(as_nifti(body), SPECS["resampled"])
    nibabel.save(as_nifti(labels), tmp_path / "labels.nii.gz")
    nibabel.save(nibabel.as_closest_canonical(as_nifti(labels)), tmp_path / "ras.nii.gz")
    first = load_labels(tmp_path / "labels.nii.gz", scan)
    assert first.shape == scan.image.shape[1:]
    assert torch.equal(first, load_labels(tmp_path / "ras.nii.gz", scan))
    assert first.unique().tolist() == [0, 1, 2]
    back = scan.to_original(first).values
    assert (back != labels.transpose(2, 1, 0)).mean() < 0.02


def test_labels_of_another_grid_are_refused(tmp_path, body):
    scan = umzoo.load_scan(as_nifti(body), SPECS["native"])
    nibabel.save(as_nifti(ball(make_body(0, (20, 24, 30)))), tmp_path / "other.nii.gz")
    with pytest.raises(DataError, match="are not on the grid"):
        load_labels(tmp_path / "other.nii.gz", scan)
    nibabel.save(as_nifti(ball(body) * 0.5), tmp_path / "fractions.nii.gz")
    with pytest.raises(DataError, match="whole numbers"):
        load_labels(tmp_path / "fractions.nii.gz", scan)
