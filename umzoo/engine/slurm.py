"""Pre-training as a SLURM job that is requeued and resumed until it is finished."""

from __future__ import annotations

import re
import shlex
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from umzoo.errors import ConfigError

STOPPED = 128 + signal.SIGUSR1
"""Exit status of a run that SIGUSR1 stopped after saving."""
TIME = re.compile(r"(\d+-)?\d+(:\d\d){0,2}")

SCRIPT = """#!/bin/bash
{options}

run={run}
if [ -f "$run/run.json" ]; then
    command=(pretrain --resume "$run"{resume})
else
    command=(pretrain {start} --out "$run")
fi
MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
export MASTER_ADDR MASTER_PORT=$((20000 + SLURM_JOB_ID % 20000))

# one task per process; each learns its number from SLURM
srun --kill-on-bad-exit=1 bash -c \\
    'export RANK=$SLURM_PROCID LOCAL_RANK=$SLURM_LOCALID WORLD_SIZE=$SLURM_NTASKS; exec "$@"' \\
    task {python} -m umzoo "${{command[@]}}"
code=$?

# SIGUSR1 came before the time limit: the run is saved, and the requeued job resumes it
if [ "$code" -eq {stopped} ]; then
    exec scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
"""


@dataclass(frozen=True)
class SlurmJob:
    """A pre-training on a cluster.

    Attributes:
        recipe: file, or name of a shipped recipe.
        overrides: overrides of the recipe's options.
        data: the store.
        out: folder of the run.
        nodes: number of nodes.
        gpus: GPUs and processes per node; 0 trains with one process per node on the CPU.
        cpus: cores per process.
        time: time limit in SLURM's format: ``12:00:00``, ``2-00:00:00``.
        notice: seconds before the limit at which the run is signaled to save and stop.
        extra: further options of ``sbatch``, such as ``--partition=gpu``.
        python: the interpreter, at the same path on all nodes.

    Raises:
        ConfigError: if an option cannot be written into the file.
    """

    recipe: str
    data: Path
    out: Path
    overrides: Sequence[str] = ()
    nodes: int = 1
    gpus: int = 1
    cpus: int = 8
    time: str = "12:00:00"
    notice: int = 300
    extra: Sequence[str] = ()
    python: str = sys.executable

    def __post_init__(self) -> None:
        if not TIME.fullmatch(self.time):
            raise ConfigError(f"--time expects SLURM's hours:minutes:seconds or days-hours, got '{self.time}'")
        for option in self.extra:
            if not re.fullmatch(r"--?\w[^\n]*", option):
                raise ConfigError(f"expected an option of sbatch such as --partition=gpu, got '{option}'")

    def script(self) -> str:
        """Return the script for ``sbatch``."""
        log, recipe = f"{self.out.resolve()}.slurm.log", self.recipe
        if re.search(r"[\n\"\\]", log):
            raise ConfigError(f"a script for sbatch cannot hold the path of the log {log}: choose another --out")
        options = [
            f"--job-name=umzoo-{re.sub(r'[^A-Za-z0-9_.-]', '_', self.out.name)}",
            f"--nodes={self.nodes}",
            f"--ntasks-per-node={max(self.gpus, 1)}",
            *([f"--gpus-per-node={self.gpus}"] if self.gpus else []),
            f"--cpus-per-task={self.cpus}",
            f"--time={self.time}",
            f"--signal=USR1@{self.notice}",
            "--requeue",
            "--open-mode=append",
            f'--output="{log.replace("%", "%%")}"',
            *self.extra,
        ]
        place = str(Path(recipe).resolve()) if Path(recipe).is_file() else recipe
        cpu = [] if self.gpus else ["--cpu"]
        return SCRIPT.format(
            options="\n".join(f"#SBATCH {option}" for option in options),
            run=shlex.quote(str(self.out.resolve())),
            start=shlex.join([place, *self.overrides, *cpu, "--data", str(self.data.resolve())]),
            resume="".join(f" {option}" for option in cpu),
            python=shlex.quote(self.python),
            stopped=STOPPED,
        )
