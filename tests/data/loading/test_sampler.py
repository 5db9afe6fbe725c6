import logging
from collections import Counter

import numpy as np
import pytest

from umzoo.data.loading.config import DataConfig
from umzoo.data.loading.sampler import Sampler, volume_shares
from umzoo.data.store.record import VolumeRecord
from umzoo.errors import DataError

PATCH = (16, 16, 16)


def record(number, modality="ct", source="a", shape=(40, 48, 44), points=()):
    return VolumeRecord(
        id=f"v{number}", modality=modality, modality_from="option", source=source, subject="s", shape=shape,
        spacing=(1, 1, 1), slope=1, intercept=0, window=(0, 1), mean=0.5, std=0.1, points=points,
    )  # fmt: skip


def sampler(records, seed=0, **options):
    modalities = sorted({r.modality for r in records if r.modality})
    sources = sorted({r.source for r in records})
    return Sampler(records, modalities, sources, DataConfig(patch_size=PATCH, **options), seed)


def crops(made, count=3000):
    return [made.crop(step, slot) for step in range(count // 4) for slot in range(4)]


RECORDS = [record(i, "ct", "a") for i in range(16)] + [record(16, "mr", "b"), record(17, "mr", "c")]


def test_a_crop_is_a_pure_function_of_its_keys():
    first, second = sampler(RECORDS, seed=5), sampler(RECORDS, seed=5)
    keys = [(9, 1, 0), (0, 0, 0), (10**7, 200, 2)]
    assert [first.crop(*key) for key in keys] == [second.crop(*key) for key in reversed(keys)][::-1]


def test_every_key_changes_the_crop():
    made = sampler(RECORDS, seed=5)
    keys = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 0)]
    drawn = [made.crop(*key) for key in keys] + [sampler(RECORDS, seed=6).crop(0, 0)]
    assert len(set(drawn)) == len(drawn)


@pytest.mark.parametrize(("temperature", "mr"), [(0.0, 1 / 2), (1.0, 2 / 18), (0.5, 2**0.5 / (2**0.5 + 4))])
def test_balance_over_modalities(temperature, mr):
    drawn = Counter(RECORDS[crop.volume].modality for crop in crops(sampler(RECORDS, temperature=temperature)))
    assert drawn["mr"] / drawn.total() == pytest.approx(mr, abs=0.035)


def test_balance_over_sources_of_a_modality():
    records = [record(i, "ct", "big") for i in range(9)] + [record(9, "ct", "small")]
    drawn = Counter(records[crop.volume].source for crop in crops(sampler(records, temperature=0.0)))
    assert drawn["small"] / drawn.total() == pytest.approx(0.5, abs=0.035)


def test_shares_sum_to_one_and_follow_the_formula():
    modality, source = np.array([0, 0, 0, 1, -1]), np.array([0, 0, 1, 2, 2])
    shares = volume_shares(modality, source, 0.5)
    total = 3**0.5 + 1 + 1
    small = 3**0.5 / total * 1 / (2**0.5 + 1)
    assert shares.sum() == pytest.approx(1)
    assert shares == pytest.approx([(3**0.5 / total - small) / 2] * 2 + [small, 1 / total, 1 / total])


def test_crops_have_the_size_of_their_scale_and_lie_inside():
    made = sampler(RECORDS, scales=(0.5, 1.0, 2.0))
    for crop in crops(made, 400):
        edge = int(16 * (0.5, 1, 2)[crop.scale])
        assert crop.size == (edge,) * 3
        assert all(0 <= a <= n - edge for a, n in zip(crop.start, RECORDS[crop.volume].shape, strict=True))


def test_crops_of_coarse_voxels_begin_at_even_ones():
    records = [record(0, shape=(40, 49, 43)), record(1, shape=(27, 40, 29), points=((13, 21, 5),))]
    drawn = crops(sampler(records, scales=(0.5, 1.0, 2.0), matched=0.5), 400)
    assert {(crop.scale, crop.width > 0): crop.halved for crop in drawn if crop.halved} == {
        (1, True): True, (2, False): True, (2, True): True,
    }  # fmt: skip
    assert all(crop.halved for crop in drawn if crop.scale == 2)
    assert any(start % 2 for crop in drawn if not crop.halved for start in crop.start)
    assert any(start < 0 for crop in drawn for start in crop.start)


def test_uniform_starts_reach_both_ends():
    made = sampler([record(0, shape=(20, 20, 20))], scales=(1.0,), foreground=0.0)
    assert {start for crop in crops(made, 400) for start in crop.start} == set(range(5))


def test_thin_volumes_are_overhung_by_as_much_as_they_lack():
    made = sampler([record(0, shape=(6, 40, 40))], scales=(1.0,))
    starts = {crop.start[0] for crop in crops(made, 400)}
    assert starts == set(range(-10, 1))


def test_foreground_share():
    point = (25, 25, 25)
    made = sampler([record(0, points=(point,))], foreground=0.7, scales=(1.0,))
    centered = np.mean([crop.start == (17, 17, 17) for crop in crops(made, 2000)])
    assert centered == pytest.approx(0.7, abs=0.03)


def test_matched_crops_have_one_distribution_of_widths_at_every_scale():
    drawn = crops(sampler(RECORDS, matched=0.5))
    asked = [crop for crop in drawn if crop.asked]
    assert len(asked) / len(drawn) == pytest.approx(0.5, abs=0.03)
    assert all((crop.label == crop.scale) if crop.asked else (crop.label == -1) for crop in drawn)
    assert all(1.5 <= crop.width <= 2.5 and crop.grid == (8, 8, 8) for crop in asked)
    assert all(crop.width == 0 and crop.grid == PATCH for crop in drawn if not crop.asked)
    for scale in range(3):
        widths = [crop.width for crop in asked if crop.scale == scale]
        assert len(widths) / len(asked) == pytest.approx(1 / 3, abs=0.04)
        assert np.mean(widths) == pytest.approx(2.0, abs=0.05)


def test_all_crops_may_be_asked_for_their_scale():
    drawn = crops(sampler(RECORDS, matched=0.25, ask="all"), 400)
    assert all(crop.asked for crop in drawn)
    assert {crop.width > 0 for crop in drawn} == {True, False}


def test_volumes_that_do_not_hold_the_largest_crop_are_not_asked(caplog):
    with caplog.at_level(logging.WARNING):
        drawn = crops(sampler([record(0), record(1, shape=(31, 40, 40))], matched=1.0), 400)
    assert not caplog.records
    assert all(crop.asked == (crop.volume == 0) for crop in drawn)
    sampler([record(1, shape=(31, 40, 40))])
    assert "not predicted" in caplog.text


def test_no_volumes_is_an_error():
    with pytest.raises(DataError, match="has no volumes"):
        sampler([])
