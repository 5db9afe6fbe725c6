"""Checks of pretext tasks."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from umzoo.backbones.base import Backbone, Size
from umzoo.corruptions.pipeline import Pipeline
from umzoo.errors import ComponentError, ConfigError
from umzoo.fields import Fields, Rng, to_device
from umzoo.plugins import misspelled
from umzoo.pretext.base import PretextContext, PretextTask
from umzoo.pretext.guard import GuardedModel
from umzoo.pretext.model import Output, PretextModel
from umzoo.testing.material import ANISOTROPIC, PATCH, TARGETS, TinyBackbone, training_batch
from umzoo.testing.promises import ComponentChecks, ConformanceError, made_once, promise
from umzoo.testing.simulated_device import on_simulated_device
from umzoo.testing.tensors import (
    Watch,
    cuda,
    equal,
    require_close,
    require_finite,
    require_gradients,
    require_own_draws,
    require_round_trip,
    require_unchanged,
    require_unit,
    same,
    seeded,
)


def check_pretext_task(component: type[PretextTask] | str, *, network: Backbone | None = None, **options: Any) -> None:
    """Check that views are pure and reproducible, the loss is a finite scalar with gradients, and so on.

    The promises are the rows that ``umzoo plugin check`` prints for a pretext task.

    Args:
        component: the class, or its registered name.
        network: test network, used with patches of 16^3; None uses a :class:`TinyBackbone`.
        options: options of the task.

    Raises:
        ConformanceError: on the first broken promise.
    """
    PretextTaskChecks(component, options, network).run()


@dataclass(frozen=True)
class Step:
    """One forward pass, and the views of the task."""

    views: Fields | None
    output: Output
    watches: tuple[Watch, Watch]


class PretextTaskChecks(ComponentChecks):
    """Promises of a pretext task; checks that change network or task use new ones."""

    kind = "pretext_task"

    def __init__(
        self,
        component: type[PretextTask] | str,
        options: Mapping[str, Any] | None = None,
        network: Backbone | None = None,
    ) -> None:
        super().__init__(component, options)
        self.network = network

    @property
    def batch(self) -> Fields:
        """A batch, a fresh one each time."""
        return training_batch(PATCH)

    @made_once
    def step(self) -> Step:
        """Its loss."""
        return self._step(self.built)

    @made_once
    def learned(self) -> PretextModel:
        """The gradient of its loss."""
        self.step.output.loss.backward()
        model: PretextModel = self.built
        return model

    def build(self, size: Size = PATCH, model: type[PretextModel] = PretextModel) -> PretextModel:
        """Build a network and a task for patches of *size* (D, H, W), with the same weights each time."""
        with seeded():
            network = TinyBackbone() if self.network is None else copy.deepcopy(self.network)
            task = self.component.build(self.config, context=self._context(size))
            return model(network, {self.name: task}, {self.name: 1.0}, Pipeline([]))

    def _context(self, size: Size) -> PretextContext:
        info = (self.network or TinyBackbone).info
        return PretextContext(info, info.nearest_size(size), (0.5, 1.0, 2.0), ("ct", "mr"), TARGETS)

    def _step(self, model: PretextModel) -> Step:
        with Watch(**self.batch) as seen_by_task:
            views = self._task(model).views(seen_by_task.tensors, Rng(0))
        with Watch(**self.batch) as seen_by_model:
            output = model(seen_by_model.tensors, Rng(0))
        return Step(views, output, (seen_by_task, seen_by_model))

    def _task(self, model: PretextModel) -> PretextTask:
        task: Any = model.tasks[self.name]
        return task  # type: ignore[no-any-return]

    @promise("suits a plain run")
    def _suits(self) -> None:
        context = self._context(PATCH)
        obstacle, network = self.component.obstacle(context), (self.network or TinyBackbone).name
        self.require(
            obstacle is None,
            f"must work with 16^3 patches, three scales, CT and MR, and {network}, got the obstacle {obstacle!r}",
        )

    @promise("reads what batches have")
    def _reads(self) -> None:
        unknown = ", ".join(frozenset(self.component.reads) - self._context(PATCH).fields)
        self.require(not unknown, f"reads fields that no batch has: {unknown}")

    @promise("draws from rng only")
    def _own_draws(self) -> None:
        require_own_draws(self, *self.step.watches)

    @promise("inputs unchanged")
    def _inputs(self) -> None:
        require_unchanged(self, *self.step.watches)

    @promise("views are images in [0, 1]")
    def _views(self) -> None:
        if (views := self.step.views) is not None:
            self.require("image" in views, f"a view needs the field 'image', got {', '.join(views)}")
            require_unit(self, views["image"])

    @promise("loss is a finite number")
    def _loss(self) -> None:
        loss = self.step.output.parts[self.name]
        finite = loss.shape == () and bool(loss.isfinite())
        self.require(finite, f"the loss must be a finite scalar, got {loss}")

    @promise("same seed, same loss")
    def _seed(self) -> None:
        again = self._step(self.build())
        self.require(_same_views(again.views, self.step.views), "equal rng must give equal views")
        self.require(same(again.output.loss, self.step.output.loss), "equal rng must give equal losses")

    @promise("gradient reaches the network")
    def _gradient(self) -> None:
        parameters = self.learned.backbone.parameters()
        reached = any(bool(value.grad.any()) for value in parameters if value.grad is not None)
        self.require(reached, "the gradient of the loss must reach the backbone")

    @promise("gradient reaches every parameter")
    def _every_gradient(self) -> None:
        require_gradients(self, self._task(self.learned))
        parts = ("encoder.", "decoder.") if self.component.dense else ("encoder.",)
        require_gradients(self, self.learned.backbone, parts)

    @promise("state dict round trip")
    def _state(self) -> None:
        self.learned.after_step()
        require_round_trip(self, self._task(self.learned), self._task(self.build()))

    @promise("accepted in training")
    def _guarded(self) -> None:
        _ = self.step  # a task without a step has failed above
        try:
            self._train_once(self.build(model=GuardedModel))
        except ComponentError as error:
            raise ConformanceError(f"{self.name}: {error}") from error

    def _train_once(self, model: PretextModel) -> None:
        """Call all methods that training calls."""
        for made in model.passes(self.batch, Rng(0)):
            model.task_loss(self.name, made.features, made.view).backward()
            model.task_pictures(self.name, made.features, made.view)
        model.after_step()
        model.task_exported(self.name)

    @promise("no misspelled members")
    def _spelling(self) -> None:
        found = [f"'{given}' ('{wanted}'?)" for given, wanted in misspelled(self.component, PretextTask)]
        self.require(not found, f"has members that umzoo never uses: {', '.join(found)}")

    @promise("batch of 1", may_refuse=True)
    def _one(self) -> None:
        self._learn(self.build(), training_batch(PATCH, items=1))

    @promise("anisotropic patch", may_refuse=True)
    def _anisotropic(self) -> None:
        context = self._context(ANISOTROPIC)
        if obstacle := self.component.obstacle(context):
            raise ConfigError(obstacle)
        self._learn(self.build(context.patch_size), training_batch(context.patch_size))

    @promise("bf16", may_refuse=True)
    def _bf16(self) -> None:
        with torch.autocast("cpu", torch.bfloat16):
            loss = self.build()(self.batch, Rng(0)).loss
        self.require(bool(loss.isfinite()), f"the loss must be finite in half precision too, got {loss}")

    @promise("compiled", may_refuse=True)
    def _compiled(self) -> None:
        torch.compiler.reset()
        model = self.build()
        model.backbone.compile(backend="eager")
        loss = self._learn(model, self.batch)
        require_close(self, loss, self.step.output.loss, "the loss must be the same if the backbone is compiled")

    @promise("devices not mixed", may_refuse=True)
    def _devices(self) -> None:
        with on_simulated_device(self.name) as device:
            self._learn(self.build().to(device), to_device(self.batch, device))

    @promise("CUDA", may_refuse=True)
    def _cuda(self) -> None:
        device = cuda()
        self._learn(self.build().to(device), to_device(self.batch, device))

    def _learn(self, model: PretextModel, batch: Fields) -> Tensor:
        """Run one forward and backward pass; return the loss."""
        loss: Tensor = model(batch, Rng(0, device=batch["image"].device)).loss
        require_finite(self, loss)
        loss.backward()
        return loss


def _same_views(first: Fields | None, second: Fields | None) -> bool:
    return first is second if first is None or second is None else equal(first, second)
