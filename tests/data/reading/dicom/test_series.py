from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from umzoo.data.reading.refusal import Reason

RNG = np.random.default_rng(0)


def test_slices_are_ordered_by_place_and_rescaled(tmp_path, make_scan, write_dicom, tools):
    (volume,) = tools.volumes_in(write_dicom(tmp_path, make_scan(ct=True)))
    assert np.array_equal(volume.voxels, make_scan(ct=True))
    assert volume.spacing == (2, 1, 1) and not volume.notes


def test_series_are_kept_apart_and_together(tmp_path, make_scan, write_dicom, tools):
    """Two series in one folder, one of them spread over two folders."""
    write_dicom(tmp_path / "all", make_scan(0, ct=True), series="1.1")
    write_dicom(tmp_path / "all", make_scan(1, ct=True), series="1.2", first=500)
    (tmp_path / "more").mkdir()
    for path in sorted((tmp_path / "all").glob("*.dcm"))[::3]:
        shutil.move(path, tmp_path / "more" / path.name)
    assert tools.same(tools.volumes_in(tmp_path), [make_scan(0, ct=True), make_scan(1, ct=True)])


def test_one_series_of_two_sizes_and_several_times(tmp_path, make_scan, write_dicom, tools):
    write_dicom(tmp_path, make_scan(0, ct=True), TemporalPositionIdentifier=1)
    write_dicom(tmp_path, make_scan(1, ct=True), TemporalPositionIdentifier=2, first=200)
    write_dicom(tmp_path, make_scan(2, (9, 30, 30), ct=True), first=400)
    expected = [make_scan(0, ct=True), make_scan(1, ct=True), make_scan(2, (9, 30, 30), ct=True)]
    assert tools.same(tools.volumes_in(tmp_path), expected)


@pytest.mark.parametrize(
    "first, second",
    [
        ({"PatientID": "a"}, {"PatientID": "b"}),
        ({"PatientName": "A^B"}, {"PatientName": "C^D"}),
        ({"PatientBirthDate": "19500101"}, {"PatientBirthDate": "19800101"}),
        ({"PatientSex": "M", "PatientAge": "050Y"}, {"PatientSex": "F", "PatientAge": "032Y"}),
        ({"StudyInstanceUID": "1.1"}, {"StudyInstanceUID": "1.2"}),
        ({"FrameOfReferenceUID": "1.1"}, {"FrameOfReferenceUID": "1.2"}),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "M"]}, {"ImageType": ["ORIGINAL", "PRIMARY", "P"]}),
        ({"ConvolutionKernel": "B30f"}, {"ConvolutionKernel": "B70f"}),
        ({"EchoNumbers": 1}, {"EchoNumbers": 2}),
        ({"EchoTime": 5.0}, {"EchoTime": 7.3}),
        ({"DiffusionBValue": 0.0}, {"DiffusionBValue": 50.0}),
        ({"KVP": 80}, {"KVP": 140}),
        ({"TemporalPositionIdentifier": 1}, {"TemporalPositionIdentifier": 2}),
    ],
)
def test_no_volume_mixes_kinds(tmp_path, make_scan, write_dicom, tools, first, second):
    """Files of two kinds share a series, positions and numbers; a lost slice costs its own volume only."""
    write_dicom(tmp_path, make_scan(0), **first)
    write_dicom(tmp_path, make_scan(1), **second, first=300)
    assert tools.same([tools.read(stack) for stack in tools.stacks_in(tmp_path)], [make_scan(0), make_scan(1)])
    (tmp_path / "049.dcm").unlink()
    found = tools.stacks_in(tmp_path)
    assert tools.same([tools.read(stack) for stack in found if not stack.refused], [make_scan(1)])
    assert [stack.refused.reason for stack in found if stack.refused] == [Reason.SLICES]


@pytest.mark.parametrize("tag", ["FrameOfReferenceUID", "TemporalPositionIdentifier"])
def test_what_is_new_for_every_slice_tells_nothing(tmp_path, make_scan, write_dicom, tools, tag):
    """Anonymization gives some collections a frame of reference for each slice."""
    new = {"each": lambda k: {tag: f"1.2.{k + 1}" if tag.endswith("UID") else k + 1}}
    write_dicom(tmp_path, make_scan(0), EchoTime=5, **new)
    write_dicom(tmp_path, make_scan(1), EchoTime=9, first=300, **new)
    assert tools.same(tools.volumes_in(tmp_path), [make_scan(0), make_scan(1)])


SHARED = Path(__file__).parents[4].parent / "shared" / "data" / "dicom"


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared test data are not here")
@pytest.mark.parametrize("name, slices", [("ct_chest_lidc", 14), ("mr_prostate_dce", 20)])
def test_real_series(tools, name, slices):
    (stack,) = tools.stacks_in(SHARED / name)
    assert len(stack.files) == slices


