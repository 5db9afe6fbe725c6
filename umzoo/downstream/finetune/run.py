"""A fine-tuning from task to weights folder: one split, one fold, or all folds."""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from umzoo.api import save_pretrained
from umzoo.downstream.finetune.cases import channels_of
from umzoo.downstream.finetune.config import FinetuneConfig
from umzoo.downstream.finetune.network import Origin, expected_input
from umzoo.downstream.finetune.overlay import save_overlays
from umzoo.downstream.finetune.scores import Row, intervals, metrics_of
from umzoo.downstream.finetune.training import RUN, FineTuningRun
from umzoo.downstream.tasks import Split, Task, make_task
from umzoo.errors import ConfigError
from umzoo.heads.model import Model

log = logging.getLogger(__name__)

Summary = dict[str, Any]


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
    config: FinetuneConfig, file: Path, out: Path, origin: Origin, *, fold: int | None = None, cpu: bool = False
) -> FinetuneResult:
    """Fine-tune on the task of *config*, the options in the TOML *file*, and write weights, rows and summary to *out*.

    Args:
        config: all options.
        file: paths in the options are relative to it.
        out: folder of the run.
        origin: what the network begins with.
        fold: fold to validate on, from 0; None takes the split of the data, or draws one.
        cpu: stay on the CPU.

    Raises:
        ConfigError: if an option is wrong, or *out* holds a run.
        DataError: if the data cannot be used.
        WeightsError: if the weights cannot be used.
    """
    task = make_task(config.task, file)
    return _run(config.model_copy(update={"task": task.config}), task, out, origin, fold, out / "cases", cpu, False)


def finetune_folds(
    config: FinetuneConfig, file: Path, out: Path, origin: Origin, *, cpu: bool = False
) -> list[FinetuneResult]:
    """Fine-tune once per fold into ``out/fold-0`` ..., and write ``out/folds.json``; folds that are done are kept."""
    task = make_task(config.task, file)
    config = config.model_copy(update={"task": task.config})
    results = []
    for fold in range(len(task.folds(config.seed))):
        folder = out / f"fold-{fold}"
        if (folder / "summary.json").is_file():
            results.append(FinetuneResult(folder, None, json.loads((folder / "summary.json").read_text())))
            continue
        started = (folder / RUN).is_file()
        results.append(_run(config, task, folder, origin, fold, out / "cases", cpu, started))
        if results[-1].signal is not None:
            return results
    (out / "folds.json").write_text(json.dumps(_over_folds(results), indent=1), encoding="utf-8")
    return results


