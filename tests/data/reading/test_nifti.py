from __future__ import annotations

import bz2
import gzip

import nibabel
import numpy as np
import pytest

from umzoo.data.reading.refusal import Reason, Refused
from umzoo.data.reading.scan_source import Reading, ScanSource
from umzoo.data.reading.volume import read_volumes

MM = np.diag([-1.0, -1.0, 2.0, 1.0])


def read(path, **options):
    (volume,) = read_volumes(ScanSource((str(path),), path.name, "set", "someone"), Reading(**options))
    return volume


def write(path, canonical, sform=None, qform=None, **header):
    """Write with either matrix, and raw bytes of the *header* that nibabel would not write."""
    image = nibabel.Nifti1Image(canonical.transpose(2, 1, 0), None)
    if sform is not None:
        image.header.set_sform(sform, 1)
    if qform is not None:
        image.header.set_qform(qform, 1)
    for name, value in header.items():
        image.header[name] = value
    image.header["vox_offset"], image.header["magic"] = 352, b"n+1"
    data = image.header.binaryblock + b"\0" * 4 + np.asarray(image.dataobj).tobytes(order="F")
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def test_a_zero_sform_gives_way_to_the_qform(tmp_path, make_scan):
    volume = read(write(tmp_path / "a.nii", make_scan(), np.zeros((4, 4)), MM))
    assert np.array_equal(volume.voxels, make_scan()) and volume.spacing == (2, 1, 1)
    assert volume.notes == ("the sform is singular: the qform is used",)


def test_a_skewed_sform_gives_way_to_a_straight_qform(tmp_path, make_scan):
    skewed = MM.copy()
    skewed[0, 2] = 0.4
    volume = read(write(tmp_path / "a.nii", make_scan(), skewed, MM))
    assert np.array_equal(volume.voxels, make_scan()) and "sheared: the qform" in volume.notes[0]
    alone = read(write(tmp_path / "b.nii", make_scan(), skewed))
    assert "sheared" in alone.notes[0]


@pytest.mark.parametrize("other", [2 * MM, np.diag([1.0, 1.0, 2.0, 1.0])])
def test_two_matrices_that_disagree_are_told(tmp_path, make_scan, other):
    other[3, 3] = 1
    volume = read(write(tmp_path / "a.nii", make_scan(), other, MM))
    assert volume.spacing == pytest.approx(np.abs(np.diag(other))[[2, 1, 0]])
    note = volume.notes[0]
    assert note.startswith("sform and qform disagree: the sform is used; nnU-Net's reader")
    sitk = pytest.importorskip("SimpleITK")
    itk = sitk.ReadImage(str(tmp_path / "a.nii"))
    axes = np.reshape(itk.GetDirection(), (3, 3)) * itk.GetSpacing()
    takes = "qform" if np.allclose(np.diag([-1, -1, 1]) @ axes, MM[:3, :3]) else "sform"
    assert note.endswith(f"uses the {takes}")


def test_matrices_that_agree_are_not_noted(tmp_path, make_scan):
    assert not read(write(tmp_path / "a.nii", make_scan(), MM + 1e-4, MM)).notes


def test_a_voxel_size_of_zero_is_refused(tmp_path, make_scan):
    path = write(tmp_path / "a.nii", make_scan(), qform=MM)
    raw = bytearray(path.read_bytes())
    raw[80:84] = b"\0\0\0\0"
    path.write_bytes(raw)
    with pytest.raises(Refused) as caught:
        read(path)
    assert caught.value.reason is Reason.GEOMETRY


def test_a_bad_quaternion_does_not_matter_beside_an_sform(tmp_path, make_scan):
    volume = read(write(tmp_path / "a.nii", make_scan(), MM, MM, quatern_b=3.0))
    assert np.array_equal(volume.voxels, make_scan())
    with pytest.raises(Refused):
        read(write(tmp_path / "b.nii", make_scan(), None, MM, quatern_b=3.0))


@pytest.mark.parametrize("suffix, pack", [("", bytes), (".gz", gzip.compress), (".bz2", bz2.compress)])
def test_voxels_that_are_said_to_begin_in_the_header(tmp_path, make_scan, suffix, pack):
    raw = bytearray(write(tmp_path / "a.nii", make_scan(), MM).read_bytes())
    raw[108:112] = b"\0\0\0\0"
    path = tmp_path / f"b.nii{suffix}"
    path.write_bytes(pack(raw))
    assert np.array_equal(read(path).voxels, make_scan())


