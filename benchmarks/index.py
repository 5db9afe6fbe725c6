"""What grows with the number of volumes: opening a store, its first batch, ``umzoo data``, ``umzoo info``, resuming.

    python benchmarks/index.py --volumes 1000 10000 100000 --opened 1000000 --scans 200 800

Volumes are one tiny array under many names. Each number comes from a process of its own. *first opened* reads every
line of the index into columns, which opening does once, when the index has changed; *grown* does so after a line was
added. *table* is what ``umzoo data``
shows, *info* what ``umzoo info`` does, *resumed* the store as a run that goes on opens it, with the ids it began with.
With ``--scans`` real files are prepared, and prepared again. Last, crops are read from a store and from the same store
packed, in turns.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from report import write_results
from rich.console import Console

from umzoo.data.preparing.prepare import prepare
from umzoo.data.store.arrays import write_array
from umzoo.data.store.places import array_file
from umzoo.data.store.reader import Store
from umzoo.data.store.record import VolumeRecord
from umzoo.data.store.shards import PackedStore, pack
from umzoo.data.store.writer import StoreWriter
from umzoo.spec import InputSpec

MEASURE = """
import json, resource, sys, time
from pathlib import Path
import umzoo.data.loading.loader, umzoo.data.store.reader as module
from umzoo.data.loading.config import DataConfig
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6
path, how = Path(sys.argv[1]), sys.argv[2]
before, began = resident(), time.perf_counter()
if how in ("opened", "grown"):
    kept = module.Store(path); kept.modalities, kept.sources
elif how == "table":
    from umzoo.data.store.summary_table import store_table
    kept = store_table(module.Store(path))
elif how == "resumed":
    ids = tuple(json.loads((path.parent / "run.json").read_text())["volumes"])
    kept = module.Store(path, only=ids); kept.modalities, kept.sources
elif how == "info":
    from umzoo.cli.models import _describe_store
    kept = _describe_store(path)
else:
    store = module.Store(path)
    config = DataConfig(patch_size=(8, 8, 8), scales=(1.0,), batch_size=2, workers=2)
    kept = umzoo.data.loading.loader.Loader(store, config, 0); next(kept)
took = time.perf_counter() - began
print(json.dumps({"seconds": took, "MB": resident() - before}))
if how == "batch":
    kept.close()
"""


SPREAD = 0x9E3779B97F4A7C15F39CC061
"""Spreads the ids over the subfolders, as hashes do."""
LINKS = 30_000
"""Names that a file may have, on file systems that count them."""
ALL = ("first opened", "opened", "grown", "table", "info", "resumed", "batch")
ONLY_OPENED = ("first opened", "opened", "grown", "resumed")


def main() -> None:
    """Print the table, and write it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--volumes", type=int, nargs="*", default=[1000, 10_000, 100_000])
    parser.add_argument("--opened", type=int, nargs="*", default=[], help="numbers at which stores are only opened")
    parser.add_argument("--scans", type=int, nargs="*", default=[], help="numbers of scans to prepare twice")
    arguments = parser.parse_args()
    rows = []
    for count in [*arguments.volumes, *arguments.opened]:
        whole = count in arguments.volumes
        with tempfile.TemporaryDirectory() as folder:
            store = make_store(Path(folder), count, files=whole)
            found = {how: measure(store, how) for how in ALL if whole or how in ONLY_OPENED}
        rows.append({"volumes": count, **{f"{how}, {unit}": it[unit] for how, it in found.items() for unit in it}})
        Console().print(rows[-1])
    prepared = [prepare_twice(count) for count in arguments.scans]
    Console().print(prepared)
    packed = compare_packed()
    Console().print(packed)
    Console().print(write_results("index", {"rows": rows, "prepared": prepared, "packed": packed}))


