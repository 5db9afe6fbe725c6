"""Which scans a command is given."""

from pathlib import Path

import nibabel
import pytest
import torch

from tests.scans.conftest import as_nifti, make_body
from umzoo.scans.listing import for_each_scan, list_scans, no_progress
from umzoo.spec import InputSpec

SPEC = InputSpec(spacing=(1.5, 1.5, 1.5), in_channels=2)


@pytest.fixture
def patients(tmp_path):
    """Two patients of two channels each in the layout of nnU-Net, and one who lacks the second."""
    for name in ("a_0001", "a_0000", "b_0000", "b_0001", "c_0000"):
        nibabel.save(as_nifti(make_body(int(name[-1]))), tmp_path / f"{name}.nii.gz")
    return tmp_path


def test_numbered_files_are_the_channels_of_one_scan_in_their_order(patients):
    listing = list_scans([patients], SPEC, ["ct"])
    assert [Path(listed.name).name for listed in listing.scans] == ["a.nii.gz", "b.nii.gz", "c_0000.nii.gz"]
    assert listing.scans[0].file == patients / "a.nii.gz"
    single = list_scans([patients], SPEC.model_copy(update={"in_channels": 1}), ["ct"])
    alone = {Path(listed.name).name: listed.read().image for listed in single.scans}
    both = torch.cat([alone["a_0000.nii.gz"], alone["a_0001.nii.gz"]])
    assert len(single.scans) == 5 and torch.equal(listing.scans[0].read().image, both)


def test_a_patient_who_lacks_a_channel_is_left_out_and_named(patients):
    seen = []
    listing = list_scans([patients], SPEC, ["ct"])
    skipped = for_each_scan(listing, lambda it, _: seen.append(Path(it.name).name), no_progress, lambda _: False)
    assert seen == ["a.nii.gz", "b.nii.gz"]
    assert [Path(name).name for name, _ in skipped] == ["c_0000.nii.gz"] and "expects 2 channel" in skipped[0][1]
