"""Classification of the scale at which a sub-volume was cropped (Universal Model / SAR, arXiv 2010.06107)."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from umzoo.backbones.base import Features
from umzoo.fields import Fields
from umzoo.pretext.base import UNIVERSAL_MODEL, PretextContext, PretextTask
from umzoo.pretext.labels import classification_metrics, cross_entropy


class ScaleClassification(PretextTask):
    """A linear classifier on the pooled features. Items labeled -1 are ignored. Metrics: ``accuracy`` and ``chance``,
    the accuracy of guessing.
    """

    name = "scale_classification"
    reads: ClassVar[frozenset[str]] = frozenset({"scale"})
    citations = (
        "Zhang et al., SAR: Scale-Aware Restoration Learning for 3D Tumor Segmentation, MICCAI 2021"
        " (arXiv:2010.06107v2)",
        UNIVERSAL_MODEL,
    )

    def __init__(self, config: Any, context: PretextContext) -> None:
        super().__init__(config, context)
        self.head = nn.Linear(context.backbone.levels[-1].channels, len(context.scales))

    @classmethod
    def obstacle(cls, context: PretextContext) -> str | None:
        """Return a reason if there is only one scale."""
        return None if len(context.scales) > 1 else f"data.scales has one entry ({context.scales[0]:g})"

    def loss(self, features: Features, views: Fields) -> Tensor:
        """Return the cross entropy over the labeled items."""
        logits = self.head(features.pooled).float()
        self.metrics |= classification_metrics(logits, views["scale"])
        return cross_entropy(logits, views["scale"], views.get("scale_count"))
