import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from umzoo.data.loading.batch_share import Share
from umzoo.data.loading.config import DataConfig
from umzoo.data.loading.loader import Loader
from umzoo.data.store.halves import make_half
from umzoo.data.store.reader import Store
from umzoo.errors import DataError

CONFIG = DataConfig(patch_size=(16, 16, 16), batch_size=3, workers=0)


def take(loader, steps):
    return [{name: value.clone() for name, value in next(loader).items()} for _ in range(steps)]


def same(first, second):
    return len(first) == len(second) and all(
        a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
        for a, b in zip(first, second, strict=True)
    )


def with_workers(workers):
    return CONFIG.model_copy(update={"workers": workers})


def test_fields_of_a_batch(tiny_store):
    with Loader(tiny_store, CONFIG, seed=0) as loader:
        batch = next(loader)
    assert batch["voxels"].shape == (3, 1, 16, 16, 16) and batch["voxels"].dtype == torch.int16
    assert batch["window"].tolist() == [[0, 1000]] * 3
    assert {name: value.dtype for name, value in batch.items() if name in ("scale", "mean", "volume")} == {
        "scale": torch.int64, "mean": torch.float32, "volume": torch.int64,
    }  # fmt: skip
    for row, volume in enumerate(batch["volume"].tolist()):
        record = tiny_store.records[volume]
        assert tiny_store.modalities[batch["modality"][row]] == record.modality
        assert tiny_store.sources[batch["source"][row]] == record.source
        assert batch["mean"][row] == pytest.approx(record.mean) and batch["std"][row] == pytest.approx(record.std)


@pytest.mark.parametrize("depth", [16, 18])
def test_coarse_crops_are_the_same_from_copies_at_half_the_resolution(tiny_store, depth):
    config = DataConfig(patch_size=(depth, 16, 16), batch_size=48, workers=0)
    crops, found = [], []
    for _ in range(2):
        with Loader(Store(tiny_store.path), config, seed=1) as loader:
            crops.append([loader._reader.sampler.crop(0, slot) for slot in range(48)])
            found.append(next(loader)["voxels"][:, 0].float())
        for name in tiny_store.records.ids:
            make_half(tiny_store.path, name)
    assert crops[0] == crops[1]
    for crop, without, copied in zip(crops[0], *found, strict=True):
        inside = (slice(2, -2),) * 3
        difference = (without - copied)[inside].abs()
        if not crop.halved:
            assert torch.equal(without, copied)
        elif not crop.width and depth == 16:
            assert difference.max() <= 1
        else:  # another filter, or padding that does not blur into the border
            assert (difference > 0.2 * without.std()).float().mean() < (0.02 if depth == 16 else 0.3)
    assert sum(crop.halved for crop in crops[0]) > 15


def test_crops_at_scale_one_are_the_stored_voxels(tiny_store):
    config = DataConfig(patch_size=(16, 16, 16), batch_size=4, workers=0, scales=(1.0,), matched=0)
    with Loader(tiny_store, config, seed=2) as loader:
        crops = [loader._reader.sampler.crop(0, slot) for slot in range(4)]
        voxels = next(loader)["voxels"]
    for crop, got in zip(crops, voxels[:, 0].numpy(), strict=True):
        stop = tuple(np.add(crop.start, 16).tolist())
        assert np.array_equal(got, tiny_store.read(crop.volume, crop.start, stop))


def test_spacing_is_that_of_the_resized_crop(tiny_store):
    config = DataConfig(patch_size=(16, 16, 16), batch_size=8, workers=0, scales=(0.5, 2.0), matched=1.0)
    with Loader(tiny_store, config, seed=0) as loader:
        batch = next(loader)
    for spacing, crop in zip(batch["spacing"], (loader._reader.sampler.crop(0, i) for i in range(8)), strict=True):
        assert spacing.tolist() == pytest.approx([2 * (0.5, 2)[crop.scale], *[(0.5, 2)[crop.scale]] * 2])


def test_thin_volumes_are_padded_with_the_low_end_of_the_window(tmp_path, write_volume):
    write_volume(tmp_path, "thin", np.full((6, 40, 40), 500, np.int16), window=(-200.0, 1000.0))
    config = DataConfig(patch_size=(16, 16, 16), batch_size=4, workers=0, scales=(1.0,), matched=0)
    with Loader(Store(tmp_path), config, seed=0) as loader:
        voxels = next(loader)["voxels"]
    assert set(voxels.unique().tolist()) == {-200, 500}
    assert ((voxels == 500).sum(dim=(1, 2, 3, 4)) == 6 * 16 * 16).all()


@pytest.mark.parametrize(("workers", "start"), [(0, 5), (2, 0), (3, 5)])
def test_batches_depend_neither_on_the_number_of_workers_nor_on_where_a_run_began(tiny_store, workers, start):
    with Loader(tiny_store, CONFIG, seed=3) as alone:
        expected = take(alone, 12)
    with Loader(tiny_store, with_workers(workers), seed=3, start_step=start) as other:
        assert same(take(other, 12 - start), expected[start:])
        assert other.number == 12 and other.wait_seconds > 0


