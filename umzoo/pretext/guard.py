"""A pretext model for training that checks the results of tasks, and names the task in error messages."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor

from umzoo.backbones.base import Backbone, Features
from umzoo.blame import blame
from umzoo.corruptions.pipeline import TOLERANCE
from umzoo.errors import ComponentError, ConfigError
from umzoo.fields import Fields, Rng
from umzoo.pretext.global_draws import global_draws
from umzoo.pretext.model import PretextModel

log = logging.getLogger(__name__)


class GuardedModel(PretextModel):
    """A :class:`PretextModel` that checks its tasks. Errors name the task, its package, and the line of its code.

    Slow checks (value ranges, use of global random states) run only for the first view of each task.

    Raises:
        ComponentError: if a task raises, changes its batch, or returns an invalid view or loss.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._rides: dict[str, bool] = {}

    def called(self, label: str) -> str:
        """Return the name of task *label* in messages."""
        return self._tasks[label].called(label)

    def task_bind(self, label: str) -> None:
        """Call :meth:`PretextTask.bind` of task *label*."""
        with blame(self.called(label), "bind"):
            super().task_bind(label)

    def task_views(self, label: str, batch: Fields, rng: Rng) -> Fields | None:
        """Return the view of task *label*, checked."""
        versions = {name: value._version for name, value in batch.items()}
        first = label not in self._rides
        with blame(self.called(label), "views", batch), global_draws(look=first) as drawn:
            views = super().task_views(label, batch, rng)
        if changed := [name for name, value in batch.items() if value._version != versions.get(name)]:
            raise ComponentError(
                f"{self.called(label)} changes {', '.join(changed)} of the batch in place: clone first"
            )
        if views is not None:
            _check_view(self.called(label), views, batch)
        if first:
            self._first_look(label, views, drawn)
        return views

    def _first_look(self, label: str, views: Fields | None, drawn: list[str]) -> None:
        self._rides[label] = views is None
        if drawn:
            log.warning("%s uses %s: use rng, so that runs are reproducible", self.called(label), drawn[0])
        if views is not None:
            _check_range(self.called(label), views["image"])
        if len(self._rides) == len(self.tasks) and not any(self._rides.values()) and self.corruptions.corruptions:
            log.warning("pretext.corruptions have no effect: every task of the recipe makes its own view")

    def shared_view(self, batch: Fields, rng: Rng) -> Fields:
        """Return the shared view; errors in corruptions name the line of code."""
        with blame("a corruption", "draw or apply", batch):
            return super().shared_view(batch, rng)

    def task_features(self, label: str, view: Fields) -> Features:
        """Return the features of task *label*; an input that the backbone rejects is an error of the task."""
        try:
            with blame(self.called(label), "features", view):
                return super().task_features(label, view)
        except ConfigError as error:
            raise ComponentError(f"the view of {self.called(label)} does not fit: {error}") from error

    def shared_features(self, view: Fields, dense: bool) -> Features:
        """Return the features of the shared *view*; errors name the backbone."""
        with blame(self.backbone.called(), "forward"):
            return super().shared_features(view, dense)

    def task_loss(self, label: str, features: Features, view: Fields) -> Tensor:
        """Return the loss of task *label*, checked."""
        with blame(self.called(label), "loss", view, _no_dense(self._tasks[label].dense, features)):
            loss = super().task_loss(label, features, view)
        if not isinstance(loss, Tensor) or loss.shape != ():
            got = f"a tensor {tuple(loss.shape)}" if isinstance(loss, Tensor) else repr(loss)
            raise ComponentError(f"the loss of {self.called(label)} must be a tensor of one number, (), got {got}")
        for name, value in self._tasks[label].metrics.items():
            if not isinstance(value, Tensor | int | float):
                raise ComponentError(f"metric '{name}' of {self.called(label)} must be a number, got {value!r}")
        return loss

    def task_pictures(self, label: str, features: Features, view: Fields) -> Fields:
        """Return the pictures of task *label*."""
        with blame(self.called(label), "pictures", view):
            images = super().task_pictures(label, features, view)
        for title, image in images.items():
            _check_images(f"picture '{title}' of {self.called(label)}", image, len(view["mean"]))
        return images

    def task_after_step(self, label: str) -> None:
        """Call :meth:`PretextTask.after_step` of task *label*."""
        with blame(self.called(label), "after_step"):
            super().task_after_step(label)

    def task_exported(self, label: str) -> Backbone:
        """Return the network that task *label* exports, checked."""
        with blame(self.called(label), "exported"):
            network = super().task_exported(label)
        if not isinstance(network, Backbone):
            given = "None" if network is None else f"a {type(network).__name__}"
            raise ComponentError(f"{self.called(label)} must return a backbone from exported, got {given}")
        return network


def _no_dense(dense: bool, features: Features) -> str:
    return "" if dense or features.dense is not None else "features.dense is None unless the task sets dense = True"


def _check_view(task: str, views: Fields, batch: Fields) -> None:
    """Raise ComponentError if a view has no images ``(k * B, C, D, H, W)``."""
    count = len(batch["image"])
    if "image" not in views:
        raise ComponentError(
            f"the view of {task} has no 'image' (it has {', '.join(views) or 'nothing'}):"
            " add the network's image, or return None to use the shared view"
        )
    for name in views.keys() & {"image", "clean"}:
        _check_images(f"'{name}' in the view of {task}", views[name], count)


def _check_images(what: str, image: Tensor, count: int) -> None:
    if image.ndim != 5 or len(image) == 0 or len(image) % count:
        raise ComponentError(
            f"{what} must be (k * {count}, C, D, H, W), k views of each of {count} items, got {tuple(image.shape)}"
        )


def _check_range(task: str, image: Tensor) -> None:
    low, high = (float(value) for value in torch.aminmax(image.detach().float()))
    if not (low >= -TOLERANCE and high <= 1 + TOLERANCE):
        raise ComponentError(
            f"images in the view of {task} must be in [0, 1], got {low:.3g} to {high:.3g}:"
            " conversion to the backbone's input space comes later"
        )
