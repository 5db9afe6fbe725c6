"""A report on what plug-ins registered: does it keep its promises, and where else does it work?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from umzoo.errors import PluginError, UmzooError, nearest
from umzoo.fields import Rng
from umzoo.plugins import Plugin, zoo
from umzoo.pretext.base import PretextContext
from umzoo.registry import Component
from umzoo.testing import (
    TinyBackbone,
    check_backbone,
    check_corruption,
    check_head,
    check_pretext_task,
    training_batch,
)

Outcome = Literal["yes", "no", "refused", "not here"]
Check = Callable[[Any], object]
PATCH = (8, 16, 24)
"""A patch (D, H, W) with three different edges."""


class NotHereError(Exception):
    """This machine cannot tell."""


@dataclass(frozen=True)
class Result:
    """What one check of one component came to; *note* says why, if it is not ``yes``.

    ``refused`` is an error that umzoo shows in one line: the component says what it cannot do.
    """

    kind: str
    component: str
    check: str
    outcome: Outcome
    note: str = ""


def check_plugins(name: str | None = None) -> Iterator[Result]:
    """Check all entries of plug-in *name*, or of all that do not ship with umzoo.

    Raises:
        PluginError: if there is no such plug-in, or it was not loaded.
    """
    for plugin in _chosen(name):
        for kind, entries in plugin.entries.items():
            for entry in entries:
                component = zoo().registries[kind][entry]
                for title, check in CHECKS.get(kind, {}).items():
                    yield _run(kind, entry, title, check, component)


def _chosen(name: str | None) -> list[Plugin]:
    if name is None:
        return [plugin for plugin in zoo().plugins if plugin.origin != "umzoo" and not plugin.reason]
    found = [plugin for plugin in zoo().plugins if name in (plugin.name, plugin.origin)]
    if not found:
        known = [plugin.name for plugin in zoo().plugins]
        raise PluginError(f"no plug-in '{name}'{nearest(name, known)}: install its package, see 'umzoo plugins'")
    for plugin in found:
        if plugin.reason:
            raise PluginError(f"plug-in '{plugin.name}' was not loaded: {plugin.reason}")
    return found


def _run(kind: str, name: str, title: str, check: Check, component: type[Component]) -> Result:
    outcome: Outcome = "yes"
    note = ""
    try:
        check(component)
    except NotHereError as error:
        outcome, note = "not here", str(error)
    except AssertionError as error:
        outcome, note = "no", " ".join(str(error).split())
    except UmzooError as error:
        outcome, note = "refused", str(error)
    except Exception as error:  # noqa: BLE001 - a stranger's component may raise anything
        outcome, note = "no", f"{type(error).__name__}: {' '.join(str(error).split())}"
    return Result(kind, name, title, outcome, note[:300])


def _image(count: int = 2, size: tuple[int, int, int] = (16, 16, 16), channels: int = 1) -> Tensor:
    return Rng(0).uniform((count, channels, *size))


def _require_finite(*tensors: Tensor | None) -> None:
    if not all(bool(tensor.isfinite().all()) for tensor in tensors if tensor is not None):
        raise AssertionError("the result is not finite")


def _require_close(first: Tensor, second: Tensor) -> None:
    torch.testing.assert_close(first, second.to(first), atol=1e-3, rtol=1e-3)


def _forward(component: Any, count: int, size: tuple[int, int, int]) -> tuple[nn.Module, Tensor]:
    model = component.build(component.Config()).eval()
    image = _image(count, model.info.nearest_size(size), model.info.in_channels)
    features = model(image, dense=model.info.decoder_channels is not None)
    _require_finite(*features.levels, features.dense, features.pooled)
    return model, image


def _backbone_bf16(component: Any) -> None:
    model, image = _forward(component, 2, (16, 16, 16))
    with torch.autocast("cpu", torch.bfloat16):
        _require_finite(*model(image).levels)


def _backbone_compiled(component: Any) -> None:
    model, image = _forward(component, 2, (16, 16, 16))
    _require_close(model(image).pooled, torch.compile(model, backend="eager")(image).pooled)


def _backbone_cuda(component: Any) -> None:
    device = _cuda()
    model, image = _forward(component, 2, (16, 16, 16))
    _require_close(model(image).pooled, model.to(device)(image.to(device)).pooled)


def _corrupt(component: Any, image: Tensor) -> Tensor:
    corruption = component.build(component.Config())
    result: Tensor = corruption.apply(image, corruption.draw(image, Rng(0, device=image.device)))
    _require_finite(result)
    return result


def _task_loss(component: Any, count: int = 4, size: tuple[int, int, int] = (16, 16, 16), device: str = "cpu") -> None:
    from umzoo.corruptions.pipeline import Pipeline
    from umzoo.errors import ConfigError
    from umzoo.pretext.model import PretextModel

    context = PretextContext(TinyBackbone.info, size, (0.5, 1.0, 2.0), ("ct", "mr"))
    if obstacle := component.obstacle(context):
        raise ConfigError(obstacle)
    task = component.build(component.Config(), context=context)
    model = PretextModel(TinyBackbone(), {component.name: task}, {component.name: 1.0}, Pipeline([])).to(device)
    batch = {**training_batch(items=count), "image": _image(count, size)}
    output = model({name: value.to(device) for name, value in batch.items()}, Rng(0, device=torch.device(device)))
    _require_finite(output.loss)
    output.loss.backward()


def _task_bf16(component: Any) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        _task_loss(component)


def _answer(component: Any, count: int = 2, size: tuple[int, int, int] = (16, 16, 16), device: str = "cpu") -> None:
    backbone = TinyBackbone().to(device)
    head = component.build(component.Config(), info=backbone.info).to(device).eval()
    _require_finite(head(backbone(_image(count, size).to(device), dense=component.dense)))


def _head_bf16(component: Any) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        _answer(component)


def _cuda() -> str:
    if not torch.cuda.is_available():
        raise NotHereError("no CUDA device")
    return "cuda"


CHECKS: dict[str, dict[str, Check]] = {
    "backbone": {
        "promises": check_backbone,
        "batch of 1": lambda it: _forward(it, 1, (16, 16, 16)),
        "anisotropic patch": lambda it: _forward(it, 2, PATCH),
        "bf16": _backbone_bf16,
        "compiled": _backbone_compiled,
        "CUDA": _backbone_cuda,
    },
    "corruption": {
        "promises": check_corruption,
        "batch of 1": lambda it: _corrupt(it, _image(1)),
        "anisotropic patch": lambda it: _corrupt(it, _image(2, PATCH)),
        "CUDA": lambda it: _corrupt(it, _image().to(_cuda())),
    },
    "pretext_task": {
        "promises": check_pretext_task,
        "batch of 1": lambda it: _task_loss(it, count=1),
        "anisotropic patch": lambda it: _task_loss(it, size=PATCH),
        "bf16": _task_bf16,
        "CUDA": lambda it: _task_loss(it, device=_cuda()),
    },
    "head": {
        "promises": check_head,
        "batch of 1": lambda it: _answer(it, count=1),
        "anisotropic patch": lambda it: _answer(it, size=PATCH),
        "bf16": _head_bf16,
        "CUDA": lambda it: _answer(it, device=_cuda()),
    },
}
"""Checks of each kind. ``promises`` are those of :mod:`umzoo.testing`."""
