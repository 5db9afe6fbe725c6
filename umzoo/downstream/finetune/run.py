"""A fine-tuning from task to weights folder: one split, one fold, or all folds."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from types import NoneType
from typing import Any

from umzoo.downstream.finetune.cases import channels_of
from umzoo.downstream.finetune.config import FinetuneConfig
from umzoo.downstream.finetune.network import Origin, expected_input
from umzoo.downstream.finetune.summary import SUMMARY, Summary, finish, over_folds
from umzoo.downstream.finetune.training import RUN, FineTuningRun
from umzoo.downstream.tasks import Split, Task, make_task
from umzoo.downstream.tasks.labels import with_labels
from umzoo.errors import ConfigError
from umzoo.files import read_json

log = logging.getLogger(__name__)

_AGAIN = "remove the run, and train it again"


@dataclass(frozen=True)
class FinetuneResult:
    """What a fine-tuning came to.

    Attributes:
        folder: of the run.
        signal: that stopped it before its end, or None.
        summary: content of ``summary.json``; empty where it was stopped.
    """

    folder: Path
    signal: int | None
    summary: Summary


def finetune(
    config: FinetuneConfig,
    file: Path,
    out: Path,
    origin: Origin,
    *,
    fold: int | None = None,
    cpu: bool = False,
    cases: Path | None = None,
) -> FinetuneResult:
    """Fine-tune on the task of *config*, the options in the TOML *file*, and write weights, rows and summary to *out*.

    Args:
        config: all options.
        file: paths in the options are relative to it.
        out: folder of the run.
        origin: what the network begins with.
        fold: fold to validate on, from 0; None takes the split of the data, or draws one.
        cpu: stay on the CPU.
        cases: folder of the scans as the network expects them, which several runs may share; by default in *out*.

    Raises:
        ConfigError: if an option is wrong, or *out* holds a run.
        DataError: if the data cannot be used.
        WeightsError: if the weights cannot be used.
    """
    task = make_task(config.task, file)
    config = config.model_copy(update={"task": task.config})
    return _run(open_finetuning(config, task, out, origin, fold, cases or out / "cases", cpu))


def finetune_folds(
    config: FinetuneConfig, file: Path, out: Path, origin: Origin, *, cpu: bool = False
) -> list[FinetuneResult]:
    """Fine-tune once per fold into ``out/fold-0`` ..., and write ``out/folds.json``; folds that are done are kept."""
    task = make_task(config.task, file)
    config = config.model_copy(update={"task": task.config})
    results = []
    for fold in range(len(task.folds(config.seed))):
        folder = out / f"fold-{fold}"
        if (folder / SUMMARY).is_file():
            results.append(FinetuneResult(folder, None, read_json(folder / SUMMARY, "metrics", remedy=_AGAIN)))
            continue
        started = (folder / RUN).is_file()
        results.append(_run(open_finetuning(config, task, folder, origin, fold, out / "cases", cpu, started)))
        if results[-1].signal is not None:
            return results
    summary = over_folds(task, [result.folder for result in results], config.seed)
    (out / "folds.json").write_text(json.dumps(summary, indent=1), encoding="utf-8")
    return results


def resume(folder: Path, *, cpu: bool = False) -> FinetuneResult:
    """Continue the run in *folder*.

    Raises:
        ConfigError: if it is not a run of a fine-tuning.
    """
    if not (folder / RUN).is_file():
        raise ConfigError(f"{folder} is not a run of 'umzoo finetune' ({RUN} is missing): give its folder")
    about = _read_about(folder / RUN)
    config = FinetuneConfig.parse(about["config"])
    task = make_task(config.task, folder / RUN)
    origin = Origin(about["weights"], about["like"])
    return _run(open_finetuning(config, task, folder, origin, about["fold"], Path(about["cases"]), cpu, True))


def _read_about(file: Path) -> dict[str, Any]:
    about = read_json(file, "config", "weights", "like", "fold", "cases", remedy=_AGAIN)
    kinds: dict[str, Any] = {
        "config": dict,
        "weights": (str, NoneType),
        "like": (str, NoneType),
        "fold": (int, NoneType),
        "cases": str,
    }
    if wrong := [key for key, kind in kinds.items() if not isinstance(about[key], kind)]:
        raise ConfigError(f"{file} is damaged: it has another {', '.join(wrong)} than was written; {_AGAIN}")
    return about


def _run(training: FineTuningRun) -> FinetuneResult:
    signal = training.fit()
    return FinetuneResult(training.folder, signal, finish(training) if signal is None and training.is_main else {})


def open_finetuning(
    config: FinetuneConfig,
    task: Task,
    out: Path,
    origin: Origin,
    fold: int | None,
    cases: Path,
    cpu: bool = False,
    resuming: bool = False,
) -> FineTuningRun:
    """Return the training of a fine-tuning, ready to :meth:`fit`; see :func:`finetune`."""
    network = expected_input(origin, config, channels_of(task.cases))
    about = {
        "config": config.model_dump(mode="json", by_alias=True, exclude_none=True),
        "weights": origin.weights,
        "like": origin.like,
        "fold": fold,
        "cases": str(cases.resolve()),
    }
    split = with_labels(_split(task, config.seed, fold), task.kind, config.labels, config.seed)
    log.info(
        "%s: %d cases to train on, %d to validate on, %d without an answer left out",
        task.name, len(split.train), len(split.validation), task.left_out,
    )  # fmt: skip
    return FineTuningRun(out, config, task, split, origin, network, cases=cases, about=about, resume=resuming, cpu=cpu)


def _split(task: Task, seed: int, fold: int | None) -> Split:
    if fold is None:
        return task.split(seed)
    folds = task.folds(seed)
    if not 0 <= fold < len(folds):
        raise ConfigError(f"fold {fold} of {len(folds)}: give 0 to {len(folds) - 1}")
    return folds[fold]
