from __future__ import annotations

import numpy as np
import pydicom
import pytest

from umzoo.data.reading.refusal import Refused


def first_half(k):
    return k < 10


def test_signed_and_unsigned_slices_of_one_scan(tmp_path, make_scan, write_dicom, tools):
    scan = make_scan(ct=True)

    def each(k):
        if first_half(k):
            return {"raw": scan[k].astype("<i2"), "RescaleIntercept": 0}
        return {"raw": (scan[k] + 2000).astype("<u2"), "RescaleIntercept": -2000, "PixelRepresentation": 0}

    (volume,) = tools.volumes_in(write_dicom(tmp_path, scan, each=each))
    assert np.array_equal(volume.voxels, scan)


def test_values_beyond_int16_do_not_wrap(tmp_path, make_scan, write_dicom, tools):
    scan = make_scan().astype(np.int32) + 50000 * (np.arange(20) > 9)[:, None, None]
    tags = {"RescaleIntercept": 0, "each": lambda k: {"raw": scan[k].astype("<u2"), "PixelRepresentation": 0}}
    (volume,) = tools.volumes_in(write_dicom(tmp_path, make_scan(), **tags))
    assert np.array_equal(volume.voxels, scan)


def test_each_slice_has_its_own_slope(tmp_path, make_scan, write_dicom, tools):
    scan = make_scan()
    tags = {"each": lambda k: {"RescaleSlope": 0.5 + k / 10, "RescaleIntercept": k, "raw": scan[k].astype("<i2")}}
    (volume,) = tools.volumes_in(write_dicom(tmp_path, scan, modality="PT", **tags))
    expected = np.stack([plane * (0.5 + k / 10) + k for k, plane in enumerate(scan)])
    assert np.allclose(volume.voxels, expected, rtol=1e-6)


def test_bits_above_those_stored_are_no_values(tmp_path, make_scan, write_dicom, tools):
    """An overlay in the upper bits, and signed numbers that are not extended."""
    scan = make_scan().clip(0, 2047)
    noise = np.random.default_rng(0).integers(0, 2, scan.shape) << 14
    tags = {"BitsStored": 12, "HighBit": 11, "RescaleIntercept": 0}
    overlay = {"each": lambda k: {"raw": (scan[k] | noise[k]).astype("<u2"), "PixelRepresentation": 0}}
    write_dicom(tmp_path / "overlay", scan, series="1.1", **tags, **overlay)
    signed = {"each": lambda k: {"raw": ((scan[k] - 900) & 0xFFF).astype("<u2")}}
    write_dicom(tmp_path / "signed", scan, series="1.2", **tags, **signed)
    assert tools.same(tools.volumes_in(tmp_path), [scan, scan - 900])


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_inverted_display_does_not_change_values(tmp_path, make_scan, write_dicom, tools, modality):
    write_dicom(tmp_path, make_scan(), modality=modality, PhotometricInterpretation="MONOCHROME1")
    (volume,) = tools.volumes_in(tmp_path)
    assert np.array_equal(volume.voxels, make_scan())
    assert bool(volume.notes) is (modality == "MR")


@pytest.mark.parametrize("signed", [False, True])
def test_padding_of_a_ct_is_air(tmp_path, make_scan, write_dicom, tools, signed):
    scan = make_scan(ct=True).clip(-1024)
    raw = scan.astype(np.int32) + (0 if signed else 1024)
    raw[:, :3] = -2000 if signed else 63536
    tags = {"PixelRepresentation": int(signed), "PixelPaddingValue": -2000 if signed else 63536}
    tags |= {"RescaleIntercept": 0 if signed else -1024, "each": lambda k: {"raw": raw[k].astype("<u2")}}
    (volume,) = tools.volumes_in(write_dicom(tmp_path, scan, **tags))
    assert np.array_equal(volume.voxels[:, 3:], scan[:, 3:]) and (volume.voxels[:, :3] == -1024).all()


def test_padding_that_is_called_water_stays_water(tmp_path, make_scan, write_dicom, tools):
    scan = make_scan(ct=True)
    tags = {"PixelPaddingValue": 0, "RescaleIntercept": 0, "each": lambda k: {"raw": scan[k].astype("<i2")}}
    (volume,) = tools.volumes_in(write_dicom(tmp_path, scan, **tags))
    assert np.array_equal(volume.voxels, scan)


