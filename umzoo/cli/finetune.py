"""``umzoo finetune``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from umzoo.cli.output import say

if TYPE_CHECKING:
    from umzoo.downstream.finetune import FinetuneResult


def finetune(
    task: Annotated[Path | None, typer.Argument(help="TASK.toml: the data and the task")] = None,
    overrides: Annotated[list[str] | None, typer.Argument(help="changes to it, as key.sub=value")] = None,
    weights: Annotated[
        str | None, typer.Option(help="initial weights: a folder, org/name[@revision], or architecture.tag")
    ] = None,
    no_weights: Annotated[bool, typer.Option("--no-weights", help="train from scratch")] = False,
    like: Annotated[str | None, typer.Option(help="with --no-weights: the network and input of these weights")] = None,
    out: Annotated[Path | None, typer.Option(help="folder of the new run")] = None,
    fold: Annotated[int | None, typer.Option(help="fold to validate on, from 0")] = None,
    folds: Annotated[str | None, typer.Option(help="'all': one run per fold")] = None,
    resume: Annotated[Path | None, typer.Option(help="folder of a run to continue")] = None,
    cpu: Annotated[bool, typer.Option("--cpu", help="stay on the CPU")] = False,
) -> None:
    """Fine-tune weights on labeled scans: segmentation, classification, regression or survival."""
    from umzoo.downstream import finetune as module
    from umzoo.errors import ConfigError

    if resume is not None:
        if task is not None or out is not None or weights is not None or no_weights:
            raise ConfigError("--resume continues a run as it is: leave out the task, --out and --weights")
        return _report([module.resume(resume, cpu=cpu)])
    if task is None or out is None:
        raise ConfigError("a new run needs TASK.toml and --out RUN; or continue one with --resume RUN")
    if (weights is None) == (not no_weights) or (like is not None and not no_weights):
        raise ConfigError("give either --weights REF, or --no-weights (with --like REF, or the table [backbone])")
    if folds not in (None, "all") or (folds and fold is not None):
        raise ConfigError(f"give --fold K, or --folds all, got --folds {folds}")
    config = module.load_config(task, overrides or ())
    origin = module.Origin(weights, like)
    if folds:
        return _report(module.finetune_folds(config, task, out, origin, cpu=cpu))
    return _report([module.finetune(config, task, out, origin, fold=fold, cpu=cpu)])


def _report(results: list[FinetuneResult]) -> None:
    """Print the metrics, or how to resume after a signal."""
    last = results[-1]
    if last.signal is not None:
        say(f"stopped by a signal, all is saved: continue with 'umzoo finetune --resume {last.folder}'", err=True)
        raise typer.Exit(128 + last.signal)
    for result in results:
        summary = result.summary
        say(f"{result.folder}: {summary.get('validation')} validation cases, step {summary.get('step')}")
        _show(summary)
        if "test" in summary:
            say(f"{result.folder}: {summary['test']['cases']} test cases, evaluated once")
            _show(summary["test"])


def _show(scores: dict[str, Any]) -> None:
    from umzoo.downstream.finetune.summary import formatted

    for name, value in formatted(scores).items():
        say(f"  {name} {value}")
