"""Rubik's cube recovery (Zhuang et al., MICCAI 2019)."""

from __future__ import annotations

from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

import umzoo
from umzoo.pretext.labels import classification_metrics
from umzoo_puzzle.puzzle import Puzzle, PuzzleConfig, as_views

TURNS = ((-2, -1), (-3, -2))
"""Axes reversed by a rotation of 180 degrees about D, and by one about W."""


class Rubik(Puzzle):
    """Classify the order of a volume's cubes, and for each cube whether it was rotated by 180 degrees about D and W.

    The paper classifies rotations from the features of all cubes; here those of each cube are classified from its own
    embedding, which converges faster. Metrics: ``accuracy`` of the order, and ``chance``; ``turn_accuracy`` of the
    rotations, 0.5 by chance.
    """

    name = "rubik"
    citations = (
        "Zhuang et al., Self-supervised Feature Learning for 3D Medical Images by Playing a Rubik's Cube, MICCAI 2019",
    )

    class Config(PuzzleConfig):
        """Options of ``rubik``."""

        turn_share: float = Field(
            0.5, ge=0, le=1, description="weight of the loss of rotations; the loss of the order has the rest"
        )

    config: Config

    def __init__(self, config: Any, context: umzoo.PretextContext) -> None:
        super().__init__(config, context)
        self.turn_head = nn.Linear(self.config.hidden, len(TURNS))

    def views(self, batch: umzoo.Fields, rng: umzoo.Rng) -> umzoo.Fields:
        """Return the cubes ``(T * B, C, d, h, w)`` as ``image``, ``order`` ``(B,)`` and ``turns`` ``(B, T, 2)``."""
        cubes, order = self.shuffle(batch["image"], rng)
        turns = rng.fork(1).bernoulli((*cubes.shape[:2], len(TURNS)), 0.5)
        for turn, axes in enumerate(TURNS):
            cubes = torch.where(turns[..., turn].view(*cubes.shape[:2], 1, 1, 1, 1), cubes.flip(axes), cubes)
        return {"image": as_views(cubes), "order": order, "turns": turns}

    def loss(self, features: umzoo.Features, views: umzoo.Fields) -> Tensor:
        """Return the weighted sum of both cross entropies."""
        cubes = self.embeddings(features)
        order, turns = self.head(cubes.flatten(1)).float(), self.turn_head(cubes).float()
        self.metrics |= classification_metrics(order, views["order"])
        self.metrics["turn_accuracy"] = ((turns > 0) == views["turns"]).float().mean()
        turn_loss = functional.binary_cross_entropy_with_logits(turns, views["turns"].float())
        share = self.config.turn_share
        return (1 - share) * functional.cross_entropy(order, views["order"]) + share * turn_loss