def test_padding_of_an_mr_is_its_background(tmp_path, make_scan, write_dicom, tools):
    scan = make_scan().clip(3)
    raw = scan.astype(np.int32)
    raw[:, :3] = 30000
    tags = {"PixelPaddingValue": 30000, "RescaleIntercept": 0, "each": lambda k: {"raw": raw[k].astype("<i2")}}
    (volume,) = tools.volumes_in(write_dicom(tmp_path, scan, modality="MR", **tags))
    assert np.array_equal(volume.voxels[:, 3:], scan[:, 3:]) and (volume.voxels[:, :3] == 3).all()


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.80"])
def test_compressed_slices_are_exact(tmp_path, make_scan, write_dicom, tools, syntax):
    if syntax == pydicom.uid.JPEGLSLossless:
        pytest.importorskip("jpeg_ls", reason="it has no wheels for Python 3.14")
    scan = make_scan(shape=(8, 40, 48), ct=True)
    for path in write_dicom(tmp_path, scan).glob("*.dcm"):
        data = pydicom.dcmread(path)
        data.compress(syntax)
        data.save_as(path)
    assert tools.same(tools.volumes_in(tmp_path), [scan])


def write_lossless_jpeg(folder, scan):
    """Slices in the JPEG process that pydicom needs a plug-in for, as SimpleITK writes them."""
    import SimpleITK as sitk  # noqa: N813

    folder.mkdir()
    writer = sitk.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.KeepOriginalImageUIDOn()
    writer.SetUseCompression(True)
    writer.SetCompressor("JPEG")
    for k, plane in enumerate(scan):
        image = sitk.GetImageFromArray(plane[None])
        image.SetOrigin((0, 0, 2 * k))
        tags = {"0008|0060": "MR", "0020|000e": "1.2.3", "0020|000d": "1.2", "0020|0013": str(k), "0010|0020": "a"}
        for tag, value in tags.items():
            image.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{k}.dcm"))
        writer.Execute(image)
    return folder


def test_what_pydicom_lacks_a_plugin_for_is_read_by_gdcm(tmp_path, make_scan, tools):
    folder = write_lossless_jpeg(tmp_path / "a", make_scan())
    assert pydicom.dcmread(folder / "0.dcm").file_meta.TransferSyntaxUID == pydicom.uid.JPEGLosslessSV1
    assert tools.same(tools.volumes_in(folder), [make_scan()])


def test_what_gdcm_would_invert_is_refused_unless_a_plugin_is_there(tmp_path, make_scan, tools, monkeypatch):
    def lacking(*arguments, **options):
        raise RuntimeError("no plug-in")

    folder = write_lossless_jpeg(tmp_path / "a", make_scan())
    data = pydicom.dcmread(folder / "3.dcm")
    data.PhotometricInterpretation = "MONOCHROME1"
    data.save_as(folder / "3.dcm")
    monkeypatch.setattr("umzoo.data.reading.dicom.pixels._decoded", lacking)
    (stack,) = tools.stacks_in(folder)
    with pytest.raises(Refused, match=r"3.dcm \(JPEG Lossless.*plug-in"):
        tools.read(stack)


def test_a_slice_that_is_cut_short_is_named(tmp_path, make_scan, write_dicom, tools):
    path = write_dicom(tmp_path, make_scan()) / "049.dcm"
    path.write_bytes(path.read_bytes()[:-300])
    (stack,) = tools.stacks_in(tmp_path)
    with pytest.raises(Refused, match="049.dcm is truncated: 1044 of 1344 bytes"):
        tools.read(stack)


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize("keep_meta", [False, True])
def test_files_without_preamble_or_suffix_are_found(tmp_path, make_scan, write_dicom, tools, implicit, keep_meta):
    for path in write_dicom(tmp_path, make_scan()).glob("*.dcm"):
        data = pydicom.dcmread(path)
        meta = b"" if not keep_meta else path.read_bytes()[132:]
        if not keep_meta:
            pydicom.dcmwrite(path, pydicom.Dataset(data), implicit_vr=implicit, little_endian=True)
            meta = path.read_bytes()
        path.with_suffix("").write_bytes(meta)
        path.unlink()
    assert tools.same(tools.volumes_in(tmp_path), [make_scan()])


def test_other_files_are_no_dicom(tmp_path, make_scan, write_nifti, tools):
    write_nifti(tmp_path / "a.nii", make_scan())
    (tmp_path / "notes").write_text("no scan, but long enough to hold something")
    (tmp_path / "zeros").write_bytes(b"\0" * 400)
    (tmp_path / "empty.dcm").write_bytes(b"")
    assert not tools.stacks_in(tmp_path)


@pytest.mark.parametrize("charset, patient", [("ISO_IR 100", "Müller"), ("ISO 2022 IR 87", "山田"), ("GB18030", "张")])
def test_any_character_set(tmp_path, make_scan, write_dicom, tools, charset, patient):
    write_dicom(tmp_path, make_scan(), SpecificCharacterSet=charset, PatientID=patient)
    assert tools.same(tools.volumes_in(tmp_path), [make_scan()])
