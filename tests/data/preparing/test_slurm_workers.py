"""Workers that SLURM starts, as docs/clusters.md shows, with stand-ins for its commands that run jobs here."""

import re
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from umzoo.data.preparing.prepare import prepare
from umzoo.data.store.reader import Store

pytest.importorskip("dask_jobqueue")
PAGE = Path(__file__).resolve().parents[3] / "docs" / "clusters.md"
SBATCH = """#!/bin/bash
grep -q '^#SBATCH -t 08:00:00' "$1" || { echo "no time limit" >&2; exit 1; }
cp "$1" "{log}.job"
setsid bash "{log}.job" >> "{log}" 2>&1 < /dev/null &
echo "Submitted batch job $!"
"""
SCANCEL = """#!/bin/bash
for job; do kill -- -"$job"; done
"""


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """The commands of SLURM in a folder that is searched first; the log of its jobs."""
    folder, log = tmp_path / "bin", tmp_path / "jobs.log"
    folder.mkdir()
    for name, text in (("sbatch", SBATCH.replace("{log}", str(log))), ("scancel", SCANCEL)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return log


def test_scans_are_prepared_by_workers_in_jobs(tmp_path, slurm, write_nifti, monkeypatch):
    for number in range(3):
        voxels = np.random.default_rng(number).normal(100, 20, (12, 12, 12)).astype(np.float32)
        write_nifti(tmp_path / "scans" / f"{number}.nii.gz", voxels)
    lines = next(
        block for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S) if "SLURMCluster" in block
    )
    example, _, rest = lines.partition("print(")
    assert rest.startswith("cluster.scheduler_address")
    known = {}
    monkeypatch.chdir(tmp_path)
    try:
        exec(example.replace("jobs=64", "jobs=1"), known)
        report = prepare(
            [tmp_path / "scans"], tmp_path / "store", modality=("mr=*",), scheduler=known["cluster"].scheduler_address
        )
    finally:
        with suppress(KeyError):
            known["cluster"].close()
    assert report.count("in") == 3 and len(Store(tmp_path / "store")) == 3
    assert "Registered to" in slurm.read_text()