def joined(store, world, passes, workers, steps=2):
    """The batches of all processes and passes, put together by step."""
    shares = [Share(12 // world // passes, passes, rank, world) for rank in range(world)]
    loaders = [Loader(store, with_workers(workers), 3, share, start_step=1) for share in shares]
    parts = [[batch for part in range(passes) for batch in take(loader, 1)] for _ in range(steps) for loader in loaders]
    for loader in loaders:
        loader.close()
    found = []
    for step in range(steps):
        of_step = parts[step * world : (step + 1) * world]
        rows = [of_rank[part] for part in range(passes) for of_rank in of_step]
        whole = {name: torch.cat([row[name] for row in rows]) for name in rows[0] if not name.endswith("_count")}
        counts = {name: sum(row[name] for row in rows) for name in ("scale_count", "modality_count")}
        found.append(whole | counts)
    return found


@pytest.mark.parametrize(("world", "passes", "workers"), [(1, 4, 0), (2, 1, 0), (4, 3, 0), (2, 2, 2)])
def test_processes_and_passes_share_the_crops_of_one_batch(tiny_store, world, passes, workers):
    damage(tiny_store, 1)
    alone = joined(tiny_store, 1, 1, 0)
    for whole, shared in zip(alone, joined(tiny_store, world, passes, workers), strict=True):
        assert whole.keys() == shared.keys()
        assert all(torch.allclose(whole[name], shared[name]) for name in whole)
    assert not torch.equal(alone[0]["voxels"], alone[1]["voxels"])


def test_labels_of_a_step_are_counted(tiny_store):
    with Loader(tiny_store, CONFIG, 0, Share(3, passes=2)) as loader:
        first, second = take(loader, 2)
    asked = sum(int((batch["scale"] >= 0).sum()) for batch in (first, second))
    assert first["scale_count"] == second["scale_count"] == max(asked, 1) / 2
    assert first["modality_count"] == 3


def test_a_share_is_one_of_equal_shares():
    with pytest.raises(DataError, match="rank must be from 0 to 1, got 2"):
        Share(3, rank=2, world=2)
    with pytest.raises(DataError, match="has 16 items, which cannot be divided equally among 3 processes"):
        Share.of(16, 2, 0, 3)
    assert Share.of(16, 2, 3, 4) == Share(2, 2, 3, 4)
    assert Share.of(24, 5, 0, 2) == Share(4, 3, 0, 2)
    assert Share.of(8, 4, 7, 8) == Share(1, 1, 7, 8)


def test_seeds_draw_different_crops(tiny_store):
    first, second = (take(Loader(tiny_store, CONFIG, seed), 1)[0]["voxels"] for seed in (0, 1))
    assert not torch.equal(first, second)


def damage(store, row):
    file = store.path / "volumes" / f"{store.records[row].id}.b2nd"
    file.write_bytes(file.read_bytes()[:200])


@pytest.mark.parametrize("workers", [0, 2])
def test_damaged_volumes_are_quarantined_and_replaced(tiny_store, workers, caplog):
    damage(tiny_store, 1)
    (tiny_store.path / "volumes" / f"{tiny_store.records[4].id}.b2nd").unlink()
    with Loader(Store(tiny_store.path), with_workers(workers), seed=0) as loader:
        batches = take(loader, 20)
        assert set(loader.quarantined) == {"v1", "v4"}
        assert "cannot be read" in loader.quarantined["v1"]
    assert not {1, 4} & {volume for batch in batches for volume in batch["volume"].tolist()}
    assert len([r for r in caplog.records if "quarantined" in r.message]) == 2
    with Loader(Store(tiny_store.path), CONFIG, seed=0) as again:
        assert same(take(again, 20), batches)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_store_of_unusable_volumes_is_an_error(tiny_store, workers):
    for row in range(len(tiny_store)):
        damage(tiny_store, row)
    with Loader(Store(tiny_store.path), with_workers(workers), seed=0) as loader:
        for _ in range(2):
            with pytest.raises(DataError, match="crops in a row could not be read, from 6 of 6 volumes"):
                next(loader)


def test_a_killed_worker_is_an_error_and_close_leaves_nothing_behind(tiny_store):
    loader = Loader(tiny_store, with_workers(2), seed=0)
    next(loader)
    processes = list(loader._ahead._pool._processes)
    os.kill(processes[0].pid, signal.SIGKILL)
    with pytest.raises(DataError, match=r"a reader process died \(signal SIGKILL"):
        take(loader, 20)
    began = time.monotonic()
    loader.close()
    loader.close()
    assert time.monotonic() - began < 4
    assert not any(process in multiprocessing.active_children() for process in processes)
    with pytest.raises(DataError, match="closed"):
        next(loader)
    assert not list(Path("/dev/shm").glob(f"pym-{os.getpid()}-*"))


SCRIPT = """
    import os, signal
    from umzoo.data.loading.config import DataConfig
    from umzoo.data.loading.loader import Loader
    from umzoo.data.store.reader import Store
    config = DataConfig(patch_size=(16, 16, 16), batch_size=2, workers=1)
    loader = Loader(Store({path!r}), config, seed=0)
    next(loader)
    print(loader._ahead._pool._processes[0].pid, flush=True)
    {end}
"""


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks at /proc")
@pytest.mark.parametrize("end", ["pass", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_a_script_needs_no_main_guard_and_workers_do_not_outlive_it(tiny_store, tmp_path, end):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT).format(path=str(tiny_store.path), end=end))
    result = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=300)
    assert result.returncode == (0 if end == "pass" else -signal.SIGKILL), result.stderr
    assert not result.stderr
    deadline = time.monotonic() + 10
    while alive(int(result.stdout)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(int(result.stdout))


def test_workers_import_neither_torch_nor_readers_of_scans():
    code = "import sys, umzoo.data.loading.reader_pool"
    code += "; print([m for m in ('torch', 'nibabel', 'SimpleITK') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
