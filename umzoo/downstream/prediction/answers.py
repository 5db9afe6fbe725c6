"""Prediction for one scan, by one network or by an ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn

from umzoo.backbones.base import Backbone
from umzoo.downstream.embed.vectors import patch_size
from umzoo.downstream.inference import OVERLAP, mean_over_windows, slide
from umzoo.errors import ConfigError
from umzoo.heads.answer import Answer
from umzoo.heads.model import Model
from umzoo.scans.crops import center_of, crop_about
from umzoo.scans.scan import Scan
from umzoo.scans.windows import Size, size_of


def answer_of(model: Any) -> Answer:
    """Return the description of the outputs of *model*.

    Raises:
        ConfigError: if it has no trained head.
    """
    if not isinstance(model, Model) or model.answer is None:
        name = model.name if isinstance(model, Backbone) else type(model).__name__
        raise ConfigError(f"{name} has no trained head to predict with: fine-tune it with 'umzoo finetune'")
    return model.answer


def predict(models: Model | Sequence[Model], scan: Scan, *, flips: bool = False, mask: Tensor | None = None) -> Tensor:
    """Return the prediction of one network, or the mean prediction of several, for *scan*.

    Args:
        models: networks of :func:`umzoo.from_pretrained`, with trained heads of the same task and classes.
        scan: of :func:`umzoo.load_scan`.
        flips: average over all eight flips of the image (test-time augmentation).
        mask: labels ``(D, H, W)`` on the image; networks that predict from one crop take it at the center of the mask
            instead of that of the scan.

    Returns:
        Segmentation: probability of each class on the image, float32 ``(n, D, H, W)``. Classification: probability of
        each class ``(n,)``. Regression: numbers in the units of the training data ``(n,)``. Survival: log-risk
        ``(1,)``.

    Raises:
        ConfigError: if a network has no trained head, or the heads differ in task, classes or targets.
    """
    members = [models] if isinstance(models, nn.Module) else list(models)
    answers = [answer_of(model) for model in members]
    first = answers[0]
    for other in answers[1:]:
        if (other.task, other.classes, other.targets) != (first.task, first.classes, first.targets):
            raise ConfigError(
                f"an ensemble needs networks of one task with equal classes, got {first.task} and {other.task}:"
                " choose weights of the same task"
            )
    axes = [axes for count in range(4) for axes in combinations((2, 3, 4), count)] if flips else [()]
    total: Tensor | None = None
    for model, answer in zip(members, answers, strict=True):
        for flipped in axes:
            found = _one(model, answer, scan, flipped, mask)
            total = found if total is None else total + found
    if total is None:
        raise ConfigError("expected at least one network, got none")
    return total / (len(members) * len(axes))


@torch.inference_mode()
def _one(model: Model, answer: Answer, scan: Scan, flipped: tuple[int, ...], mask: Tensor | None) -> Tensor:
    """Return the prediction of one network for one flip of the image."""
    model.eval()
    device = next(model.parameters()).device
    size = _trained_size(model, scan.image)

    def ask(images: Tensor) -> Tensor:
        found: Tensor = model(images.flip(flipped)).float()
        return found

    if answer.task == "segmentation":
        return slide(lambda part: ask(part).flip(flipped).softmax(1), scan.image, size, OVERLAP, device)
    if answer.view == "center":
        crop = crop_about(scan.image.numpy(), center_of(scan, mask), size, float(scan.image.min()))
        logits = ask(torch.from_numpy(crop)[None].to(device))[0].cpu()
    else:
        logits = mean_over_windows(ask, scan.image, size, OVERLAP, device)
    return _meaning(logits, answer)


def _meaning(logits: Tensor, answer: Answer) -> Tensor:
    """Convert outputs ``(n,)`` to probabilities, or to numbers in the units of the training data."""
    if answer.task == "classification":
        return logits.softmax(0)
    if answer.task == "multilabel":
        return logits.sigmoid()
    if answer.mean:
        return logits * torch.tensor(answer.std) + torch.tensor(answer.mean)
    return logits


def _trained_size(model: Model, image: Tensor) -> Size:
    """Return the patch size of the training, or a suitable one if the weights do not state it."""
    info = model.weights_info
    known: Size | None = info.input.patch_size if info is not None else None
    return known or patch_size(model.backbone, size_of(image), None)
