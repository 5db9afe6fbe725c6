from __future__ import annotations

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from umzoo.data.reading.formats import stem_of, suffix_of
from umzoo.data.reading.refusal import Reason, Refused
from umzoo.data.reading.scan_source import Reading, ScanSource
from umzoo.data.reading.volume import read_volumes


def scan_of(path) -> ScanSource:
    return ScanSource((str(path),), path.name, "set", "someone")


def read_one(path):
    (volume,) = read_volumes(scan_of(path))
    return volume


def refusal(path) -> Refused:
    with pytest.raises(Refused) as caught:
        list(read_volumes(scan_of(path)))
    assert str(path.parent) not in str(caught.value)
    return caught.value


def write_itk(path, canonical, spacing=(1, 1, 1)):
    image = sitk.GetImageFromArray(canonical)
    image.SetSpacing([float(mm) for mm in spacing[::-1]])
    sitk.WriteImage(image, str(path))
    return path


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".hdr", ".mgz", ".nrrd", ".nhdr", ".mha", ".mhd"])
def test_every_format_gives_the_same_array(tmp_path, make_scan, write_nifti, suffix):
    volume, path = make_scan(), tmp_path / f"a{suffix}"
    if suffix in (".nii", ".nii.gz"):
        write_nifti(path, volume, (3, 2, 1))
    elif suffix == ".hdr":
        affine = np.diag([-1.0, -2.0, 3.0, 1.0])
        nibabel.Nifti1Pair(volume.transpose(2, 1, 0), affine).to_filename(path)
    elif suffix == ".mgz":
        affine = np.diag([-1.0, -2.0, 3.0, 1.0])
        nibabel.save(nibabel.MGHImage(volume.transpose(2, 1, 0), affine), path)
    else:
        write_itk(path, volume, (3, 2, 1))
    result = read_one(path)
    assert np.array_equal(result.voxels, volume)
    assert result.spacing == pytest.approx((3, 2, 1))


def test_scaling_and_units_of_the_header_are_applied(tmp_path, make_scan, write_nifti):
    volume = make_scan()
    path = write_nifti(tmp_path / "a.nii", volume)
    image = nibabel.load(path)
    image.header.set_xyzt_units("micron")
    image.header.set_slope_inter(0.5, 10)
    affine = image.affine @ np.diag([1000, 1000, 1000, 1])
    stored = nibabel.Nifti1Image(image.get_fdata() * 0.5 + 10, affine, image.header)
    stored.set_data_dtype(np.int16)
    nibabel.save(stored, tmp_path / "b.nii")
    result = read_one(tmp_path / "b.nii")
    assert np.allclose(result.voxels, volume * 0.5 + 10, atol=0.1)
    assert result.voxels.dtype == np.float32
    assert result.spacing == pytest.approx((1, 1, 1))


def test_unknown_orientation_is_noted(tmp_path, make_scan, write_nifti):
    path = write_nifti(tmp_path / "a.nii", make_scan(), qform_code=0, sform_code=0)
    raw = bytearray(path.read_bytes())
    raw[252:256] = b"\0\0\0\0"
    path.write_bytes(raw)
    assert "has no orientation" in read_one(path).notes[0]


def test_frames_become_volumes_up_to_a_limit(tmp_path, make_scan):
    frames = np.stack([make_scan(seed).transpose(2, 1, 0) for seed in range(6)], axis=-1)
    nibabel.save(nibabel.Nifti1Image(frames, np.diag([-1, -1, 1, 1])), tmp_path / "a.nii.gz")
    volumes = list(read_volumes(scan_of(tmp_path / "a.nii.gz")))
    assert [np.array_equal(v.voxels, make_scan(v.frame)) for v in volumes] == [True] * 6
    few = list(read_volumes(scan_of(tmp_path / "a.nii.gz"), Reading(max_frames=3)))
    assert [volume.frame for volume in few] == [0, 2, 5]
    assert few[0].notes == ("uses 3 of 6 frames, evenly spaced",)


def test_frames_and_channels_of_itk_files(tmp_path, make_scan):
    frames = np.stack([make_scan(seed) for seed in range(2)])
    sitk.WriteImage(sitk.GetImageFromArray(frames, isVector=False), str(tmp_path / "a.nrrd"))
    sitk.WriteImage(sitk.GetImageFromArray(np.moveaxis(frames, 0, -1), isVector=True), str(tmp_path / "b.mha"))
    for name in ("a.nrrd", "b.mha"):
        volumes = list(read_volumes(scan_of(tmp_path / name)))
        assert [np.array_equal(v.voxels, make_scan(v.frame)) for v in volumes] == [True, True]


def test_flat_files_are_2d(tmp_path, make_scan):
    nibabel.save(nibabel.Nifti1Image(np.zeros((9, 9), np.int16), np.eye(4)), tmp_path / "a.nii")
    nibabel.save(nibabel.Nifti1Image(np.zeros((9, 9, 1, 5), np.int16), np.eye(4)), tmp_path / "b.nii")
    sitk.WriteImage(sitk.GetImageFromArray(make_scan()[0]), str(tmp_path / "c.mha"))
    assert {refusal(tmp_path / name).reason for name in ("a.nii", "b.nii", "c.mha")} == {Reason.TWO_D}


def test_colors_complex_numbers_and_vectors_are_refused(tmp_path):
    rgb = np.zeros((9, 9, 9), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    nibabel.save(nibabel.Nifti1Image(rgb, np.eye(4)), tmp_path / "a.nii")
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((9, 9, 9, 3), np.uint8), isVector=True), str(tmp_path / "b.mha"))
    nibabel.save(nibabel.Nifti1Image(np.zeros((9, 9, 9), np.complex64), np.eye(4)), tmp_path / "c.nii")
    warp = nibabel.Nifti1Image(np.zeros((9, 9, 9, 1, 3), np.float32), np.eye(4))
    warp.header.set_intent("vector")
    nibabel.save(warp, tmp_path / "d.nii")
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((9, 9, 9, 3), np.float32), isVector=True), str(tmp_path / "e.mha"))
    reasons = [refusal(tmp_path / name).reason for name in ("a.nii", "b.mha", "c.nii", "d.nii", "e.mha")]
    assert reasons == [Reason.COLOR, Reason.COLOR, Reason.COMPLEX, Reason.VECTOR, Reason.VECTOR]


def test_a_label_intent_is_a_label_map(tmp_path, make_scan, write_nifti):
    image = nibabel.load(write_nifti(tmp_path / "a.nii", make_scan()))
    image.header.set_intent("label")
    nibabel.save(image, tmp_path / "b.nii")
    assert refusal(tmp_path / "b.nii").reason is Reason.LABELS


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii", "a.nrrd", "a.mha", "a.mgz"])
def test_damaged_files_are_unreadable(tmp_path, make_scan, write_nifti, name):
    path = tmp_path / name
    if "nii" in name:
        write_nifti(path, make_scan())
        path.write_bytes(path.read_bytes()[:-5000])
    else:
        path.write_bytes(b"not an image")
    assert refusal(path).reason is Reason.UNREADABLE


def test_names():
    assert suffix_of("x/A.NII.GZ") == ".nii.gz" and suffix_of("a.b.mha") == ".mha"
    assert stem_of("x/case.1.nii.gz") == "case.1" and stem_of("a.mha") == "a"
