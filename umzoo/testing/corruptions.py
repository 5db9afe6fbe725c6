"""Checks of corruptions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from umzoo.corruptions.base import Corruption
from umzoo.fields import Fields, Rng
from umzoo.testing.material import ANISOTROPIC, PATCH
from umzoo.testing.promises import ComponentChecks, made_once, promise
from umzoo.testing.simulated_device import on_simulated_device
from umzoo.testing.tensors import (
    Watch,
    cuda,
    equal,
    require_own_draws,
    require_unchanged,
    require_unit,
    same,
)


def check_corruption(component: type[Corruption] | str, **options: Any) -> None:
    """Check that draws are reproducible and per item, ``apply`` is pure, values stay in [0, 1], and so on.

    The promises are the rows that ``umzoo plugin check`` prints for a corruption.

    Raises:
        ConformanceError: on the first broken promise.
    """
    CorruptionChecks(component, options).run()


@dataclass(frozen=True)
class Draw:
    """Parameters drawn from ``Rng(seed)``."""

    seed: int
    params: Fields
    watch: Watch


@dataclass(frozen=True)
class Trial:
    """A draw, and the resulting image."""

    params: Fields
    result: Tensor
    watch: Watch


class CorruptionChecks(ComponentChecks):
    """Promises of a corruption, checked with four draws for four images."""

    kind = "corruption"

    @property
    def image(self) -> Tensor:
        """Four images, fresh ones each time."""
        return Rng(1).uniform((4, 1, 24, 20, 16))

    @made_once
    def draws(self) -> list[Draw]:
        """What is drawn."""
        return [self._draw(seed) for seed in range(4)]

    def _draw(self, seed: int) -> Draw:
        image = self.image
        with Watch(image=image) as watch:
            return Draw(seed, self.built.draw(image, Rng(seed)), watch)

    @made_once
    def trials(self) -> list[Trial]:
        """The corrupted images."""
        return [self._apply(draw) for draw in self.draws]

    def _apply(self, draw: Draw) -> Trial:
        image, params = self.image, {name: value.clone() for name, value in draw.params.items()}
        with Watch(image=image, **params) as watch:
            return Trial(draw.params, self.built.apply(image, params), watch)

    @promise("draws from rng only")
    def _own_draws(self) -> None:
        require_own_draws(self, *(it.watch for it in self.draws), *(it.watch for it in self.trials))

    @promise("same seed, same draws")
    def _seed(self) -> None:
        equals = all(equal(draw.params, self._draw(draw.seed).params) for draw in self.draws)
        self.require(equals, "equal rng must give equal draws")

    @promise("draws are per item")
    def _per_item(self) -> None:
        for name, value in ((name, value) for draw in self.draws for name, value in draw.params.items()):
            shape = tuple(value.shape)
            self.require(shape[:1] == (4,), f"the first axis of '{name}' must be the batch of 4, got {shape}")

    @promise("inputs unchanged")
    def _inputs(self) -> None:
        require_unchanged(self, *(draw.watch for draw in self.draws), *(trial.watch for trial in self.trials))

    @promise("same draws, same result")
    def _pure(self) -> None:
        equals = all(same(trial.result, self.built.apply(self.image, trial.params)) for trial in self.trials)
        self.require(equals, "apply must give equal results for equal parameters")

    @promise("shape and type kept")
    def _shape(self) -> None:
        for trial in self.trials:
            self._require_alike(trial.result, self.image)

    @promise("values stay in [0, 1]")
    def _range(self) -> None:
        for trial in self.trials:
            require_unit(self, trial.result)

    @promise("items independent")
    def _independent(self) -> None:
        for trial in self.trials:
            single = self.built.apply(self.image[1:2], {name: it[1:2] for name, it in trial.params.items()})
            self.require(torch.allclose(single, trial.result[1:2], atol=1e-5), "an item must not depend on the others")

    @promise("one item in place")
    def _in_place(self) -> None:
        for trial in self.trials:
            item = self.image[1].clone()
            self.built.apply_item_(item, {name: value[1] for name, value in trial.params.items()})
            close = torch.allclose(item, trial.result[1], atol=1e-5)
            self.require(close, "apply_item_ must give the same result for an item as apply")

    @promise("batch of 1", may_refuse=True)
    def _one(self) -> None:
        self._corrupt(self.image[:1])

    @promise("anisotropic patch", may_refuse=True)
    def _anisotropic(self) -> None:
        self._corrupt(Rng(1).uniform((2, 1, *ANISOTROPIC)))

    @promise("bf16", may_refuse=True)
    def _bf16(self) -> None:
        with torch.autocast("cpu", torch.bfloat16):
            self._corrupt(Rng(1).uniform((2, 1, *PATCH)))

    @promise("devices not mixed", may_refuse=True)
    def _devices(self) -> None:
        with on_simulated_device(self.name) as device:
            self._corrupt(self.image.to(device))

    @promise("CUDA", may_refuse=True)
    def _cuda(self) -> None:
        self._corrupt(self.image.to(cuda()))

    def _corrupt(self, image: Tensor) -> None:
        result = self.built.apply(image, self.built.draw(image, Rng(0, device=image.device)))
        self._require_alike(result, image)
        require_unit(self, result)

    def _require_alike(self, result: Tensor, image: Tensor) -> None:
        """Require that shape, data type and device are kept."""
        found, wanted = ((tuple(it.shape), it.dtype, it.device.type) for it in (result, image))
        self.require(found == wanted, f"must keep shape and type {wanted[0]} {wanted[1]}, got {found[0]} {found[1]}")
