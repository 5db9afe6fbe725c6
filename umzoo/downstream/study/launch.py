"""Runs cells in parallel, each in its own process, on this machine or on the workers of a Dask scheduler."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from umzoo.data.preparing.dask_pool import on_dask
from umzoo.data.preparing.process_pool import Died
from umzoo.downstream.study.cell_work import run_cell
from umzoo.downstream.study.cells import Cell, write_state
from umzoo.downstream.study.config import StudyConfig
from umzoo.errors import UmzooError, in_one_line


@dataclass(frozen=True)
class Launch:
    """Options of running cells.

    Attributes:
        file: STUDY.toml.
        out: folder of the study; it must have the same path on all workers.
        jobs: number of parallel processes; 0 runs the cells in the current process.
        scheduler: address of a Dask scheduler to use instead of local processes.
        cpu: run on the CPU.
    """

    file: Path
    out: Path
    jobs: int = 1
    scheduler: str = ""
    cpu: bool = False


def run_cells(config: StudyConfig, cells: Sequence[Cell], how: Launch) -> Iterator[tuple[Cell, str]]:
    """Run *cells*; yield each finished cell with the reason of its failure, or an empty text."""
    ended: Iterator[tuple[Cell, str]]
    if how.scheduler:
        results = on_dask(partial(_in_process, how=how), cells, how.scheduler)
        ended = ((cell, it.how if isinstance(it, Died) else it) for cell, it in results)
    elif how.jobs == 0:
        ended = ((cell, _here(config, cell, how)) for cell in cells)
    else:
        ended = _in_processes(cells, how)
    for cell, why in ended:
        if why:
            write_state(how.out / cell.name, failed=why)
        yield cell, why


def _here(config: StudyConfig, cell: Cell, how: Launch) -> str:
    try:
        run_cell(config, how.out, cell, how.cpu)
    except (UmzooError, OSError, RuntimeError, ValueError) as error:
        return in_one_line(error)
    return ""


def _in_processes(cells: Sequence[Cell], how: Launch) -> Iterator[tuple[Cell, str]]:
    threads = max(1, (os.cpu_count() or 1) // how.jobs)
    with ThreadPoolExecutor(how.jobs) as pool:
        futures = {pool.submit(_in_process, cell, how, threads): cell for cell in cells}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _in_process(cell: Cell, how: Launch, threads: int | None = None) -> str:
    """Run *cell* in a subprocess that writes ``cell.log``; return the reason of its failure."""
    log = how.out / cell.name / "cell.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "umzoo", "study", str(how.file), "--out", str(how.out), "--cell", cell.name]
    environment = dict(os.environ)
    if threads is not None:
        environment.setdefault("OMP_NUM_THREADS", str(threads))
    with log.open("a", encoding="utf-8") as stream:
        done = subprocess.run(
            command + ["--cpu"] * how.cpu, stdout=stream, stderr=subprocess.STDOUT, env=environment, check=False
        )
    return "" if done.returncode == 0 else _reason(log, done.returncode)


def _reason(log: Path, code: int) -> str:
    """Return the last line of *log*, which holds the error message."""
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    last = lines[-1].removeprefix("error: ") if lines and code > 0 else f"the process ended with status {code}"
    return in_one_line(last)
