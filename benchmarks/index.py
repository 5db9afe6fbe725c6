"""Time and memory to open a store of many volumes, with and without kept columns, and to its first batch.

    python benchmarks/index.py --volumes 1000 10000 100000

Volumes are one tiny array under many names. Each number comes from a process of its own; *parsed* reads every line of
the index, which opening does once, when the index has changed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from report import write_results
from rich.console import Console

from umzoo.data.preparing.prepare import prepare

MEASURE = """
import json, resource, sys, time
from pathlib import Path
import umzoo.data.loading.loader, umzoo.data.store.reader as module
from umzoo.data.loading.config import DataConfig
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6
path, how = Path(sys.argv[1]), sys.argv[2]
before, began = resident(), time.perf_counter()
if how == "parsed":
    kept = module.read_index(path / "index.jsonl")
elif how == "opened":
    kept = module.Store(path); kept.modalities, kept.sources
else:
    store = module.Store(path)
    config = DataConfig(patch_size=(8, 8, 8), scales=(1.0,), batch_size=2, workers=2)
    kept = umzoo.data.loading.loader.Loader(store, config, 0); next(kept)
took = time.perf_counter() - began
print(json.dumps({"seconds": took, "MB": resident() - before}))
if how == "batch":
    kept.close()
"""


def main() -> None:
    """Print the table, and write it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--volumes", type=int, nargs="+", default=[1000, 10_000, 100_000])
    arguments = parser.parse_args()
    rows = []
    for count in arguments.volumes:
        with tempfile.TemporaryDirectory() as folder:
            store = make_store(Path(folder), count)
            found = {how: measure(store, how) for how in ("parsed", "first opened", "opened", "batch")}
        rows.append({"volumes": count, **{f"{how}, {unit}": it[unit] for how, it in found.items() for unit in it}})
        Console().print(rows[-1])
    Console().print(write_results("index", {"rows": rows}))


def make_store(folder: Path, count: int) -> Path:
    """Return a store of *count* volumes."""
    import nibabel

    (folder / "scans").mkdir()
    values = np.random.default_rng(0).normal(100, 20, (12, 12, 12)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), folder / "scans" / "a.nii.gz")
    prepare([folder / "scans"], folder / "store", modality=("mr=*",), workers=0)
    index = folder / "store" / "index.jsonl"
    record: dict[str, Any] = json.loads(index.read_text().splitlines()[0])
    array = folder / "store" / "volumes" / f"{record['id']}.b2nd"
    names = sorted(f"{number:032x}-mr" for number in range(count))
    for name in names:
        os.link(array, array.with_name(f"{name}.b2nd"))
    lines = (json.dumps({**record, "id": name, "subject": f"s{i}"}) for i, name in enumerate(names))
    index.write_text("".join(f"{line}\n" for line in lines))
    return folder / "store"


def measure(store: Path, how: str) -> dict[str, float]:
    """Seconds and MB of one process."""
    words = [sys.executable, "-c", MEASURE, str(store), how.split()[-1]]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return {name: round(value, 3) for name, value in json.loads(done.stdout.splitlines()[-1]).items()}


if __name__ == "__main__":
    main()
