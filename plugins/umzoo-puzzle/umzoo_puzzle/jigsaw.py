"""Jigsaw puzzles (Noroozi and Favaro, ECCV 2016), in 3D as in Taleb et al. (NeurIPS 2020)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

import umzoo
from umzoo.pretext.labels import classification_metrics
from umzoo_puzzle.puzzle import Puzzle, as_views


class Jigsaw(Puzzle):
    """Classify the order of a volume's shuffled tiles, out of a fixed set of orders.

    Metrics: ``accuracy``, and ``chance``, the accuracy of guessing.
    """

    name = "jigsaw"
    citations = (
        "Noroozi and Favaro, Unsupervised Learning of Visual Representations by Solving Jigsaw Puzzles, ECCV 2016",
        "Taleb et al., 3D Self-Supervised Methods for Medical Imaging, NeurIPS 2020",
    )

    def views(self, batch: umzoo.Fields, rng: umzoo.Rng) -> umzoo.Fields:
        """Return the shuffled tiles ``(T * B, C, d, h, w)`` as ``image``, and ``order`` ``(B,)``."""
        tiles, order = self.shuffle(batch["image"], rng)
        return {"image": as_views(tiles), "order": order}

    def loss(self, features: umzoo.Features, views: umzoo.Fields) -> Tensor:
        """Return the cross entropy of the order."""
        logits = self.head(self.embeddings(features).flatten(1)).float()
        self.metrics |= classification_metrics(logits, views["order"])
        return functional.cross_entropy(logits, views["order"])
