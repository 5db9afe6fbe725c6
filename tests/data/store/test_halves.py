from __future__ import annotations

import blosc2
import numpy as np
import pytest

from umzoo.data.loading.resizing import resize
from umzoo.data.store.halves import half_damage, half_file, halve, make_half, write_half
from umzoo.data.store.reader import Store
from umzoo.errors import DataError


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(-32768, 32767, shape, np.int16)


@pytest.mark.parametrize("shape", [(8, 10, 12), (7, 9, 11), (1, 2, 3)])
def test_a_constant_stays_and_the_range_is_kept(shape):
    half = tuple((n + 1) // 2 for n in shape)
    for value in (-32768, -1, 0, 32767):
        made = halve(np.full(shape, value, np.int16))
        assert made.shape == half and made.dtype == np.int16 and (made == value).all()
    voxels = noise(*shape)
    assert voxels.min() <= halve(voxels).min() and halve(voxels).max() <= voxels.max()


def test_inside_it_is_what_resizing_gives():
    voxels = noise(32, 20, 24)
    inside = (slice(1, -1),) * 3
    difference = halve(voxels)[inside].astype(int) - resize(voxels, (16, 10, 12))[inside]
    assert np.abs(difference).max() <= 1


def test_a_ramp_keeps_its_place():
    ramp = np.broadcast_to(np.arange(0, 160, 10, dtype=np.int16)[:, None, None], (16, 4, 4))
    assert (halve(ramp)[1:-1, 0, 0] == np.arange(25, 145, 20)).all()


@pytest.fixture
def folder(tmp_path, write_volume):
    write_volume(tmp_path, "v", noise(21, 16, 18))
    return tmp_path


def test_a_copy_is_read_back_and_a_store_without_one_knows_none(folder):
    box = (2, 0, 1), (9, 8, 9)
    assert Store(folder).read_half(0, *box) is None
    assert make_half(folder, "v") and not make_half(folder, "v") and not half_damage(folder, "v")
    expected = halve(noise(21, 16, 18))[2:9, 0:8, 1:9]
    assert np.array_equal(Store(folder).read_half(0, *box), expected)


def test_a_copy_of_other_voxels_is_found_and_made_again(folder):
    write_half(folder, "v", noise(21, 16, 18, seed=1))
    assert "does not match the array" in half_damage(folder, "v")
    assert make_half(folder, "v") and not half_damage(folder, "v")
    half_file(folder, "v").write_bytes(half_file(folder, "v").read_bytes()[:100])
    assert "corrupted" in half_damage(folder, "v")
    with pytest.raises(DataError, match="umzoo store halve"):
        Store(folder).read_half(0, (0, 0, 0), (4, 4, 4))
    blosc2.asarray(noise(4, 4, 4), urlpath=str(half_file(folder, "v")), mode="w")
    with pytest.raises(DataError, match="expected int16"):
        Store(folder).read_half(0, (0, 0, 0), (4, 4, 4))
