"""Backbone, corruptions and tasks in one module, for DDP, compilation and checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from umzoo.backbones.base import Backbone, Features
from umzoo.corruptions.pipeline import Pipeline
from umzoo.data.loading.intensity import enter
from umzoo.fields import Fields, Rng
from umzoo.pretext.base import PretextTask


@dataclass
class Pass:
    """One forward pass: labels of its tasks, view, features, and whether it is the shared pass."""

    labels: list[str]
    view: Fields
    features: Features
    shared: bool = False


@dataclass
class Output:
    """Output of the pretext model: the weighted sum of losses, and single losses and metrics."""

    loss: Tensor
    parts: dict[str, Tensor] = field(default_factory=dict)


class PretextModel(nn.Module):
    """Combines pretext tasks: those without their own view share one corrupted view and pass; others have their own.

    Args:
        backbone: network to pre-train.
        tasks: tasks by label.
        weights: factor on each task's loss, by label.
        corruptions: corruptions of the shared view.
    """

    def __init__(
        self, backbone: Backbone, tasks: dict[str, PretextTask], weights: dict[str, float], corruptions: Pipeline
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.tasks = nn.ModuleDict(tasks)
        self.weights = weights
        self.corruptions = corruptions
        for label in tasks:
            self.task_bind(label)

    def forward(self, batch: Fields, rng: Rng) -> Output:
        """Return the loss and its parts for *batch* (``image`` in [0, 1]); all randomness comes from *rng*."""
        result = Output(batch["image"].new_zeros(()))
        for task in self._tasks.values():
            task.metrics.clear()
        for made in self.passes(batch, rng):
            self._add(result, made)
        return result

    def passes(self, batch: Fields, rng: Rng) -> Iterator[Pass]:
        """Yield the forward passes for *batch*, one after the other."""
        own = {label: self.task_views(label, batch, rng.fork(1, i)) for i, label in enumerate(self._tasks)}
        if riding := [label for label, views in own.items() if views is None]:
            view = self.shared_view(batch, rng.fork(0))
            dense = any(self._tasks[label].dense for label in riding)
            yield Pass(riding, view, self.shared_features(view, dense), shared=True)
        for label, views in own.items():
            if views is not None:
                view = self._complete(views, batch)
                yield Pass([label], view, self.task_features(label, view))

    @property
    def _tasks(self) -> dict[str, PretextTask]:
        return dict(self.tasks.items())  # type: ignore[arg-type]

    def task_bind(self, label: str) -> None:
        """Call :meth:`PretextTask.bind` of task *label*."""
        self._tasks[label].bind(self.backbone)

    def task_views(self, label: str, batch: Fields, rng: Rng) -> Fields | None:
        """Return the own view of task *label* for *batch*, or None."""
        return self._tasks[label].views(batch, rng)

    def task_features(self, label: str, view: Fields) -> Features:
        """Return the features of task *label* for its own *view*."""
        return self._tasks[label].features(self.backbone, view)

    def shared_features(self, view: Fields, dense: bool) -> Features:
        """Return the features of the shared *view*, with dense features if *dense*."""
        features: Features = self.backbone(view["input"], dense=dense)
        return features

    def task_loss(self, label: str, features: Features, view: Fields) -> Tensor:
        """Return the loss ``()`` of task *label*."""
        return self._tasks[label].loss(features, view)

    def task_pictures(self, label: str, features: Features, view: Fields) -> Fields:
        """Return the pictures of task *label*."""
        return self._tasks[label].pictures(features, view)

    def shared_view(self, batch: Fields, rng: Rng) -> Fields:
        """Return *batch* with corrupted ``image`` and ``clean``, and both also in the backbone's input space."""
        with torch.no_grad():
            corrupted, clean, _ = self.corruptions(batch["image"], rng)
            return self._complete({"image": corrupted, "clean": clean}, batch)

    def _complete(self, views: Fields, batch: Fields) -> Fields:
        """Add missing fields of the batch, ``input`` from ``image``, and ``clean_input`` from ``clean`` to *views*."""
        fields = {**batch, **views}
        space = self.backbone.info.input_space
        fields["input"] = enter(fields["image"], fields, space)
        if "clean" in fields:
            fields["clean_input"] = enter(fields["clean"], fields, space)
        return fields

    def _add(self, result: Output, made: Pass) -> None:
        """Add the losses and metrics of the tasks of the pass *made* to *result*."""
        for label in made.labels:
            loss = self.task_loss(label, made.features, made.view)
            result.loss = result.loss + self.weights[label] * loss
            result.parts[label] = loss.detach()
            for name, value in self._tasks[label].metrics.items():
                result.parts[f"{label}.{name}"] = torch.as_tensor(value).detach()

    def after_step(self) -> None:
        """Notify all tasks of an optimizer step."""
        for label in self._tasks:
            self.task_after_step(label)

    def task_after_step(self, label: str) -> None:
        """Call :meth:`PretextTask.after_step` of task *label*."""
        self._tasks[label].after_step(self.backbone)

    def task_exported(self, label: str) -> Backbone:
        """Return the network that task *label* exports."""
        return self._tasks[label].exported(self.backbone)
