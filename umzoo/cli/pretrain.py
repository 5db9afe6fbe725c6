"""``umzoo pretrain`` and ``umzoo export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def pretrain(
    recipe: Annotated[str | None, typer.Argument(help="recipe: a .toml file or the name of a shipped one")] = None,
    overrides: Annotated[list[str] | None, typer.Argument(help="changes to it, as key.sub=value")] = None,
    data: Annotated[Path | None, typer.Option(help="store made by 'umzoo prepare'")] = None,
    out: Annotated[Path | None, typer.Option(help="folder of the new run")] = None,
    weights: Annotated[
        str | None, typer.Option(help="begin with these: a folder, org/name[@revision], or architecture.tag")
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="folder of a run to continue")] = None,
    cpu: Annotated[bool, typer.Option("--cpu", help="stay on the CPU")] = False,
) -> None:
    """Pre-train a network on a store of unlabelled volumes, or continue a run."""
    from umzoo.engine.recipe import load_recipe
    from umzoo.engine.run import Run, open_run
    from umzoo.engine.trainer import Trainer
    from umzoo.errors import ConfigError
    from umzoo.hub.refs import resolve

    if resume is not None:
        if recipe is not None or out is not None or weights is not None:
            raise ConfigError("--resume continues a run as it is: leave out the recipe, --out and --weights")
        run = open_run(resume, data)
    elif recipe is None or data is None or out is None:
        raise ConfigError("a new run needs a recipe, --data STORE and --out RUN; or continue one with --resume RUN")
    else:
        run = Run(out, load_recipe(recipe, overrides or ()), data)
    start = resolve(weights) if weights is not None else None
    signum = Trainer(run, resume=resume is not None, cpu=cpu, weights=start).fit()
    if signum is not None:
        typer.echo(f"stopped by a signal, all is saved: continue with 'umzoo pretrain --resume {run.folder}'", err=True)
        raise typer.Exit(128 + signum)


def export(
    run: Annotated[Path, typer.Argument(help="folder of a run")],
    folder: Annotated[Path, typer.Argument(help="weights folder to write")],
    licence: Annotated[str, typer.Option(help="SPDX identifier of the weights, such as cc-by-4.0")] = "unknown",
    name: Annotated[str | None, typer.Option(help="architecture.tag; by default from the recipe")] = None,
) -> None:
    """Write the newest checkpoint of a run as a weights folder."""
    from umzoo.engine.export import export_run
    from umzoo.engine.run import open_run

    info = export_run(open_run(run), folder, licence, name)
    typer.echo(f"{info.name}: {info.provenance.steps} steps on {info.provenance.volumes} volumes -> {folder}")
