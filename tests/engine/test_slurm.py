"""The job for SLURM, with stand-ins for its commands, real shells and real signals."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from umzoo.engine.slurm import SlurmJob
from umzoo.errors import ConfigError

STAND_INS = {
    "srun": 'shift; SLURM_PROCID=0 SLURM_LOCALID=0 SLURM_NTASKS=1 exec "$@"',
    "scontrol": 'if [ "$1" = show ]; then printf "node1\\nnode2\\n"; else echo "$@" >> "$LOG"; fi',
    "sbatch": 'echo "Submitted batch job 7"; cp "$1" "$LOG"',
    "trains": """
        echo "$RANK/$WORLD_SIZE $MASTER_ADDR" "$@" >> "$LOG"
        trap 'exit 138' USR1
        if [ "$4" = --resume ]; then exit 0; fi
        mkdir -p "$RUN"; touch "$RUN/run.json"
        while true; do sleep 0.02; done""",
}


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """A folder with stand-ins for commands, first in the path, and a log of what they were told."""
    for name, text in STAND_INS.items():
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    monkeypatch.setenv("RUN", str(tmp_path / "my run"))
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    return tmp_path


def started(file):
    return subprocess.Popen(["bash", str(file)], start_new_session=True)


@pytest.mark.skipif(sys.platform == "win32", reason="needs bash")
def test_a_job_is_queued_again_on_its_signal_and_then_resumes(cluster):
    job = SlurmJob("universal_tiny", cluster / "a store", cluster / "my run", ["trainer.steps=5"], python="trains")
    file = cluster / "job.sbatch"
    file.write_text(job.script())
    first = started(file)
    deadline = time.monotonic() + 60
    while not (cluster / "my run" / "run.json").exists():
        assert first.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    children = Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGUSR1)  # SLURM signals the tasks, not the script
    assert first.wait(60) == 0
    assert started(file).wait(60) == 0
    begun, requeued, resumed = (cluster / "log").read_text().splitlines()
    assert begun == (
        f"0/1 node1 -m umzoo pretrain universal_tiny trainer.steps=5 --data {cluster / 'a store'}"
        f" --out {cluster / 'my run'}"
    )
    assert requeued == "requeue 7"
    assert resumed == f"0/1 node1 -m umzoo pretrain --resume {cluster / 'my run'}"


def test_other_ends_are_those_of_the_job(cluster):
    (cluster / "bin" / "trains").write_text("#!/bin/bash\nexit 2\n")
    file = cluster / "job.sbatch"
    file.write_text(SlurmJob("universal_tiny", cluster, cluster / "run", python="trains").script())
    assert started(file).wait(60) == 2
    assert not (cluster / "log").exists()


def test_what_the_file_asks_for(tmp_path):
    extra = ("--partition=gpu", "--qos=long")
    text = SlurmJob("universal", tmp_path, tmp_path / "run", nodes=2, gpus=4, time="2-00:00:00", extra=extra).script()
    asked = {line for line in text.splitlines() if line.startswith("#SBATCH")}
    wanted = ("nodes=2", "ntasks-per-node=4", "gpus-per-node=4", "time=2-00:00:00", "signal=USR1@300", "requeue")
    assert {f"#SBATCH --{option}" for option in wanted} | {f"#SBATCH {option}" for option in extra} <= asked


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"time": "soon"}, "--time expects SLURM's"),
        ({"extra": ["rm -rf"]}, "expected an option of sbatch"),
        ({"extra": ["--a\nb"]}, "expected an option of sbatch"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        SlurmJob("universal", tmp_path, tmp_path, **changes)


def test_the_command_writes_and_sends(cluster, run):
    options = ("--data", cluster, "--out", cluster / "run", "--nodes", 2, "--gpus", 4)
    assert "sbatch" in run("launch", "slurm", "universal_tiny", *options)
    text = (cluster / "run.sbatch").read_text()
    assert "#SBATCH --nodes=2" in text and not (cluster / "run").exists()
    assert run("launch", "slurm", "universal_tiny", *options, "--submit") == "Submitted batch job 7\n"
    assert (cluster / "log").read_text() == text
    with pytest.raises(ConfigError, match="trainer.stepz"):
        run("launch", "slurm", "universal_tiny", "trainer.stepz=1", *options)
