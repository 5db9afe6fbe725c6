"""``umzoo pretrain`` and ``umzoo export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from umzoo.cli.output import say

if TYPE_CHECKING:
    from umzoo.engine.run import Run
    from umzoo.engine.trainer import Trainer

WORTH_A_PLAN = 100
"""Minimum number of steps for a forecast of memory and time, which takes some seconds."""


def pretrain(
    recipe: Annotated[str | None, typer.Argument(help="recipe: a .toml file or the name of a shipped one")] = None,
    overrides: Annotated[list[str] | None, typer.Argument(help="changes to it, as key.sub=value")] = None,
    data: Annotated[Path | None, typer.Option(help="store made by 'umzoo prepare'")] = None,
    out: Annotated[Path | None, typer.Option(help="folder of the new run")] = None,
    weights: Annotated[
        str | None, typer.Option(help="initial weights: a folder, org/name[@revision], or architecture.tag")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="folder of a run to continue; changes to optim and trainer may follow")
    ] = None,
    cpu: Annotated[bool, typer.Option("--cpu", help="stay on the CPU")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace the run in --out")] = False,
    plan: Annotated[
        bool,
        typer.Option(
            "--plan",
            help="only say what the recipe takes: parameters, memory, time, disk; tasks with targets need --data",
        ),
    ] = False,
    memory: Annotated[
        str | None, typer.Option(help="with --plan: memory per process, such as 24GB, to find the largest batch")
    ] = None,
    card: Annotated[
        str | None, typer.Option(help="with --plan: a GPU such as a100, whose memory and speed are used")
    ] = None,
) -> None:
    """Pre-train a network on a store of unlabeled volumes, or continue a run."""
    if plan and recipe is not None:
        _say_plan(recipe, overrides or [], data, memory, card, cpu)
        return
    from umzoo.engine.recipe import load_recipe
    from umzoo.engine.run import Run as NewRun
    from umzoo.engine.run import finished
    from umzoo.engine.trainer import Trainer as NewTrainer
    from umzoo.errors import ConfigError
    from umzoo.hub.pulling.references import resolve

    if resume is not None:
        if out is not None or weights is not None or overwrite:
            raise ConfigError("--resume continues a run: leave out the recipe, --out, --weights and --overwrite")
        run = _resumed(resume, data, [*([recipe] if recipe else []), *(overrides or ())])
        if finished(run):
            _say_finished(run)
            return
    elif recipe is None or data is None or out is None:
        raise ConfigError("a new run needs a recipe, --data STORE and --out RUN; or continue one with --resume RUN")
    else:
        run = NewRun(out, load_recipe(recipe, overrides or ()), data, overwrite=overwrite)
    start = resolve(weights) if weights is not None else None
    trainer = NewTrainer(run, resume=resume is not None, cpu=cpu, weights=start, task_probe=_task_probe(run))
    if trainer.is_main and trainer.recipe.trainer.steps >= WORTH_A_PLAN:
        announce(trainer)
    signum = trainer.fit()
    if signum is not None:
        if trainer.is_main:
            say(f"stopped by a signal, all is saved: continue with 'umzoo pretrain --resume {run.folder}'", err=True)
        raise typer.Exit(128 + signum)


def _task_probe(run: Run) -> Any:
    """Return the probe of the recipe of *run*, or None; only the probe needs ``umzoo[finetune]``."""
    if not run.recipe.trainer.probe_task:
        return None
    from umzoo.downstream.evaluate.online import online_probe

    return online_probe(run)


def _say_plan(
    recipe: str, overrides: list[str], data: Path | None, memory: str | None, card: str | None, cpu: bool
) -> None:
    """Say what *recipe* takes on the store *data*, if there is one, with at most *memory*, or that of the *card*."""
    import torch

    from umzoo.engine.cards import bytes_of, find_card
    from umzoo.engine.plan import make_plan
    from umzoo.engine.recipe import load_recipe

    known = find_card(card) if card else None
    limit = bytes_of(memory) if memory else known.memory * 1e9 if known else None
    device = torch.device("cuda" if torch.cuda.is_available() and not cpu else "cpu")
    held: dict[str, Any] = {}
    if data is not None:
        from umzoo.data.loading.open_store import open_store

        store = open_store(data)
        held = {"modalities": store.modalities, "targets": store.targets.known}
    made = make_plan(load_recipe(recipe, overrides), limit, known, device, **held)
    for line in made.lines():
        say(line)
    if limit and made.memory > limit:
        say(
            f"{limit / 1e9:g} GB are too little, even for one patch: use a smaller data.patch_size or backbone, or"
            " shard the weights over several processes with trainer.shard=true",
            err=True,
        )


def announce(trainer: Trainer) -> None:
    """Print the forecast of the run in one line; a failure of the forecast does not stop the run."""
    import logging

    import torch

    from umzoo.engine.plan import make_plan

    log, ours = logging.getLogger(__name__), logging.getLogger("umzoo")
    level = ours.level
    try:
        ours.setLevel(logging.ERROR)  # the run itself reports its problems
        with torch.random.fork_rng():
            store = trainer.store
            made = make_plan(
                trainer.recipe, device=trainer.device, modalities=store.modalities, targets=store.targets.known
            )
    except Exception as error:  # noqa: BLE001 - a task of a plug-in may raise anything
        log.debug("no plan: %r", error)
    else:
        say(made.line(), err=True)
    finally:
        ours.setLevel(level)


def _resumed(folder: Path, data: Path | None, overrides: list[str]) -> Run:
    """Open the run to continue, with changed options; the recipe is that of the run."""
    from umzoo.engine.run import open_run
    from umzoo.errors import ConfigError

    if recipes := [text for text in overrides if "=" not in text]:
        raise ConfigError(
            f"--resume continues a run with its own recipe: leave out '{recipes[0]}', and give only changes such"
            " as optim.lr=1e-4 or trainer.steps=2000"
        )
    return open_run(folder, data, overrides)


def _say_finished(run: Run) -> None:
    """Print that the run is finished and what can be done next; record the new path of a moved store."""
    from umzoo.engine.option_changes import record_changes

    steps = run.recipe.trainer.steps
    record_changes(run, steps)
    say(
        f"{run.folder} is finished: it has done all {steps} steps; write its weights with 'umzoo export {run.folder}"
        f" FOLDER', or lengthen it with 'umzoo pretrain --resume {run.folder} trainer.steps={2 * steps}'",
        err=True,
    )


def export(
    source: Annotated[str, typer.Argument(help="folder of a run; with --onnx also any reference to weights")],
    target: Annotated[Path, typer.Argument(help="weights folder to write, or the file with --onnx")],
    license: Annotated[str, typer.Option(help="SPDX identifier of the weights, such as cc-by-4.0")] = "unknown",
    license_link: Annotated[str, typer.Option(help="text of a license called other, https://...")] = "",
    name: Annotated[str | None, typer.Option(help="architecture.tag; by default from the recipe")] = None,
    onnx: Annotated[bool, typer.Option("--onnx", help="write one ONNX file for images of any size")] = False,
    best: Annotated[bool, typer.Option("--best", help="the checkpoint that trainer.probe_task found best")] = False,
    size: Annotated[
        tuple[int, int, int] | None, typer.Option(help="with --onnx: voxels (D, H, W), for images of this size only")
    ] = None,
) -> None:
    """Write the newest checkpoint of a run as a weights folder, or weights or a run as ONNX."""
    if onnx:
        _export_onnx(source, target, size)
        return
    from umzoo.engine.export import export_run
    from umzoo.engine.run import open_run

    info = export_run(open_run(Path(source)), target, license, name, license_link, best)
    say(f"{info.name}: {info.provenance.steps} steps on {info.provenance.volumes} volumes -> {target}")


def _export_onnx(source: str, file: Path, size: tuple[int, int, int] | None) -> None:
    """Write weights *source*, or the newest checkpoint of the run there, to *file*."""
    from tempfile import TemporaryDirectory

    from umzoo.api import from_pretrained
    from umzoo.engine.export import export_run
    from umzoo.engine.run import open_run
    from umzoo.weights.networks.onnx import output_names, write_onnx

    with TemporaryDirectory() as folder:
        if (Path(source) / "recipe.toml").is_file():
            export_run(open_run(Path(source)), Path(folder) / "weights")
            source = str(Path(folder) / "weights")
        model = from_pretrained(source)
        write_onnx(model, file, size)
    sizes = f"of size {size}" if size else f"in multiples of {model.info.divisor}"
    say(f"image {sizes} -> {', '.join(output_names(model))} -> {file}")