def test_interrupted_kinds_are_not_joined(tmp_path, make_scan, write_dicom, tools):
    """The first half of one echo and the second half of another make no volume."""
    echo = {"each": lambda k: {"EchoTime": 5.0 if k < 10 else 20.0}}
    write_dicom(tmp_path, make_scan(), **echo)
    assert [len(stack.files) for stack in tools.stacks_in(tmp_path)] == [10, 10]


@pytest.mark.parametrize(
    "tag, values",
    [
        ("AcquisitionNumber", (1, 2)),
        ("InversionTime", (100, 900)),
        ("FlipAngle", (5, 20)),
        ("SliceThickness", (2, 5)),
        ("NominalPercentageOfCardiacPhase", (0, 50)),
        ("AcquisitionTime", ("101500", "101530")),
        ("DiffusionGradientOrientation", ([1, 0, 0], [0, 1, 0])),
    ],
)
def test_images_of_one_position_are_told_apart(tmp_path, make_scan, write_dicom, tools, tag, values):
    for number, value in enumerate(values):
        write_dicom(tmp_path, make_scan(number), **{tag: value}, first=300 * number)
    assert tools.same(tools.volumes_in(tmp_path), [make_scan(0), make_scan(1)])


def test_times_that_are_told_by_their_order_only(tmp_path, make_scan, write_dicom, tools):
    for number in range(3):
        numbers = {"each": lambda k, number=number: {"InstanceNumber": 20 * number + k + 1}}
        write_dicom(tmp_path, make_scan(number), **numbers, first=200 * number)
    assert tools.same(tools.volumes_in(tmp_path), [make_scan(number) for number in range(3)])


def test_phases_of_the_heart(tmp_path, make_scan, write_dicom, tools):
    """The trigger time differs a little from slice to slice; numbers run position by position."""
    for number in range(3):
        tags = {"each": lambda k, n=number: {"TriggerTime": 40.0 * n + 0.1 * k, "InstanceNumber": 3 * k + n + 1}}
        write_dicom(tmp_path, make_scan(number), **tags, first=200 * number)
    assert tools.same(tools.volumes_in(tmp_path), [make_scan(number) for number in range(3)])


def test_what_cannot_be_told_apart_is_refused(tmp_path, make_scan, write_dicom, tools):
    write_dicom(tmp_path, make_scan(0))
    write_dicom(tmp_path, make_scan(1), first=300)
    (stack,) = tools.stacks_in(tmp_path)
    assert stack.refused.reason is Reason.MIXED and len(stack.files) == 40
    assert "40 images at 20 positions" in str(stack.refused)


def test_slices_that_lost_their_positions_are_refused(tmp_path, make_scan, write_dicom, tools):
    write_dicom(tmp_path, make_scan(), ImagePositionPatient=[0, 0, 0])
    (stack,) = tools.stacks_in(tmp_path)
    assert "images at the same position" in str(stack.refused)


