from __future__ import annotations

import numpy as np
import pydicom
import pytest

from umzoo.data.reading.refusal import Reason


def along(count, step=2.0):
    return [(0.0, 0.0, step * k) for k in range(count)]


def test_frames_are_placed_by_their_positions(tmp_path, make_scan, tools):
    scan = make_scan()
    order = np.random.default_rng(0).permutation(20).tolist()
    tools.write_enhanced(tmp_path / "a", scan[order], [along(20)[k] for k in order])
    (volume,) = tools.volumes_in(tmp_path)
    assert np.array_equal(volume.voxels, scan)
    assert volume.spacing == (2, 1, 1)


def test_sagittal_frames_lie_as_they_say(tmp_path, make_scan, tools):
    scan = make_scan()
    frames = np.stack([scan[::-1, :, x] for x in range(28)])
    positions = [(2.0 * x, 0.0, 19.0) for x in range(28)]
    tools.write_enhanced(tmp_path / "a", frames[::-1], positions[::-1], orientation=(0, 1, 0, 0, 0, -1))
    (volume,) = tools.volumes_in(tmp_path)
    assert np.array_equal(volume.voxels, scan) and volume.spacing == (1, 1, 2)


def test_each_frame_has_its_own_rescale(tmp_path, make_scan, tools):
    from pydicom.dataset import Dataset

    def rescale(k, frame, content):
        item = Dataset()
        item.RescaleSlope, item.RescaleIntercept = 0.5 + k / 10, k
        frame.PixelValueTransformationSequence = [item]

    tools.write_enhanced(tmp_path / "a", make_scan(), along(20), each=rescale)
    (volume,) = tools.volumes_in(tmp_path)
    expected = np.stack([plane * (0.5 + k / 10) + k for k, plane in enumerate(make_scan())])
    assert np.allclose(volume.voxels, expected, rtol=1e-6)


def b_value(k, frame, content):
    from pydicom.dataset import Dataset

    item = Dataset()
    item.DiffusionBValue = 1000.0 * (k % 2)
    frame.MRDiffusionSequence = [item]


def time(k, frame, content):
    content.TemporalPositionIndex = 1 + k % 2


def dimension(k, frame, content):
    content.DimensionIndexValues = [1, 1 + k // 2, 1 + k % 2]


@pytest.mark.parametrize("each", [b_value, time, dimension])
@pytest.mark.parametrize("lost", [False, True])
def test_volumes_of_one_file_are_told_apart(tmp_path, make_scan, tools, each, lost):
    """Two volumes in one file, frame by frame in turn; a missing frame costs its own volume only."""
    frames = np.stack([make_scan(0), make_scan(1)], axis=1).reshape(-1, 24, 28)
    positions = [place for place in along(20) for _ in range(2)]
    keep = [k for k in range(40) if not (lost and k == 14)]
    tools.write_enhanced(
        tmp_path / "a", frames[keep], [positions[k] for k in keep], each=lambda k, *groups: each(keep[k], *groups)
    )
    stacks = tools.stacks_in(tmp_path)
    assert [stack.refused.reason for stack in stacks if stack.refused] == [Reason.SLICES] * lost
    assert tools.same(tools.volumes_in(tmp_path), [make_scan(1)] if lost else [make_scan(0), make_scan(1)])


def test_volume_after_volume_is_told_by_the_order(tmp_path, make_scan, tools):
    tools.write_enhanced(tmp_path / "a", np.concatenate([make_scan(0), make_scan(1)]), along(20) * 2)
    assert tools.same(tools.volumes_in(tmp_path), [make_scan(0), make_scan(1)])


def test_two_volumes_of_one_file_are_two_scans_of_a_store(tmp_path, make_scan, tools):
    from umzoo.data.preparing.prepare import prepare

    tools.write_enhanced(tmp_path / "a", np.concatenate([make_scan(0), make_scan(1)]), along(20) * 2)
    for known in (0, 2):
        report = prepare([tmp_path / "a"], tmp_path / "store", spacing=None, workers=0)
        assert (report.count("known"), report.count("in")) == (known, 2 - known)
    assert {outcome.name for outcome in report.outcomes} == {"a [volume 1]", "a [volume 2]"}


def test_a_gap_between_frames_is_no_spacing(tmp_path, make_scan, tools):
    keep = [k for k in range(20) if k != 7]
    tools.write_enhanced(tmp_path / "a", make_scan()[keep], [along(20)[k] for k in keep])
    (stack,) = tools.stacks_in(tmp_path)
    assert stack.refused.reason is Reason.SLICES


def several_frames(folder, scan, write_dicom, **tags):
    """A file of the old kind: one position, many frames."""
    path = write_dicom(folder, scan[:1], modality="NM") / "000.dcm"
    data = pydicom.dcmread(path)
    data.NumberOfFrames, data.PixelData = len(scan), (scan + 1000).astype("<i2").tobytes()
    for name, value in tags.items():
        setattr(data, name, value)
    data.save_as(path)


@pytest.mark.parametrize("step", [2, -2])
def test_frames_along_the_normal(tmp_path, make_scan, write_dicom, tools, step):
    several_frames(tmp_path, make_scan(), write_dicom, SpacingBetweenSlices=step)
    (volume,) = tools.volumes_in(tmp_path)
    assert np.array_equal(volume.voxels, make_scan() if step > 0 else make_scan()[::-1])
    assert volume.spacing == (2, 1, 1) and "SpacingBetweenSlices" in volume.notes[0]


def test_no_spacing_is_invented_and_projections_are_no_slices(tmp_path, make_scan, write_dicom, tools):
    several_frames(tmp_path / "a", make_scan(), write_dicom, SliceThickness=3)
    several_frames(tmp_path / "b", make_scan(), write_dicom, SpacingBetweenSlices=2, AngularViewVector=[*range(1, 21)])
    reasons = {stack.refused.reason for stack in tools.stacks_in(tmp_path)}
    assert reasons == {Reason.GEOMETRY, Reason.NOT_A_VOLUME}


def test_highdicom_stacks_frames_the_same_way(tmp_path, make_scan, tools):
    image = pytest.importorskip("highdicom").imread
    scan = make_scan()
    order = np.random.default_rng(1).permutation(20)
    path = tools.write_enhanced(tmp_path / "a", scan[order], [along(20)[k] for k in order])
    data = pydicom.dcmread(path)
    data.PatientName = data.PatientBirthDate = data.PatientSex = data.StudyDate = data.StudyTime = ""
    data.StudyID = data.ReferringPhysicianName = data.AccessionNumber = data.FrameOfReferenceUID = "1.2.3"
    data.save_as(path)
    theirs = image(path).get_volume().to_patient_orientation("HPL")
    (volume,) = tools.volumes_in(tmp_path)
    assert theirs.spacing == pytest.approx(volume.spacing)
    assert any(np.array_equal(theirs.array[::z, ::y, ::x], volume.voxels) for z in (1, -1) for y in (1,) for x in (1,))
