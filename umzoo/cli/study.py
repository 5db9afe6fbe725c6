"""``umzoo study``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from umzoo.cli.output import say

if TYPE_CHECKING:
    from umzoo.downstream.study import StudyConfig
    from umzoo.downstream.study.cells import Cell
    from umzoo.downstream.study.launch import Launch


def study(
    file: Annotated[
        Path | None, typer.Argument(help="STUDY.toml: arms, tasks, label budgets and seeds", show_default=False)
    ] = None,
    out: Annotated[Path, typer.Option(help="folder of the study; finished trainings there are skipped")] = Path(
        "study"
    ),
    jobs: Annotated[
        int, typer.Option(min=0, help="parallel trainings, each in its own process; 0 uses this process")
    ] = 1,
    scheduler: Annotated[str, typer.Option(help="Dask scheduler, such as tcp://host:8786, to use its workers")] = "",
    forecast: Annotated[bool, typer.Option("--forecast", help="only print the expected duration")] = False,
    report: Annotated[bool, typer.Option("--report", help="only make the report from the rows in --out")] = False,
    cell: Annotated[str, typer.Option(help="only run this training, named by its folder in --out")] = "",
    cpu: Annotated[bool, typer.Option("--cpu", help="stay on the CPU")] = False,
) -> None:
    """Compare pre-trainings, weights and training from scratch over tasks, label budgets and seeds."""
    from umzoo.downstream.study import load_study, run_study, write_report
    from umzoo.downstream.study.cell_work import run_cell
    from umzoo.downstream.study.cells import cell_named
    from umzoo.downstream.study.launch import Launch
    from umzoo.downstream.study.run import claim_study
    from umzoo.errors import ConfigError

    if report:
        say(f"page: {write_report(out)}")
        return
    if file is None:
        raise ConfigError("a study needs STUDY.toml; --report makes the report from the rows in --out")
    config, how = load_study(file), Launch(file.resolve(), out.resolve(), jobs, scheduler, cpu)
    if cell:
        run_cell(config, how.out, cell_named(config, cell), cpu)
        return
    claim_study(config, how.out)
    _forecast(config, how)
    if forecast:
        return
    found = run_study(config, how, _say)
    say(f"page: {found.page}")
    if found.failed:
        say(f"{len(found.failed)} trainings failed: see the report; the same command retries them")
        raise typer.Exit(1)


def _forecast(config: StudyConfig, how: Launch) -> None:
    """Print the expected duration of unfinished trainings."""
    from umzoo.downstream.study.forecast import forecast

    total = 0.0
    for part in forecast(config, how.out, how.cpu):
        source = "from finished trainings" if part.known else "from a few steps"
        total += part.cells * part.seconds
        say(f"{part.what}: {part.cells} x {_duration(part.seconds)} ({source})")
    share = f"; {_duration(total / how.jobs)} with {how.jobs} jobs" if how.jobs > 1 and not how.scheduler else ""
    say(f"about {_duration(total)} in total in one process{share}" if total else "all trainings are done")


def _duration(seconds: float) -> str:
    """*seconds* in the largest suitable unit."""
    for name, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {name}"
    return f"{seconds:.0f} s"


def _say(cell: Cell, why: str) -> None:
    say(f"{cell.name}: {f'failed: {why}' if why else 'done'}")
