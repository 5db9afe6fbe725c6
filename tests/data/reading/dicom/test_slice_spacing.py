from __future__ import annotations

import numpy as np
import pytest

from umzoo.data.reading.refusal import Reason
from umzoo.data.reading.scan_source import Reading


def test_tilted_gantry_is_straightened(tmp_path, make_scan, write_dicom, tools):
    (volume,) = tools.volumes_in(write_dicom(tmp_path, make_scan(ct=True), tilt=0.5))
    assert "sheared by 14.0 degrees" in volume.notes[0]
    assert volume.voxels.shape[1] > 24


@pytest.mark.parametrize("lost", [["056"], ["056", "063"]])
def test_missing_slices_are_counted(tmp_path, make_scan, write_dicom, tools, lost):
    write_dicom(tmp_path, make_scan(ct=True))
    for name in lost:
        (tmp_path / f"{name}.dcm").unlink()
    (stack,) = tools.stacks_in(tmp_path)
    assert stack.refused.reason is Reason.SLICES
    assert (
        f"{len(lost)} of 20 slices; their spacing is 2.00 mm, with gaps from 2.00 to {2 + 2 * len(lost)}.00 mm"
        in str(stack.refused)
    )


def test_a_jump_sideways_is_no_shear(tmp_path, make_scan, write_dicom, tools):
    write_dicom(tmp_path, make_scan(), each=lambda k: {"ImagePositionPatient": [30 * (k > 7), 0, 2 * k]})
    (stack,) = tools.stacks_in(tmp_path)
    assert stack.refused.reason is Reason.GEOMETRY and "sideways" in str(stack.refused)


def uneven(k):
    return 2.0 * k if k < 8 else 14 + 5.0 * (k - 7)


def test_uneven_slices_are_refused_or_made_even(tmp_path, write_dicom, tools):
    """Values grow with the place, so that linear interpolation is exact."""
    places = np.array([uneven(k) for k in range(20)])
    scan = np.broadcast_to((10 * places)[:, None, None], (20, 24, 28)).round().astype(np.int16)
    write_dicom(tmp_path, scan, each=lambda k: {"ImagePositionPatient": [0, 0, uneven(k)]})
    (refused,) = tools.stacks_in(tmp_path)
    assert refused.refused.reason is Reason.UNEVEN
    assert "from 2.00 to 5.00 mm" in str(refused.refused) and "--uneven resample" in str(refused.refused)
    (stack,) = tools.stacks_in(tmp_path, uneven=True)
    volume = tools.read(stack, Reading(uneven="resample"))
    step = volume.spacing[0]
    assert volume.voxels[:, 0, 0] == pytest.approx(10 * step * np.arange(len(volume.voxels)), abs=0.1)
    assert step * (len(volume.voxels) - 1) == pytest.approx(places[-1])
    assert "resampled" in volume.notes[0]
