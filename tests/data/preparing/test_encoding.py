from __future__ import annotations

import numpy as np
import pytest

from umzoo.data.preparing.encoding import CT_RANGE, Encoding, fit, quantize
from umzoo.data.preparing.statistics import describe
from umzoo.data.reading.refusal import Refused
from umzoo.spec import DEFAULT_RULES

CT, ANY = DEFAULT_RULES["ct"], DEFAULT_RULES["*"]


def encode(volume, modality="mr", resampled=False):
    rule = CT if modality == "ct" else ANY
    encoding = fit(volume, (float(volume.min()), float(volume.max())), modality, rule, resampled)
    return encoding, quantize(volume, encoding)


def physical(stored, encoding):
    return stored * encoding.slope + encoding.intercept


def test_ct_is_stored_in_whole_hounsfield_units(make_scan):
    volume = make_scan(ct=True)
    volume[0, 0, :2] = -3024, 9000
    encoding, stored = encode(volume, "ct")
    assert np.array_equal(stored, volume.clip(-1024, 3071))
    assert (encoding.slope, encoding.intercept, encoding.window) == (1, 0, (-1000, 1000))
    assert not encoding.notes


@pytest.mark.parametrize("shift, scale", [(1024, 1), (0, 0.001)])
def test_ct_that_is_not_in_hu_gets_percentiles_and_a_note(make_scan, shift, scale):
    encoding, _ = encode((make_scan(ct=True) + shift) * scale, "ct")
    assert "do not look like HU" in encoding.notes[0]
    assert encoding.window != CT.window


def test_whole_numbers_survive(make_scan):
    encoding, stored = encode(make_scan())
    assert np.array_equal(physical(stored, encoding), make_scan())


@pytest.mark.parametrize("factor, shift", [(1e-4, 0), (1.0, 0), (3000.0, 0), (0.01, 700), (1.0, -300)])
def test_physical_values_survive_within_a_slope(make_scan, factor, shift):
    volume = make_scan().astype(np.float32) * factor + np.float32(shift)
    encoding, stored = encode(volume, resampled=True)
    assert np.abs(physical(stored, encoding) - volume).max() <= 0.51 * encoding.slope + 1e-4 * abs(shift)
    low, high = encoding.window
    assert (high - low) / encoding.slope == pytest.approx(4096)


def test_a_bright_outlier_does_not_spoil_the_window(make_scan):
    volume = make_scan().astype(np.float32)
    window = encode(volume)[0].window
    volume[3, 3, 3] = 1e7
    encoding, stored = encode(volume)
    assert encoding.window == pytest.approx(window, rel=0.02)
    assert physical(stored, encoding).max() <= window[1] + 4.2 * (window[1] - window[0])


def test_whole_numbers_far_from_the_window_survive(make_scan):
    volume = make_scan().astype(np.int32)
    volume[10:] += 40_000
    encoding, stored = encode(volume)
    assert np.array_equal(physical(stored, encoding), volume)


def test_window_is_taken_over_the_foreground(make_scan):
    """Ten times the empty background does not move the window."""
    small = make_scan()
    large = np.pad(small, 14)
    assert encode(large)[0].window == pytest.approx(encode(small)[0].window, rel=0.1)


def test_statistics_are_those_of_the_box_that_is_not_zero(make_scan):
    volume = make_scan().clip(1)
    encoding, stored = encode(np.pad(volume, 5))
    statistics = describe(stored, encoding, seed=1)
    low, high = encoding.window
    unit = ((volume - low) / (high - low)).clip(0, 1)
    assert statistics.mean == pytest.approx(unit.mean(), abs=1e-6)
    assert statistics.std == pytest.approx(unit.std(), abs=1e-6)


@pytest.mark.parametrize("rare", [False, True])
def test_points_are_foreground_and_a_function_of_the_seed(make_scan, rare):
    volume = make_scan()
    if rare:
        volume[:] = 0
        volume[5, 5, 5:25] = 900
    encoding, stored = encode(volume)
    first, again, other = (describe(stored, encoding, seed).points for seed in (1, 1, 2))
    assert first == again != other
    assert len(first) == (20 if rare else 64)
    assert all(physical(stored[point], encoding) > encoding.foreground for point in first)


def test_constant_within_the_window_is_refused():
    encoding = Encoding((-1000, 1000), CT_RANGE, 1, 0, -500)
    with pytest.raises(Refused, match="constant"):
        describe(np.arange(1000, 1729, dtype=np.int16).reshape(9, 9, 9), encoding, 0)
