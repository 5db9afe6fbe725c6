"""Fine-tune the same network from scratch and from pre-trained weights, on the same patches, and compare."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import umzoo
from umzoo.downstream.finetune import FinetuneConfig, finetune
from umzoo.downstream.metrics import dice
from umzoo.downstream.predict import predict
from umzoo.downstream.volumes import LabelledVolume
from umzoo.heads.model import Model

ARMS = ("from scratch", "pre-trained")


@dataclass(frozen=True)
class Outcome:
    """What one fine-tuning came to.

    Attributes:
        arm: one of :data:`ARMS`.
        seed: of the head, the random backbone and the patches; the arms share it.
        dice: per class without the background, mean over the held-out volumes.
        losses: training loss of each step.
        answers: predicted labels ``(D, H, W)`` of the held-out volumes.
    """

    arm: str
    seed: int
    dice: tuple[float, ...]
    losses: tuple[float, ...]
    answers: tuple[Tensor, ...]


def compare(
    weights: Path,
    train: Sequence[LabelledVolume],
    held_out: Sequence[LabelledVolume],
    classes: int,
    config: FinetuneConfig,
    seeds: Iterable[int],
    progress: Callable[[str], None] = lambda doing: None,
) -> list[Outcome]:
    """Fine-tune both arms with each of *seeds* and judge them on *held_out* volumes.

    Args:
        weights: weights folder.
        train: labelled volumes for fine-tuning.
        held_out: labelled volumes for judging.
        classes: number of classes with the background.
        config: options; its seed is replaced by each of *seeds*.
        seeds: one pair of fine-tunings each.
        progress: told what is being done.
    """
    outcomes = []
    for seed in seeds:
        for arm in ARMS:
            progress(f"fine-tuning {arm}, seed {seed}")
            model = build(weights, classes, seed, pretrained=arm == ARMS[1])
            losses = finetune(model, train, config.model_copy(update={"seed": seed}))
            answers = [predict(model, volume.image, config.patch_size, 0.25).argmax(0) for volume in held_out]
            scores = [dice(answer, volume.label, classes) for answer, volume in zip(answers, held_out, strict=True)]
            outcomes.append(
                Outcome(arm, seed, tuple(np.nanmean(scores, axis=0).tolist()), tuple(losses), tuple(answers))
            )
    return outcomes


def build(weights: Path, classes: int, seed: int, pretrained: bool) -> Model:
    """Return the network of *weights* with a segmentation head; both arms get the same head for a *seed*."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: Model = umzoo.from_pretrained(weights, head={"name": "segmentation", "classes": classes})
        if not pretrained:
            spec = model.backbone.spec
            model.backbone = umzoo.create_model(spec.name, **spec.options)
    return model
