"""Checks of backbones."""

from __future__ import annotations

import copy
import io
import pickle
import sys
from math import prod
from typing import Any

import torch
from torch import Tensor

from umzoo.backbones.base import Backbone, BackboneInfo, Features, Size
from umzoo.backbones.state import named_tensors, shapes
from umzoo.fields import Rng
from umzoo.testing.promises import ComponentChecks, ConformanceError, NotApplicableError, made_once, promise
from umzoo.testing.simulated_device import on_simulated_device
from umzoo.testing.tensors import (
    Watch,
    cuda,
    require_close,
    require_finite,
    require_gradients,
    require_round_trip,
    require_unchanged,
    same,
    seeded,
)
from umzoo.weights.transfer import transfer


def check_backbone(component: type[Backbone] | str, **options: Any) -> None:
    """Check that shapes agree with ``info``, weights follow the contract, all parameters get gradients, and so on.

    The promises are the rows that ``umzoo plugin check`` prints for a backbone.

    Raises:
        ConformanceError: on the first broken promise.
    """
    BackboneChecks(component, options).run()


class BackboneChecks(ComponentChecks):
    """Promises of a backbone.

    It is built once and trained on two images; the other checks use a copy in eval mode.
    """

    kind = "backbone"

    def build(self) -> Any:
        """Build the network, with the same weights each time."""
        with seeded():
            return super().build()

    @made_once
    def frozen(self) -> Backbone:
        """A copy in evaluation."""
        frozen: Backbone = copy.deepcopy(self.built).eval()
        return frozen

    @property
    def image(self) -> Tensor:
        """Two images, fresh ones each time."""
        return _image(self.built.info, (2, 1, 1), count=2)

    @made_once
    def trained(self) -> tuple[Features, Watch]:
        """Its features in training."""
        image = self.image
        with Watch(image=image) as watch:
            return _pass(self.built, image), watch

    @property
    def features(self) -> Features:
        """Its features in training, of both images."""
        return self.trained[0]

    @made_once
    def answer(self) -> Tensor:
        """Its features in evaluation."""
        return self._evaluate(self.frozen)

    def _evaluate(self, model: Any) -> Tensor:
        """Return all outputs of *model* in one vector."""
        with torch.no_grad():
            return _flat(_pass(model, self.image[:1]))

    @promise("parameter names")
    def _contract(self) -> None:
        names = [name for name, _ in self.built.named_parameters()]
        others = [name for name in names if not name.startswith(("encoder.", "decoder."))]
        found = ", ".join(others)[:200] or "none at all"
        self.require(names and not others, f"parameters must be under encoder.* and decoder.*, got {found}")

    @promise("one name per tensor")
    def _aliases(self) -> None:
        seen: dict[tuple[int, torch.Size], str] = {}
        for name, value in self.built.state_dict().items():
            first = seen.setdefault((value.data_ptr(), value.shape), name)
            self.require(first == name or not value.numel(), f"one tensor has two names: {first} and {name}")

    @promise("shapes as in info")
    def _shapes(self) -> None:
        self._require_promised(self.features, self.image)

    @promise("input unchanged")
    def _input(self) -> None:
        require_unchanged(self, self.trained[1])

    @promise("same seed, same features")
    def _seed(self) -> None:
        with torch.no_grad():
            again = _pass(self.built, self.image)
        self.require(same(_flat(again), _flat(self.features)), "equal seeds must give equal features")

    @promise("nothing random in evaluation")
    def _evaluation(self) -> None:
        with Watch() as watch, torch.no_grad():
            again = _flat(_features(self.frozen, self.image[:1]))
        self.require(not watch.drew and same(again, self.answer), "it must not be random in eval mode")

    @promise("independent of the batch")
    def _alone(self) -> None:
        with torch.no_grad():
            alone = [_pass(self.frozen, self.image[i : i + 1]) for i in range(len(self.image))]
            together, turned = _pass(self.frozen, self.image), _pass(self.frozen, self.image.flip(0))
        for parts, whole, other in zip(
            zip(*map(_tensors, alone), strict=True), _tensors(together), _tensors(turned), strict=True
        ):
            complaint = "in eval mode, the output for an image must not depend on the rest of the batch"
            require_close(self, torch.cat(parts), whole, complaint)
            require_close(self, other.flip(0), whole, complaint)

    @promise("copies and pickles")
    def _pickles(self) -> None:
        kinds = (self.component, type(self.built.config))
        if any(getattr(sys.modules[kind.__module__], kind.__qualname__.split(".")[0], None) is None for kind in kinds):
            raise NotApplicableError("its class is not an attribute of its module")
        file = io.BytesIO()
        try:
            torch.save(self.frozen, file)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ConformanceError(f"{self.name}: it cannot be pickled: {error}") from None
        file.seek(0)
        twin = torch.load(file, weights_only=False)
        require_close(self, self._evaluate(twin), self.answer, "after unpickling it must give the same features")

    @promise("gradient reaches every parameter")
    def _gradient(self) -> None:
        sum(value.float().square().mean() for value in _tensors(self.features)).backward()  # type: ignore[union-attr]
        require_gradients(self, self.built)

    @promise("dropped tokens are not seen")
    def _dropping(self) -> None:
        last = self.built.info.levels[-1]
        if not self.built.info.drops_tokens:
            raise NotApplicableError("it drops no tokens")
        image, grid = self.image, [n // s for n, s in zip(self.image.shape[2:], last.stride, strict=True)]
        hidden = torch.zeros(grid, dtype=torch.bool)
        hidden[0] = True
        visible = (~hidden).flatten().nonzero().T.expand(len(image), -1)
        other = image.clone()
        other[:, :, : last.stride[0]] += 1
        model: Any = self.frozen
        with torch.no_grad():
            level, twin = (model(x, visible=visible).levels[-1] for x in (image, other))
        promised = (len(image), last.channels, *grid)
        got = tuple(level.shape)
        self.require(got == promised, f"with dropped tokens it must return {promised}, got {got}")
        self.require(not level[:, :, hidden].any(), "the level must be 0 where tokens are dropped")
        self.require(torch.equal(level, twin), "the voxels of dropped tokens must have no influence")

    @promise("state dict round trip")
    def _state(self) -> None:
        twin = self.component.build(self.config).eval()  # with different weights
        require_round_trip(self, self.frozen, twin)
        require_close(self, self._evaluate(twin), self.answer, "with equal state it must give equal features")

    @promise("weights into more channels")
    def _channels(self) -> None:
        if "in_channels" not in type(self.config).model_fields:
            raise NotApplicableError("it has no option 'in_channels'")
        options = {**self.config.model_dump(), "in_channels": 2 * self.built.info.in_channels}
        twin = self._other(self.component.Config.parse(options))
        with torch.no_grad():
            found = _flat(_pass(twin, self.image[:1].repeat(1, 2, 1, 1, 1)))
        complaint = "with repeated channels it must give the same features: name all 'image_kernels'"
        require_close(self, found, self.answer, complaint)

    @promise("weights into another patch size", may_refuse=True)
    def _patch(self) -> None:
        image = _image(self.built.info, (1, 2, 3), count=1)
        self.frozen.check_input(image)
        twin = self._other(self.config, patch_size=tuple(image.shape[2:]))
        if shapes(named_tensors(twin)) == shapes(named_tensors(self.frozen)):
            raise NotApplicableError("its tensors do not depend on the patch size")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            other = self._other(self.config, patch_size=tuple(image.shape[2:]))
        with torch.no_grad():
            found, again = _flat(_pass(twin, image)), _flat(_pass(other, image))
        complaint = (
            "after a transfer to another patch size, tensors are still random: list position embeddings in"
            " 'info.positions'"
        )
        require_close(self, found, again, complaint)

    def _other(self, options: Any, **context: Any) -> Backbone:
        """Return a network with other *options*, and transfer these weights to it."""
        twin: Backbone = self.component.build(options, **context).eval()
        for name, grid in twin.info.positions.items():
            tokens = named_tensors(twin)[name].shape[1]
            self.require(tokens == prod(grid), f"info.positions gives {name} {grid} tokens, it has {tokens}")
        transfer(self.frozen, twin, {"minimum": 0})
        return twin

    @promise("batch of 1", may_refuse=True)
    def _one(self) -> None:
        image = self.image[:1]
        with torch.no_grad():
            self._require_promised(_pass(self.built, image), image)

    @promise("anisotropic patch", may_refuse=True)
    def _anisotropic(self) -> None:
        image = _image(self.built.info, (1, 2, 3), count=1)
        with torch.no_grad():
            self._require_promised(_pass(self.frozen, image), image)

    @promise("bf16", may_refuse=True)
    def _bf16(self) -> None:
        with torch.autocast("cpu", torch.bfloat16):
            require_finite(self, self._evaluate(self.frozen))

    @promise("compiled", may_refuse=True)
    def _compiled(self) -> None:
        torch.compiler.reset()
        answer = self._evaluate(torch.compile(self.frozen, backend="eager"))
        require_close(self, answer, self.answer, "it must give the same features when compiled")

    @promise("devices not mixed", may_refuse=True)
    def _devices(self) -> None:
        with torch.no_grad(), on_simulated_device(self.name) as device:
            _pass(copy.deepcopy(self.frozen).to(device), self.image[:1].to(device))

    @promise("CUDA", may_refuse=True)
    def _cuda(self) -> None:
        device = cuda()
        with torch.no_grad():
            found = _flat(_pass(copy.deepcopy(self.frozen).to(device), self.image[:1].to(device)))
        require_close(self, found, self.answer, "on CUDA it must give the same features")

    def _require_promised(self, features: Features, image: Tensor) -> None:
        """Compare *features* with ``info``."""
        info, size, count = self.built.info, image.shape[2:], len(image)
        promised = [
            (count, level.channels, *(n // s for n, s in zip(size, level.stride, strict=True))) for level in info.levels
        ]
        found = [tuple(level.shape) for level in features.levels]
        self.require(found == promised, f"info promises levels {promised}, encode returns {found}")
        pooled = tuple(features.pooled.shape)
        self.require(pooled == promised[-1][:2], f"pooled must be {promised[-1][:2]}, got {pooled}")
        if features.dense is not None:
            dense, got = (count, info.decoder_channels, *size), tuple(features.dense.shape)
            self.require(got == dense, f"info promises dense features {dense}, got {got}")
        require_finite(self, *_tensors(features))


def _image(info: BackboneInfo, edges: Size, count: int) -> Tensor:
    """Return images whose size is *edges* (D, H, W) times the divisor, or 4 if that is larger."""
    depth, height, width = (edge * max(4, divisor) for edge, divisor in zip(edges, info.divisor, strict=True))
    return Rng(0).normal((count, info.in_channels, *info.nearest_size((depth, height, width))))


def _features(model: Any, image: Tensor) -> Features:
    features: Features = model(image, dense=model.info.decoder_channels is not None)
    return features


def _pass(model: Any, image: Tensor) -> Features:
    """Return features with a fixed seed, for dropout."""
    with seeded():
        return _features(model, image)


def _tensors(features: Features) -> list[Tensor]:
    return [*features.levels, features.pooled, *([] if features.dense is None else [features.dense])]


def _flat(features: Features) -> Tensor:
    return torch.cat([value.detach().flatten() for value in _tensors(features)])
