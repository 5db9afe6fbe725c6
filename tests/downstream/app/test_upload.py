"""What visitors upload is read once or refused in one line, and is gone in any case."""

import nibabel
import numpy as np
import pytest
import torch

import umzoo
from umzoo.downstream.app.upload import Limits, read_upload
from umzoo.errors import UmzooError
from umzoo.scans.load import input_of


@pytest.fixture
def spec(plain):
    return input_of(umzoo.from_pretrained(plain))


def test_a_scan_is_read_as_ever_and_gone(upload, spec, tmp_path):
    expected = umzoo.load_scan(upload, spec, modality="ct")
    scan = read_upload([upload], spec, "ct", Limits())
    assert torch.equal(scan.image, expected.image) and "doe" not in repr(scan)
    assert list(tmp_path.iterdir()) == []


def test_channels_are_read_in_the_order_of_the_files(upload, spec):
    image = nibabel.load(upload)
    other = upload.with_name("a.nii")
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj)[::-1].copy(), image.affine), other)
    two = spec.model_copy(update={"in_channels": 2})
    expected = umzoo.load_scan([upload, other], two, modality="ct").image
    assert torch.equal(read_upload([upload, other], two, "ct", Limits()).image, expected)


def flat(file):
    nibabel.save(nibabel.Nifti1Image(np.zeros((9, 9), np.int16), np.eye(4)), file)


def huge(file):
    """A header that claims more than a file of a few bytes can hold."""
    header = nibabel.Nifti1Header()
    header.set_data_dtype(np.int16)
    header.set_data_shape((2000, 2000, 2000))
    header["magic"], header["vox_offset"] = b"n+1", 352
    file.write_bytes(header.binaryblock + bytes(400))


REFUSED = {
    "no modality": (lambda file: None, None, Limits(), "choose the modality"),
    "another modality": (lambda file: None, "mr", Limits(), "the given modality is 'mr'"),
    "damaged": (lambda file: file.write_bytes(b"no scan"), "ct", Limits(), "unreadable"),
    "2D": (flat, "ct", Limits(), "2-D"),
    "claims too much": (huge, "ct", Limits(), "its header declares"),
    "too many bytes": (lambda file: None, "ct", Limits(megabytes=0), "this page takes 0"),
    "too many voxels": (lambda file: None, "ct", Limits(voxels=1000), "this page takes 1,000"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_one_line_without_a_name_and_gone_too(case, upload, spec, tmp_path):
    change, modality, limits, reason = REFUSED[case]
    change(upload)
    with pytest.raises(UmzooError, match=reason) as caught:
        read_upload([upload], spec, modality, limits)
    assert "\n" not in str(caught.value) and "doe" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_other_files_and_none_are_refused(upload, spec):
    with pytest.raises(UmzooError, match="one file first: got none"):
        read_upload([], spec, "ct", Limits())
    with pytest.raises(UmzooError, match="end in .nii or .nii.gz"):
        read_upload([upload.rename(upload.with_suffix(".png"))], spec, "ct", Limits())


def test_a_scan_that_resampling_would_blow_up_is_refused_before(upload, spec, monkeypatch):
    monkeypatch.setattr("umzoo.downstream.app.upload.load_scan", None)
    fine = spec.model_copy(update={"spacing": (0.01, 0.01, 0.01)})
    with pytest.raises(UmzooError, match="voxels for these weights"):
        read_upload([upload], fine, "ct", Limits())
