from __future__ import annotations

import shutil

import numpy as np
import pytest

from umzoo.data.dicom import group, is_dicom, read_headers
from umzoo.data.refusal import Reason
from umzoo.data.scan_source import ScanSource
from umzoo.data.volume import read_volumes


def stacks_in(folder):
    return group(read_headers([str(path) for path in sorted(folder.rglob("*.dcm"))]))


def read(stack):
    files = tuple(header.file for header in stack.headers)
    (volume,) = read_volumes(ScanSource(files, "series", "set", "someone", dicom=True))
    return volume


def test_slices_are_ordered_by_place_and_rescaled(tmp_path, make_scan, write_dicom):
    (stack,) = stacks_in(write_dicom(tmp_path, make_scan(ct=True)))
    volume = read(stack)
    assert np.array_equal(volume.voxels, make_scan(ct=True))
    assert volume.spacing == (2, 1, 1) and not volume.notes


def test_series_are_kept_apart_and_together(tmp_path, make_scan, write_dicom):
    """Two series in one folder, one of them spread over two folders."""
    write_dicom(tmp_path / "all", make_scan(0, ct=True), series="1.1")
    write_dicom(tmp_path / "all", make_scan(1, ct=True), series="1.2", first=500)
    (tmp_path / "more").mkdir()
    for path in sorted((tmp_path / "all").glob("*.dcm"))[::3]:
        shutil.move(path, tmp_path / "more" / path.name)
    first, second = sorted(stacks_in(tmp_path), key=lambda stack: stack.headers[0].tags["series"])
    assert np.array_equal(read(first).voxels, make_scan(0, ct=True))
    assert np.array_equal(read(second).voxels, make_scan(1, ct=True))


def test_one_series_of_two_geometries_and_several_times(tmp_path, make_scan, write_dicom):
    write_dicom(tmp_path, make_scan(0, ct=True), TemporalPositionIdentifier=1)
    write_dicom(tmp_path, make_scan(1, ct=True), TemporalPositionIdentifier=2, first=200)
    write_dicom(tmp_path, make_scan(2, (9, 30, 30), ct=True), first=400)
    found = {stack.headers[0].file: read(stack).voxels for stack in stacks_in(tmp_path)}
    assert len(found) == 3
    for seed, shape in ((0, (20, 24, 28)), (1, (20, 24, 28)), (2, (9, 30, 30))):
        assert any(np.array_equal(voxels, make_scan(seed, shape, ct=True)) for voxels in found.values())


def test_tilted_gantry_is_straightened(tmp_path, make_scan, write_dicom):
    (stack,) = stacks_in(write_dicom(tmp_path, make_scan(ct=True), tilt=0.5))
    volume = read(stack)
    assert "sheared by 14.0 degrees" in volume.notes[0]
    assert volume.voxels.shape[1] > 24


def test_missing_slices_are_refused(tmp_path, make_scan, write_dicom):
    write_dicom(tmp_path, make_scan(ct=True))
    sorted(tmp_path.glob("*.dcm"))[8].unlink()
    (stack,) = stacks_in(tmp_path)
    assert stack.refused.reason is Reason.SLICES
    assert "gaps from 2.00 to 4.00 mm" in str(stack.refused)


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"Modality": "US"}, Reason.NOT_A_VOLUME),
        ({"Modality": "SEG"}, Reason.LABELS),
        ({"ImagePositionPatient": None}, Reason.NOT_A_VOLUME),
    ],
)
def test_files_that_are_no_slices(tmp_path, make_scan, write_dicom, tags, reason):
    write_dicom(tmp_path, make_scan(ct=True)[:2], **tags)
    assert {stack.refused.reason for stack in stacks_in(tmp_path)} == {reason}


def test_single_slices_and_damaged_files(tmp_path, make_scan, write_dicom):
    write_dicom(tmp_path, make_scan(ct=True)[:1])
    (tmp_path / "x.dcm").write_bytes(b"\0" * 128 + b"DICMjunk")
    reasons = {stack.refused.reason for stack in stacks_in(tmp_path)}
    assert reasons == {Reason.TWO_D, Reason.UNREADABLE}


def test_dicom_is_told_by_its_preamble(tmp_path, make_scan, write_dicom):
    write_dicom(tmp_path, make_scan(ct=True)[:1])
    plain = (tmp_path / "000.dcm").rename(tmp_path / "IM0001")
    (tmp_path / "notes.txt").write_text("no scan")
    assert is_dicom(plain) and not is_dicom(tmp_path / "notes.txt") and not is_dicom(tmp_path / "absent")
