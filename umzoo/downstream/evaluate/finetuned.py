"""Comparison of references by fine-tuning, each with the same network trained from scratch on the same folds."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umzoo.downstream.evaluate.case_vectors import SIMPLE, simple_features
from umzoo.downstream.evaluate.config import EvaluateConfig
from umzoo.downstream.evaluate.feature_table import Compared, FeatureTable, targets_of
from umzoo.downstream.evaluate.run import Evaluation, Key, conclude, out_of_fold, splits
from umzoo.downstream.finetune.cases import cache_cases, channels_of, read_case
from umzoo.downstream.finetune.config import FinetuneConfig
from umzoo.downstream.finetune.network import Origin, expected_input
from umzoo.downstream.finetune.scores import Row
from umzoo.downstream.finetune.training import RUN, FineTuningRun
from umzoo.downstream.tasks import Case, Split, Task, make_task
from umzoo.errors import ConfigError, DataError, UmzooError
from umzoo.files import read_json_list, replace_text
from umzoo.hub.pulling.references import resolve
from umzoo.spec import InputSpec
from umzoo.weights.folder.reader import read_info

log = logging.getLogger(__name__)

TUNED = "fine-tuning"


@dataclass(frozen=True)
class _Runs:
    """Settings common to all runs of an evaluation."""

    options: FinetuneConfig
    task: Task
    cache: Path
    cpu: bool


def evaluate_finetuned(
    options: FinetuneConfig,
    file: Path,
    references: Mapping[str, str],
    cache: Path,
    config: EvaluateConfig | None = None,
    *,
    cpu: bool = False,
) -> tuple[Evaluation, tuple[str, ...]]:
    """Fine-tune each of *references* and its twin from scratch for each fold, budget and seed, and compare them.

    Held-out subjects select nothing: a run is validated once, after its last step. All references have the same folds,
    labeled subsets, heads and batches for a seed; each seed also initializes the twin anew. Tasks with one target per
    scan also have the simple features as a control. Finished runs are cached, and interrupted runs are resumed.

    Args:
        options: options of the fine-tuning.
        file: TOML file; paths in the options are relative to it.
        references: name to weights.
        cache: folder that caches scans and predictions.
        config: options of the comparison.
        cpu: run on the CPU.

    Raises:
        ConfigError: if an option would select a model on held-out cases.
        DataError: if too few cases can be used.
        UmzooError: if a signal stopped a run.
    """
    config = config or EvaluateConfig()
    task = make_task(options.task, file)
    runs = _Runs(_without_choices(options, task), task, cache, cpu)
    origins = {name: Origin(weights=ref) for name, ref in references.items()}
    random = {name: "from scratch" if len(references) == 1 else f"from scratch like {name}" for name in references}
    origins |= {random[name]: Origin(like=ref) for name, ref in references.items()}
    cases, spec = _usable(runs, list(origins.values()))
    simple = "" if task.kind == "segmentation" else SIMPLE
    table = _table(task, cases, (*origins, *filter(None, [simple])), random, simple)
    everything = list(splits(table, config))
    predictions: dict[Key, NDArray[Any]] = {}
    for done, (name, origin) in enumerate(origins.items()):
        log.info("%s: %d runs, reference %d of %d", name, len(everything), done + 1, len(origins))
        for number, budget, train, held, seed in everything:
            split = Split(tuple(cases[place] for place in train), tuple(cases[place] for place in held))
            rows = {row["case"]: row for row in _rows(runs, origin, split, seed)}
            scores = np.array([_scores(task, rows[case.id]) for case in split.validation])
            shape = (config.seeds, len(cases), scores.shape[1])
            predictions.setdefault((name, TUNED, budget), np.full(shape, np.nan))[number, held] = scores
    if simple:
        predictions |= _plain(table, cases, spec, config)
    return conclude(table, config, predictions, draws=config.seeds), tuple(case.id for case in cases)


def _without_choices(options: FinetuneConfig, task: Task) -> FinetuneConfig:
    """Return *options* with a single validation after the last step."""
    strategy = options.strategy
    if strategy.name == "probe" and len(strategy.probe_rates) > 1:
        raise ConfigError("several strategy.probe_rates would be selected on held-out scans: give one")
    last = {"checkpoint": "last", "validate_every": options.trainer.steps, "patience": None}
    strategy = strategy.model_copy(update=last)  # the held-out cases must not select the checkpoint
    return options.model_copy(update={"task": task.config, "strategy": strategy})


def _usable(runs: _Runs, origins: Sequence[Origin]) -> tuple[list[Case], InputSpec]:
    """Return the cases that are usable for every network, and the input of the first network."""
    specs = [expected_input(origin, runs.options, channels_of(runs.task.cases))[1] for origin in origins]
    known = [set(cache_cases(runs.cache / "scans", runs.task, it, runs.options.data.dtype)) for it in specs]
    cases = [case for case in runs.task.cases if case.split != "test" and all(case.id in ids for ids in known)]
    if not cases:
        raise DataError(f"none of {len(runs.task.cases)} cases could be used: see the reasons above")
    return cases, specs[0]


def _table(
    task: Task, cases: Sequence[Case], names: tuple[str, ...], random: Mapping[str, str], simple: str
) -> Compared:
    folds = [case.fold for case in cases]
    return Compared(
        names,
        targets_of(task, cases),
        np.array([case.subject for case in cases]),
        task.kind,  # type: ignore[arg-type]
        random,
        simple,
        ("dice", *task.classes[1:]) if task.kind == "segmentation" else task.classes,
        np.array(folds) if all(folds) else None,
    )


def _rows(runs: _Runs, origin: Origin, split: Split, seed: int) -> list[Row]:
    """Return the rows of the held-out cases of one run; the rows are cached and the checkpoints deleted."""
    options = runs.options.model_copy(update={"seed": seed})
    folder = runs.cache / "runs" / _digest(options, origin, split)
    file = folder.with_suffix(".json")
    if not file.is_file():
        about = {"config": options.model_dump(mode="json", by_alias=True), "weights": origin.weights}
        run = FineTuningRun(
            folder,
            options,
            runs.task,
            split,
            origin,
            expected_input(origin, options, channels_of(runs.task.cases)),
            cases=runs.cache / "scans",
            about=about,
            resume=(folder / RUN).is_file(),
            cpu=runs.cpu,
        )
        if (signal := run.fit()) is not None:
            raise UmzooError(f"stopped by signal {signal}, progress is saved: repeat the command to continue")
        rows = run.best_rows or run.judge(run.validation_cases, [run.best_head])[0]
        replace_text(file, json.dumps(rows))
        shutil.rmtree(folder)
    kept: list[Row] = read_json_list(file, remedy="remove it, and it is written again")
    return kept


def _digest(options: FinetuneConfig, origin: Origin, split: Split) -> str:
    info = read_info(resolve(origin.weights or origin.like or ""))
    tensors = info.files if origin.weights else info.backbone.model_dump(mode="json")
    persons = [[case.id for case in part] for part in (split.train, split.validation)]
    text = json.dumps([options.model_dump(mode="json"), tensors, info.input.model_dump(mode="json"), persons])
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _scores(task: Task, row: Row) -> list[float]:
    """Return the predictions or metrics of *row* that are evaluated."""
    if task.kind == "segmentation":
        return [row["dice"], *(row[f"dice.{name}"] for name in task.classes[1:])]
    if task.kind == "survival":
        return [row["risk"]]
    mark = "predicted." if task.kind == "regression" else "p."
    return [row[f"{mark}{name}"] for name in task.classes]


def _plain(table: Compared, cases: Sequence[Case], spec: InputSpec, config: EvaluateConfig) -> dict[Key, NDArray[Any]]:
    """Return the out-of-fold predictions of a linear probe on simple features."""
    numbers = np.stack([simple_features(read_case(case, spec)) for case in cases])
    features = FeatureTable({SIMPLE: numbers}, table.targets, table.subjects, table.kind, folds=table.folds)
    return {key: it for key, it in out_of_fold(features, config).items() if key[1] == "linear"}