def resume(folder: Path, *, cpu: bool = False) -> FinetuneResult:
    """Continue the run in *folder*.

    Raises:
        ConfigError: if it is no run of a fine-tuning.
    """
    try:
        about = json.loads((folder / RUN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ConfigError(f"{folder} is no run of 'umzoo finetune' ({RUN} is missing): give its folder") from None
    config = FinetuneConfig.parse(about["config"])
    task = make_task(config.task, folder / RUN)
    origin = Origin(about["weights"], about["like"])
    return _run(config, task, folder, origin, about["fold"], Path(about["cases"]), cpu, True)


def _run(
    config: FinetuneConfig,
    task: Task,
    out: Path,
    origin: Origin,
    fold: int | None,
    cases: Path,
    cpu: bool,
    resuming: bool,
) -> FinetuneResult:
    network = expected_input(origin, config, channels_of(task.cases))
    about = {
        "config": config.model_dump(mode="json", by_alias=True, exclude_none=True),
        "weights": origin.weights,
        "like": origin.like,
        "fold": fold,
        "cases": str(cases.resolve()),
    }
    split = _split(task, config.seed, fold)
    log.info(
        "%s: %d cases to train on, %d to validate on, %d without an answer left out",
        task.name, len(split.train), len(split.validation), task.left_out,
    )  # fmt: skip
    training = FineTuningRun(
        out, config, task, split, origin, network, cases=cases, about=about, resume=resuming, cpu=cpu
    )
    signal = training.fit()
    return FinetuneResult(out, signal, _finish(training) if signal is None and training.is_main else {})


def _split(task: Task, seed: int, fold: int | None) -> Split:
    if fold is None:
        return task.split(seed)
    folds = task.folds(seed)
    if not 0 <= fold < len(folds):
        raise ConfigError(f"fold {fold} of {len(folds)}: give 0 to {len(folds) - 1}")
    return folds[fold]


def _finish(training: FineTuningRun) -> Summary:
    """Take the best weights, and write rows, summary, pictures and the weights folder.

    They are validated anew only if that was before an interruption.
    """
    training.load_best()
    head = training.best_head
    rows = training.best_rows or training.validate([head])[0]
    metrics = metrics_of(training.task, rows)
    summary = {
        "task": training.task.name,
        "kind": training.task.kind,
        "weights": training.origin.weights or "none",
        "step": training.best_step,
        "train": len(training.train_cases),
        "validation": len(rows),
        "left_out": {"without an answer": training.task.left_out, "unusable": training.unusable},
        "metrics": {name: _number(value) for name, value in metrics.items()},
        "intervals": intervals(training.task, rows, training.seed),
    }
    if training.options.strategy.name == "probe":
        summary["probe_rate"] = training.options.strategy.probe_rates[head]
    _write_rows(training.folder / "validation.csv", rows)
    (training.folder / "summary.json").write_text(json.dumps(summary, indent=1), encoding="utf-8")
    if training.task.kind == "segmentation":
        save_overlays(training.pictures / "validation.png", training, head)
    _export(training, metrics)
    return summary


def _number(value: float) -> float | None:
    return round(value, 6) if np.isfinite(value) else None


def _write_rows(file: Path, rows: Sequence[Row]) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _export(training: FineTuningRun, metrics: dict[str, float]) -> None:
    task, learner = training.task, training.model.cpu()
    backbone = learner.backbone
    if training.ema is not None:
        learner.load_state_dict(training.ema.module.state_dict())
    sources: dict[str, int] = {task.name: len(training.train_cases)}
    modality = training.train_cases[0].modality
    numbers = {name: value for name, value in metrics.items() if np.isfinite(value)}
    answer: dict[str, Any] = {"task": task.kind, "metrics": numbers}
    if task.kind == "regression":
        answer |= {"targets": task.classes, "mean": training.mean.tolist(), "std": training.std.tolist()}
    elif task.kind != "survival":
        answer["classes"] = task.classes
    if task.kind == "segmentation":
        answer["labels"] = {name: value for value, name in enumerate(task.classes)}
    if task.kind == "multilabel":
        answer["thresholds"] = dict.fromkeys(task.classes, 0.5)
    answer["view"] = "windows" if task.kind == "segmentation" else training.options.data.view
    answer |= {"channels": _channels(modality), "modalities": modality}
    save_pretrained(
        Model(backbone, learner.heads[training.best_head]),  # type: ignore[arg-type]
        training.folder / "weights",
        tag=_tag(task.name),
        input=training.input,
        answer=answer,
        provenance={
            "datasets": sources,
            "modalities": {modality[0]: len(training.train_cases)},
            "volumes": len(training.train_cases),
            "steps": training.best_step,
            "samples": training.samples,
            "seed": training.seed,
        },
    )


def _channels(modality: Sequence[str]) -> list[str]:
    """Names of the channels: their modality, numbered where several have one."""
    return [name if modality.count(name) == 1 else f"{name}_{number}" for number, name in enumerate(modality)]


def _tag(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name.lower())


def _over_folds(results: Sequence[FinetuneResult]) -> Summary:
    """Mean and deviation of every metric over the folds."""
    names = results[0].summary["metrics"]
    values = {name: [result.summary["metrics"][name] for result in results] for name in names}
    found = {name: np.array([v for v in these if v is not None], float) for name, these in values.items()}
    return {
        name: {"mean": float(these.mean()), "std": float(these.std()), "folds": these.tolist()}
        for name, these in found.items()
        if len(these)
    }
