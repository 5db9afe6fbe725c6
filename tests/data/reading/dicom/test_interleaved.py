"""Several volumes whose slices lie between each other are never one volume of finer spacing."""

from __future__ import annotations

import numpy as np
import pytest

from umzoo.data.reading.refusal import Reason, Refused

ODD_FIRST = [1, 8, 2, 9, 3, 10, 4, 11, 5, 12, 6, 13, 7, 14]


@pytest.fixture
def two(tmp_path, make_scan, write_dicom):
    """Write two phases of 14 slices 2 mm apart, the second *shift* mm further along the body, as one MR series."""
    phases = [make_scan(0, (14, 16, 18)), make_scan(1, (14, 16, 18))]
    phases[1] *= 2

    def write(numbers=lambda phase, k: 1 + k + 14 * phase, shift=1.0, each=lambda phase: {}, **tags):
        for phase, voxels in enumerate(phases):

            def place(k, phase=phase):
                return {
                    "ImagePositionPatient": [0, 0, 2 * k + shift * phase],
                    "InstanceNumber": numbers(phase, k),
                    **each(phase),
                }

            write_dicom(tmp_path, voxels, "MR", each=place, first=300 * phase, **tags)
        return tmp_path, phases

    return write


@pytest.mark.parametrize("told", [{"SliceThickness": 2}, {"SpacingBetweenSlices": 2}, {"SliceThickness": 1.7}])
@pytest.mark.parametrize(
    "numbers, each",
    [
        (lambda phase, k: 1 + k + 14 * phase, lambda phase: {}),
        (lambda phase, k: 1 + k if phase == 0 else 28 - k, lambda phase: {}),
        (lambda phase, k: 1 + k, lambda phase: {}),
        (lambda phase, k: 2 * k + phase, lambda phase: {"AcquisitionTime": f"10101{phase}"}),
        (lambda phase, k: 2 * k + phase, lambda phase: {"TriggerTime": 50 + 300 * phase}),
    ],
)
def test_thickness_or_spacing_tells_that_they_are_two(two, tools, numbers, each, told):
    folder, phases = two(numbers, each=each, **told)
    assert tools.same(tools.volumes_in(folder), phases)


@pytest.mark.parametrize("shift", [1.0, 0.6])
def test_without_it_they_are_refused(two, tools, shift):
    folder, _ = two(shift=shift)
    (stack,) = tools.stacks_in(folder)
    assert stack.refused.reason is Reason.MIXED and "seem to be interleaved" in stack.refused.detail


def test_unequal_distances_are_two_scans_and_not_one_to_be_made_even(two, tools):
    folder, phases = two(shift=0.6, SliceThickness=2)
    assert tools.same([tools.read(stack) for stack in tools.stacks_in(folder, uneven=True)], phases)


def test_where_no_header_tells_the_slices_do(two, tools):
    folder, _ = two(lambda phase, k: 2 * k + phase, SliceThickness=2)
    (stack,) = tools.stacks_in(folder)
    with pytest.raises(Refused, match="every second slice is more similar than neighbors"):
        tools.read(stack)


@pytest.mark.parametrize("told", [{"SliceThickness": 2}, {"SliceThickness": 9, "SpacingBetweenSlices": 2}])
@pytest.mark.parametrize("tag", [{}, {"AcquisitionNumber": 1}, {"FlipAngle": 10}])
def test_one_scan_acquired_in_two_passes_is_one(tmp_path, make_scan, write_dicom, tools, told, tag):
    def each(k):
        return {"InstanceNumber": ODD_FIRST[k], **{name: value + k % 2 for name, value in tag.items()}}

    scan = make_scan(0, (14, 16, 18))
    (volume,) = tools.volumes_in(write_dicom(tmp_path, scan, "MR", each=each, **told))
    assert np.array_equal(volume.voxels, scan)


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_one_scan_whose_slices_overlap_is_one(tmp_path, make_scan, write_dicom, tools, modality):
    scan = make_scan(0, (14, 16, 18), ct=modality == "CT")
    (volume,) = tools.volumes_in(write_dicom(tmp_path, scan, modality, spacing=(1, 1, 1), SliceThickness=2))
    assert np.array_equal(volume.voxels, scan) and volume.spacing == (1, 1, 1)
    assert any("overlap" in note for note in volume.notes) == (modality == "MR")


def test_frames_of_one_file_are_told_the_same_way(tmp_path, make_scan, tools):
    phases = [make_scan(seed, (14, 16, 18)) for seed in (0, 1)]
    places = [(0, 0, 9 * k + 4.5 * phase) for phase in (0, 1) for k in range(14)]  # frames are 9 mm thick
    tools.write_enhanced(tmp_path / "a.dcm", np.concatenate(phases), places)
    assert tools.same(tools.volumes_in(tmp_path), phases)
