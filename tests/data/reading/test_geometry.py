from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

from umzoo.data.reading.geometry import canonical
from umzoo.data.reading.refusal import Reason, Refused


def stored_as(volume: np.ndarray, order: tuple[int, ...], signs: tuple[int, ...], spacing: tuple[float, ...]):
    """A canonical (D, H, W) volume as another file would hold it: (i, j, k) voxels and LPS affine."""
    voxels = volume.transpose(2, 1, 0).transpose(order)[tuple(slice(None, None, sign) for sign in signs)]
    affine = np.eye(4)
    affine[:3, :3] = np.diag(spacing[::-1])[:, order] * np.asarray(signs)
    return voxels, affine


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_every_axis_order_and_flip_gives_the_same_array(make_scan, order):
    volume = make_scan()
    for signs in product((1, -1), repeat=3):
        voxels, affine = stored_as(volume, order, signs, (3.0, 2.0, 1.0))
        result, spacing, note = canonical(voxels, affine)
        assert np.array_equal(result, volume)
        assert spacing == (3.0, 2.0, 1.0) and not note


def rotation(degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]])


@pytest.mark.parametrize("degrees", [5, 25, -30])
def test_oblique_grid_keeps_its_voxels(make_scan, degrees):
    volume = make_scan()
    voxels, affine = stored_as(volume, (1, 2, 0), (-1, 1, -1), (3.0, 2.0, 1.0))
    affine[:3, :3] = rotation(degrees) @ affine[:3, :3]
    result, spacing, _ = canonical(voxels, affine)
    assert np.array_equal(result, volume)
    assert spacing == pytest.approx((3, 2, 1), abs=1e-5)


def test_sheared_grid_is_straightened():
    """Slices of a ball shifted along y by a tilted gantry: after straightening it is round again, and in place."""
    z, y, x = np.mgrid[:40, :40, :40].astype(float)
    shift = 0.3
    ball = ((x - 20) ** 2 + (y + shift * (z - 20) - 20) ** 2 + (z - 20) ** 2 < 100).astype(np.float32)
    affine = np.eye(4)
    affine[1, 2] = shift
    result, _, note = canonical(ball.transpose(2, 1, 0), affine)
    assert "sheared by 1" in note
    places = np.argwhere(result > 0.5)
    spread = places.std(axis=0)
    assert spread.max() / spread.min() < 1.06
    assert abs(len(places) / np.count_nonzero(ball) - 1) < 0.1


@pytest.mark.parametrize(
    ("affine", "word"),
    [
        (np.diag([1.0, 1.0, 0.0, 1.0]), "spacing"),
        (np.diag([1.0, np.nan, 1.0, 1.0]), "NaN"),
        (np.diag([1.0, 1.0, 900.0, 1.0]), "spacing"),
        (np.array([[1.0, 1, 0, 0], [0, 0.1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), "perpendicular"),
    ],
)
def test_impossible_geometry_is_refused(affine, word):
    with pytest.raises(Refused, match=word) as caught:
        canonical(np.zeros((9, 9, 9)), affine)
    assert caught.value.reason is Reason.GEOMETRY
