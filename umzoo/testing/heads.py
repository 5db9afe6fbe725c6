"""Checks of heads."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from umzoo.backbones.base import Size
from umzoo.fields import Rng
from umzoo.heads.base import Head
from umzoo.testing.material import ANISOTROPIC, PATCH, TinyBackbone
from umzoo.testing.promises import ComponentChecks, made_once, promise
from umzoo.testing.simulated_device import on_simulated_device
from umzoo.testing.tensors import (
    cuda,
    require_close,
    require_finite,
    require_gradients,
    require_round_trip,
    same,
    seeded,
)


def check_head(component: type[Head] | str, **options: Any) -> None:
    """Check that the output has one row per item (and the image's size if dense), gradients reach all, and so on.

    The promises are the rows that ``umzoo plugin check`` prints for a head.

    Raises:
        ConformanceError: on the first broken promise.
    """
    HeadChecks(component, options).run()


class HeadChecks(ComponentChecks):
    """Promises of a head, on a :class:`TinyBackbone`."""

    kind = "head"

    @made_once
    def backbone(self) -> TinyBackbone:
        """The network."""
        with seeded():
            return TinyBackbone()

    @property
    def image(self) -> Tensor:
        """Two images, fresh ones each time."""
        return _image(2, PATCH)

    @made_once
    def answer(self) -> Tensor:
        """Its answer."""
        return self._ask(self.built, self.image)

    def build(self) -> Head:
        """Build the head."""
        head: Head = self.component.build(self.config, info=self.backbone.info)
        return head.eval()

    def _ask(self, head: Any, image: Tensor) -> Tensor:
        with seeded():
            answer: Tensor = head(self.backbone.to(image.device)(image, dense=self.component.dense))
        return answer

    @promise("one row per item")
    def _rows(self) -> None:
        self._require_rows(self.answer, self.image)

    @promise("finite")
    def _finite(self) -> None:
        require_finite(self, self.answer)

    @promise("same seed, same answer")
    def _seed(self) -> None:
        equals = same(self._ask(self.built, self.image), self.answer)
        self.require(equals, "equal seeds must give equal answers")

    @promise("gradient reaches the network")
    def _gradient(self) -> None:
        self._learn()
        reached = any(value.grad is not None for value in self.backbone.parameters())
        self.require(reached, "no gradient reaches the backbone")

    @promise("gradient reaches every parameter")
    def _every_gradient(self) -> None:
        self._learn()
        require_gradients(self, self.built)

    @promise("state dict round trip")
    def _state(self) -> None:
        twin = self.build()
        require_round_trip(self, self.built, twin)
        require_close(self, self._ask(twin, self.image), self.answer, "with equal state it must give equal answers")

    @promise("batch of 1", may_refuse=True)
    def _one(self) -> None:
        image = self.image[:1]
        self._require_rows(self._ask(self.built, image), image)

    @promise("anisotropic patch", may_refuse=True)
    def _anisotropic(self) -> None:
        image = _image(2, ANISOTROPIC)
        self._require_rows(self._ask(self.built, image), image)

    @promise("bf16", may_refuse=True)
    def _bf16(self) -> None:
        with torch.autocast("cpu", torch.bfloat16):
            require_finite(self, self._ask(self.built, self.image))

    @promise("compiled", may_refuse=True)
    def _compiled(self) -> None:
        torch.compiler.reset()
        answer = self._ask(torch.compile(self.built, backend="eager"), self.image)
        require_close(self, answer, self.answer, "it must give the same answer when compiled")

    @promise("devices not mixed", may_refuse=True)
    def _devices(self) -> None:
        with on_simulated_device(self.name) as device:
            self._ask(copy.deepcopy(self.built).to(device), self.image.to(device))

    @promise("CUDA", may_refuse=True)
    def _cuda(self) -> None:
        twin = self.build().to(cuda())
        twin.load_state_dict(self.built.state_dict())
        answer = self._ask(twin, self.image.to(cuda()))
        self.backbone.cpu()
        require_close(self, answer, self.answer, "on CUDA it must give the same answer")

    def _learn(self) -> None:
        answer = self._ask(self.built, self.image)
        (answer.float() * Rng(2).normal(answer.shape)).sum().backward()

    def _require_rows(self, answer: Tensor, image: Tensor) -> None:
        """Require one row per item, and the size of *image* if the head is dense."""
        rows = isinstance(answer, Tensor) and answer.shape[:1] == image.shape[:1]
        self.require(rows, "must return a tensor with one row per item")
        wanted, shape = 5 if self.component.dense else 2, tuple(answer.shape)
        self.require(len(shape) == wanted, f"must return {wanted} axes, got {shape}")
        if self.component.dense:
            size = tuple(image.shape[2:])
            self.require(shape[2:] == size, f"must keep {size}, got {shape}")


def _image(count: int, size: Size) -> Tensor:
    return Rng(0).normal((count, 1, *size))