def prepare_twice(count: int) -> dict[str, float]:
    """Seconds to prepare *count* different scans of 12 x 12 x 12 voxels in this process, and to prepare them again."""
    import nibabel

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "scans").mkdir()
        for number in range(count):
            values = np.random.default_rng(number).normal(100, 20, (12, 12, 12)).astype(np.float32)
            nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), folder / "scans" / f"{number}.nii")
        times = []
        for _ in range(2):
            began = time.perf_counter()
            prepare([folder / "scans"], folder / "store", modality=("mr=*",), workers=0)
            times.append(round(time.perf_counter() - began, 2))
    return {"scans": count, "first, seconds": times[0], "again, seconds": times[1]}


def compare_packed(volumes: int = 12, rounds: int = 5, crops: int = 100) -> dict[str, float]:
    """Milliseconds a crop of 64 x 64 x 64 voxels, from a store and from the same one packed: medians of rounds."""
    with tempfile.TemporaryDirectory() as name:
        path, rng = Path(name) / "store", np.random.default_rng(0)
        with StoreWriter(path, InputSpec(spacing=(1, 1, 1))) as writer:
            for number in range(volumes):
                stored = rng.integers(0, 255, (112, 112, 112)).astype(np.int16)
                total = write_array(path, f"{number:032x}-ct", stored)
                writer.add(
                    VolumeRecord(
                        id=f"{number:032x}-ct", modality="ct", modality_from="option", source="s", subject="x",
                        shape=stored.shape, spacing=(1, 1, 1), slope=1, intercept=0, window=(0, 255), mean=0.5, std=0.3,
                        sha256=total,
                    )
                )  # fmt: skip
        pack(path, Path(name) / "packed")
        stores = {"plain": Store(path), "packed": PackedStore(Path(name) / "packed")}
        took: dict[str, list[float]] = {kind: [] for kind in stores}
        for turn in range(rounds + 1):  # the first opens the files
            for kind, store in stores.items():
                draws = np.random.default_rng(turn).integers(0, 48, (crops, 3))
                began = time.perf_counter()
                for index, (z, y, x) in enumerate(draws.tolist()):
                    store.read(index % volumes, (z, y, x), (z + 64, y + 64, x + 64))
                took[kind].append(1e3 * (time.perf_counter() - began) / crops)
    plain, packed = (float(np.median(took[kind][1:])) for kind in stores)
    return {"plain, ms": round(plain, 3), "packed, ms": round(packed, 3), "ratio": round(packed / plain, 3)}


def make_store(folder: Path, count: int, files: bool) -> Path:
    """Return a store of *count* volumes, with *files* also their arrays."""
    import nibabel

    (folder / "scans").mkdir()
    values = np.random.default_rng(0).normal(100, 20, (12, 12, 12)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), folder / "scans" / "a.nii.gz")
    prepare([folder / "scans"], folder / "store", modality=("mr=*",), workers=0)
    index = folder / "store" / "index.jsonl"
    record: dict[str, Any] = json.loads(index.read_text().splitlines()[0])
    array = array_file(folder / "store", record["id"])
    names = sorted(f"{number * SPREAD % 2**96:024x}-mr" for number in range(count))
    for number, name in enumerate(names if files else ()):
        file = array_file(folder / "store", name)
        file.parent.mkdir(exist_ok=True)
        if number % LINKS == 0:
            array = Path(shutil.copyfile(array, file))
        else:
            os.link(array, file)
    lines = (json.dumps({**record, "id": name, "subject": f"s{i}"}) for i, name in enumerate(names))
    with index.open("w") as stream:
        stream.writelines(f"{line}\n" for line in lines)
    (folder / "run.json").write_text(json.dumps({"volumes": names}))
    return folder / "store"


def first_line(store: Path) -> str:
    """The first line of the index."""
    with (store / "index.jsonl").open() as stream:
        return stream.readline()


def measure(store: Path, how: str) -> dict[str, float]:
    """Seconds and MB of one process."""
    if how == "grown":
        with (store / "index.jsonl").open("a") as stream:
            stream.write(json.dumps({**json.loads(first_line(store)), "id": f"{1:024x}-mr"}) + "\n")
    words = [sys.executable, "-c", MEASURE, str(store), how.split()[-1]]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return {name: round(value, 3) for name, value in json.loads(done.stdout.splitlines()[-1]).items()}


if __name__ == "__main__":
    main()