def test_table_passes_are_one_volume_and_interleaved_acquisitions_two(tmp_path, make_scan, write_dicom, tools):
    write_dicom(tmp_path / "passes", make_scan(0), each=lambda k: {"AcquisitionNumber": 1 + k // 10})
    write_dicom(tmp_path / "phases", make_scan(1), series="1.9", AcquisitionNumber=1)
    half = {"each": lambda k: {"ImagePositionPatient": [0, 0, 2 * k + 1]}}
    write_dicom(tmp_path / "phases", make_scan(2), series="1.9", AcquisitionNumber=2, first=300, **half)
    assert tools.same(tools.volumes_in(tmp_path), [make_scan(number) for number in range(3)])


def test_passes_far_apart_are_two_volumes(tmp_path, make_scan, write_dicom, tools):
    far = {"each": lambda k: {"AcquisitionNumber": 1 + k // 10, "ImagePositionPatient": [0, 0, 2 * k + 31 * (k > 9)]}}
    write_dicom(tmp_path, make_scan(), **far)
    assert tools.same(tools.volumes_in(tmp_path), [make_scan()[:10], make_scan()[10:]])


def test_copied_slices_are_copies_whatever_they_are_called(tmp_path, make_scan, write_dicom, tools):
    write_dicom(tmp_path / "a", make_scan())
    write_dicom(tmp_path / "b", make_scan()[:5], first=300)
    copies = [stack for stack in tools.stacks_in(tmp_path) if stack.copies]
    assert [len(stack.files) for stack in copies] == [5]
    assert tools.same(tools.volumes_in(tmp_path), [make_scan()])


def test_slices_copied_in_another_compression_are_copies(tmp_path, make_scan, write_dicom, tools):
    import pydicom

    write_dicom(tmp_path / "a", make_scan())
    write_dicom(tmp_path / "b", make_scan()[:5], first=300)
    for file in sorted((tmp_path / "b").iterdir()):
        data = pydicom.dcmread(file)
        data.compress(pydicom.uid.RLELossless)
        data.save_as(file)
    assert [len(stack.files) for stack in tools.stacks_in(tmp_path) if stack.copies] == [5]
    assert tools.same(tools.volumes_in(tmp_path), [make_scan()])


def test_positions_rounded_to_a_tenth_are_even(tmp_path, make_scan, write_dicom, tools):
    write_dicom(tmp_path, make_scan(), each=lambda k: {"ImagePositionPatient": [0, 0, round(0.625 * k, 1)]})
    assert tools.same(tools.volumes_in(tmp_path), [make_scan()])


@pytest.mark.parametrize("image_type", [None, ["ORIGINAL", "PRIMARY", "LOCALIZER"]])
@pytest.mark.parametrize("place", [8.9, -45.3])
def test_a_localizer_costs_itself_only(tmp_path, make_scan, write_dicom, tools, place, image_type):
    write_dicom(tmp_path, make_scan())
    tags = {"ImageType": image_type} if image_type else {}
    write_dicom(tmp_path, make_scan(3)[:1], first=300, each=lambda k: {"ImagePositionPatient": [0, 0, place]}, **tags)
    assert tools.same(tools.volumes_in(tmp_path), [make_scan()])
    (lone,) = (stack for stack in tools.stacks_in(tmp_path) if stack.refused)
    assert lone.refused.reason is Reason.TWO_D and len(lone.files) == 1


def test_digits_that_jitter_are_one_scan(tmp_path, make_scan, write_dicom, tools):
    def jitter(k):
        tiny = RNG.normal(0, 2e-4, 3)
        return {
            "ImageOrientationPatient": [0.99875, 0.0499, 5e-4 + tiny[0], -0.0499, 0.99875, 5e-4 + tiny[1]],
            "PixelSpacing": [0.7031499 + 1e-7 * k, 0.70315],
            "ImagePositionPatient": [1e-5 * k, 0, 2 * k + 50 * tiny[2]],
        }

    write_dicom(tmp_path, make_scan(), each=jitter)
    assert tools.same(tools.volumes_in(tmp_path), [make_scan()])


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({"Modality": "US"}, Reason.NOT_A_VOLUME),
        ({"Modality": "RTSTRUCT", "Rows": None}, Reason.NOT_A_VOLUME),
        ({"Modality": "SEG"}, Reason.LABELS),
        ({"ImagePositionPatient": None}, Reason.NOT_A_VOLUME),
        ({"PixelSpacing": None}, Reason.GEOMETRY),
        ({"ImageOrientationPatient": [0, 0, 0, 0, 0, 0]}, Reason.GEOMETRY),
        ({"ImageOrientationPatient": [1, 0, 0, 0.5, 0.9, 0]}, Reason.GEOMETRY),
        ({"RescaleSlope": 0}, Reason.UNREADABLE),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, Reason.COLOR),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]}, Reason.NOT_A_VOLUME),
        ({"InConcatenationTotalNumber": 2}, Reason.NOT_A_VOLUME),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.66.4"}, Reason.LABELS),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.4.2"}, Reason.NOT_A_VOLUME),
    ],
)
def test_files_that_are_no_slices_are_refused_as_one_scan(tmp_path, make_scan, write_dicom, tools, tags, reason):
    write_dicom(tmp_path, make_scan()[:6], **tags)
    (stack,) = tools.stacks_in(tmp_path)
    assert stack.refused.reason is reason and len(stack.files) == 6


def test_a_mosaic_is_known_by_its_private_element_too(tmp_path, make_scan, write_dicom, tools):
    import pydicom

    write_dicom(tmp_path, make_scan()[:2])
    for file in tmp_path.iterdir():
        data = pydicom.dcmread(file)
        data.add_new(0x00190010, "LO", "SIEMENS MR HEADER")
        data.add_new(0x0019100A, "US", 16)
        data.save_as(file)
    (stack,) = tools.stacks_in(tmp_path)
    assert "Siemens mosaic" in stack.refused.detail and len(stack.files) == 2


def test_single_slices_and_damaged_files(tmp_path, make_scan, write_dicom, tools):
    write_dicom(tmp_path, make_scan()[:1])
    (tmp_path / "x.dcm").write_bytes(b"\0" * 128 + b"DICMjunk")
    assert {stack.refused.reason for stack in tools.stacks_in(tmp_path)} == {Reason.TWO_D, Reason.UNREADABLE}