def test_suffixes_may_be_wrong_and_packed_otherwise(tmp_path, make_scan):
    raw = write(tmp_path / "a.nii", make_scan(), MM).read_bytes()
    (tmp_path / "b.nii").write_bytes(gzip.compress(raw))
    (tmp_path / "c.nii.gz").write_bytes(raw)
    (tmp_path / "d.nii.bz2").write_bytes(bz2.compress(raw))
    for name in ("b.nii", "c.nii.gz", "d.nii.bz2"):
        assert np.array_equal(read(tmp_path / name).voxels, make_scan())


@pytest.mark.parametrize("what", ["flipped", "cut"])
def test_damage_of_a_bzipped_file_shows(tmp_path, make_scan, what):
    raw = bytearray(bz2.compress(write(tmp_path / "a.nii", make_scan(), MM).read_bytes()))
    if what == "flipped":
        raw[len(raw) // 2] ^= 0x40
    (tmp_path / "a.nii.bz2").write_bytes(raw if what == "flipped" else raw[:-20])
    with pytest.raises(Refused, match="corrupted bzip2 file"):
        read(tmp_path / "a.nii.bz2")


@pytest.mark.parametrize("what", ["flipped", "cut"])
def test_damage_of_a_gzipped_file_shows(tmp_path, make_scan, what):
    path = write(tmp_path / "a.nii.gz", make_scan(), MM)
    raw = bytearray(gzip.compress(gzip.decompress(path.read_bytes()), 0))
    if what == "flipped":
        raw[len(raw) // 2] ^= 0x40
    path.write_bytes(raw if what == "flipped" else raw[:-2])
    with pytest.raises(Refused, match="corrupted gzip file"):
        read(path)


@pytest.mark.parametrize(
    "content, what",
    [(b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"), (b"<!DOCTYPE HTML><html>sign in", "a web page")],
)
def test_files_that_stand_in_for_the_data_are_named(tmp_path, content, what):
    (tmp_path / "a.nii.gz").write_bytes(content)
    with pytest.raises(Refused, match=what):
        read(tmp_path / "a.nii.gz")


def test_a_unit_that_cannot_be_is_named(tmp_path, make_scan):
    with pytest.raises(Refused, match="in 'meter', probably mm"):
        read(write(tmp_path / "a.nii", make_scan(), MM, xyzt_units=1))


def test_statistics_are_no_images(tmp_path, make_scan):
    with pytest.raises(Refused, match="statistical map"):
        read(write(tmp_path / "a.nii", make_scan(), MM, intent_code=3))


def test_nan_is_refused_or_filled(tmp_path, make_scan, write_nifti):
    scan = make_scan().astype(np.float32) - 5
    scan[:2] = np.nan
    path = write_nifti(tmp_path / "a.nii", scan)
    volume = read(path, nan="fill")
    assert (volume.voxels[:2] == np.nanmin(scan)).all() and np.array_equal(volume.voxels[2:], scan[2:])
    assert "1344 of 13440 voxels" in volume.notes[0]
    assert np.isnan(read(path).voxels).any()


def test_analyze_and_plain_nrrd_do_not_say_how_they_lie(tmp_path, make_scan):
    import SimpleITK as sitk  # noqa: N813

    image = nibabel.AnalyzeImage(make_scan().transpose(2, 1, 0), MM)
    image.to_filename(tmp_path / "a.hdr")
    assert "has no orientation" in read(tmp_path / "a.hdr").notes[0]
    sitk.WriteImage(sitk.GetImageFromArray(make_scan()), str(tmp_path / "b.nrrd"))
    assert not read(tmp_path / "b.nrrd").notes
    header, _, data = (tmp_path / "b.nrrd").read_bytes().partition(b"\n\n")
    lines = [line for line in header.split(b"\n") if not line.startswith(b"space")]
    (tmp_path / "c.nrrd").write_bytes(b"\n".join([*lines, b"spacings: 1 1 1"]) + b"\n\n" + data)
    assert "has no orientation" in read(tmp_path / "c.nrrd").notes[0]


def test_segmentations_of_slicer_are_labels(tmp_path, make_scan):
    import SimpleITK as sitk  # noqa: N813

    image = sitk.GetImageFromArray(make_scan())
    image.SetMetaData("Segment0_ID", "liver")
    sitk.WriteImage(image, str(tmp_path / "a.seg.nrrd"))
    with pytest.raises(Refused) as caught:
        read(tmp_path / "a.seg.nrrd")
    assert caught.value.reason is Reason.LABELS
