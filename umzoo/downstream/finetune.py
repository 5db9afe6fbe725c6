"""Supervised fine-tuning of a small segmentation task on patches from labelled volumes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from umzoo.config import Config
from umzoo.data.config import Size
from umzoo.downstream.predict import pad_to
from umzoo.downstream.volumes import LabelledVolume
from umzoo.errors import ConfigError


class FinetuneConfig(Config):
    """Options of the fine-tuning."""

    steps: int = Field(200, ge=1, description="optimizer steps")
    batch_size: int = Field(2, ge=1, description="patches per step")
    patch_size: Size = Field((48, 48, 48), description="voxels (D, H, W)")
    lr: float = Field(1e-3, gt=0, description="initial learning rate of AdamW; decays as (1 - step / steps) ** 0.9")
    weight_decay: float = Field(1e-4, ge=0, description="weight decay")
    foreground: float = Field(0.67, ge=0, le=1, description="share of patches centred on a labelled voxel")
    clip: float = Field(1.0, gt=0, description="greatest norm of the gradient")
    seed: int = Field(0, ge=0, description="seed of the patches")


def finetune(model: nn.Module, volumes: Sequence[LabelledVolume], config: FinetuneConfig) -> list[float]:
    """Train *model* (image ``(B, C, D, H, W)`` to logits ``(B, n, D, H, W)``) in place; return the loss of each step.

    What is seen is a function of ``config.seed`` alone, so models can be compared on the very same patches.

    Raises:
        ConfigError: if there is no volume.
    """
    if not volumes:
        raise ConfigError("fine-tuning needs at least one labelled volume, got none")
    device = next(model.parameters()).device
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.PolynomialLR(optimizer, config.steps, power=0.9)
    losses = []
    model.train()
    for step in range(config.steps):
        image, label = draw_patches(volumes, config, step)
        loss = dice_and_cross_entropy(model(image.to(device)), label.to(device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
    model.eval()
    return losses


def draw_patches(volumes: Sequence[LabelledVolume], config: FinetuneConfig, step: int) -> tuple[Tensor, Tensor]:
    """Return images ``(B, C, D, H, W)`` and labels ``(B, D, H, W)`` of *step*, a pure function of the arguments."""
    rng = np.random.default_rng((config.seed, step))
    patches = [_draw_patch(volumes[int(rng.integers(len(volumes)))], config, rng) for _ in range(config.batch_size)]
    return torch.stack([image for image, _ in patches]), torch.stack([label for _, label in patches])


def _draw_patch(volume: LabelledVolume, config: FinetuneConfig, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    image, label = pad_to(volume.image, config.patch_size), pad_to(volume.label[None], config.patch_size)[0]
    room = np.array(label.shape, np.int64) - np.array(config.patch_size, np.int64)
    start = rng.integers(0, room + 1)
    inside = label.nonzero()
    if len(inside) and rng.random() < config.foreground:
        centre: NDArray[np.int64] = inside[rng.integers(len(inside))].numpy()
        start = np.clip(centre - np.array(config.patch_size) // 2, 0, room)
    window = tuple(slice(int(a), int(a) + size) for a, size in zip(start, config.patch_size, strict=True))
    return image[:, window[0], window[1], window[2]], label[window]


def dice_and_cross_entropy(logits: Tensor, label: Tensor) -> Tensor:
    """Return cross entropy plus one minus the soft Dice of the foreground classes, the loss of nnU-Net.

    Args:
        logits: ``(B, n, D, H, W)``.
        label: int64 ``(B, D, H, W)`` with values below n.
    """
    probability = logits.softmax(dim=1)
    truth = functional.one_hot(label, logits.shape[1]).movedim(-1, 1).to(probability.dtype)
    axes = (0, 2, 3, 4)
    overlap = (probability * truth).sum(axes)
    total = probability.sum(axes) + truth.sum(axes)
    dice = (2 * overlap[1:] + 1e-5) / (total[1:] + 1e-5)
    return functional.cross_entropy(logits, label) + 1 - dice.mean()
