"""Backbone, corruptions and tasks as one module, so that DDP, compile and checkpoints meet one thing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from umzoo.backbones.base import Backbone, Features
from umzoo.corruptions.pipeline import Pipeline
from umzoo.data.intensity import enter
from umzoo.fields import Fields, Rng
from umzoo.pretext.base import PretextTask

BATCH_FIELDS = frozenset(
    {"image", "mean", "std", "scale", "modality", "source", "volume", "spacing", "progress", "step"}
)
"""Fields that every training batch has; see :data:`umzoo.fields.Fields`."""


@dataclass
class Output:
    """What one forward pass of the pretext model gives: the weighted sum, and the parts it is made of."""

    loss: Tensor
    parts: dict[str, Tensor] = field(default_factory=dict)


class PretextModel(nn.Module):
    """One shared corrupted view and one pass for all tasks without a view of their own; one pass more for each other.

    Args:
        backbone: the network that is pre-trained.
        tasks: by label.
        weights: factor on each task's loss, by label.
        corruptions: what makes the shared view.
    """

    def __init__(
        self, backbone: Backbone, tasks: dict[str, PretextTask], weights: dict[str, float], corruptions: Pipeline
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.tasks = nn.ModuleDict(tasks)
        self.weights = weights
        self.corruptions = corruptions
        for task in tasks.values():
            task.bind(backbone)

    def forward(self, batch: Fields, rng: Rng) -> Output:
        """Return the loss and its parts for *batch* (``image`` in [0, 1]); all draws come from *rng*."""
        tasks: dict[str, PretextTask] = dict(self.tasks.items())  # type: ignore[arg-type]
        own = {label: task.views(batch, rng.fork(1, i)) for i, (label, task) in enumerate(tasks.items())}
        riding = [label for label, views in own.items() if views is None]
        result = Output(batch["image"].new_zeros(()))
        if riding:
            view = self.shared_view(batch, rng.fork(0))
            dense = any(tasks[label].dense for label in riding)
            self._add(result, riding, self.backbone(view["input"], dense=dense), view)
        for label, views in own.items():
            if views is not None:
                view = self._complete(views, batch)
                self._add(result, [label], tasks[label].features(self.backbone, view), view)
        return result

    def shared_view(self, batch: Fields, rng: Rng) -> Fields:
        """Return *batch* with ``image`` corrupted, ``clean`` beside it, and both in the backbone's input space."""
        with torch.no_grad():
            corrupted, clean, _ = self.corruptions(batch["image"], rng)
            return self._complete({"image": corrupted, "clean": clean}, batch)

    def _complete(self, views: Fields, batch: Fields) -> Fields:
        """Add the batch's fields that *views* lacks, the network's ``input``, and ``clean_input`` beside ``clean``."""
        fields = {**batch, **views}
        space = self.backbone.info.input_space
        fields["input"] = enter(fields["image"], fields, space)
        if "clean" in fields:
            fields["clean_input"] = enter(fields["clean"], fields, space)
        return fields

    def _add(self, result: Output, labels: Sequence[str], features: Features, views: Fields) -> None:
        """Add to *result* the losses and metrics of the tasks *labels* on the *features* of one pass over *views*."""
        tasks: list[PretextTask] = [self.tasks[label] for label in labels]  # type: ignore[misc]
        for label, task in zip(labels, tasks, strict=True):
            loss = task.loss(features, views)
            result.loss = result.loss + self.weights[label] * loss
            result.parts[label] = loss.detach()
            result.parts |= {f"{label}.{name}": value.detach() for name, value in task.metrics.items()}

    def after_step(self) -> None:
        """Tell the tasks that the optimizer has stepped."""
        for task in self.tasks.values():
            task.after_step(self.backbone)  # type: ignore[operator]
