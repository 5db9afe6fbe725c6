"""``umzoo launch``: trainings as jobs of a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from umzoo.cli.output import say


def slurm(
    recipe: Annotated[str, typer.Argument(help="recipe: a .toml file or the name of a shipped one")],
    data: Annotated[Path, typer.Option(help="store made by 'umzoo prepare'")],
    out: Annotated[Path, typer.Option(help="folder of the run, new or to be resumed")],
    overrides: Annotated[list[str] | None, typer.Argument(help="changes to the recipe, as key.sub=value")] = None,
    nodes: Annotated[int, typer.Option(min=1, help="machines")] = 1,
    gpus: Annotated[int, typer.Option(min=0, help="GPUs, and processes, per machine; 0 is one process on the CPU")] = 1,
    cpus: Annotated[int, typer.Option(min=1, help="cores per process, including its readers")] = 8,
    time: Annotated[str, typer.Option(help="time limit of the job, as 12:00:00 or 2-00:00:00")] = "12:00:00",
    notice: Annotated[
        int, typer.Option(min=30, help="seconds before the limit at which the run saves and stops")
    ] = 300,
    extra: Annotated[list[str] | None, typer.Option(help="more options of sbatch, such as --partition=gpu")] = None,
    submit: Annotated[bool, typer.Option("--submit", help="submit it with sbatch")] = False,
) -> None:
    """Write OUT.sbatch, a job that requeues itself before its time limit until the run is finished."""
    import subprocess

    from umzoo.engine.recipe import load_recipe
    from umzoo.engine.slurm import SlurmJob
    from umzoo.errors import ConfigError
    from umzoo.files import replace_text

    load_recipe(recipe, overrides or ())
    job = SlurmJob(recipe, data, out, overrides or (), nodes, gpus, cpus, time, notice, extra or ())
    file = out.with_name(f"{out.name}.sbatch")
    text = job.script()
    file.parent.mkdir(parents=True, exist_ok=True)
    replace_text(file, text)
    if not submit:
        say(f"wrote {file}: submit it with 'sbatch {file}'")
        return
    try:
        sent = subprocess.run(["sbatch", str(file)], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise ConfigError(f"sbatch is not installed here: copy {file} to a machine of the cluster") from None
    if sent.returncode:
        raise ConfigError(f"sbatch refused {file}: {sent.stderr.strip()}")
    say(sent.stdout.strip())
