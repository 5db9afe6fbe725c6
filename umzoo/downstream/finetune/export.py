"""Export of a fine-tuned network to a weights folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from umzoo.api import save_pretrained
from umzoo.downstream.finetune.training import FineTuningRun
from umzoo.heads.model import Model


def export(training: FineTuningRun, metrics: Mapping[str, float | None]) -> None:
    """Write the weights folder of *training*, with the head, the meaning of its outputs, and *metrics*."""
    task, learner = training.task, training.judged.cpu()
    backbone = learner.backbone
    sources: dict[str, int] = {task.name: len(training.train_cases)}
    modality = training.train_cases[0].modality
    numbers = {name: value for name, value in metrics.items() if value is not None and np.isfinite(value)}
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
        tag=tag_of(task.name),
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
    """Return a name for each channel: its modality, numbered if several channels have the same."""
    return [name if modality.count(name) == 1 else f"{name}_{number}" for number, name in enumerate(modality)]


def tag_of(name: str) -> str:
    """Return *name* in lower case, with other characters replaced by underscores, for use as a weights tag."""
    return "".join(letter if letter.isalnum() else "_" for letter in name.lower())
