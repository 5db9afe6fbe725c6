"""Checks that every component passes, umzoo's own and a stranger's: call one of them in a test of your plug-in.

Each takes the class or its registered name, and options; it raises :class:`ConformanceError` with what was found.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from umzoo.backbones.base import Backbone, BackboneInfo, Features, Level
from umzoo.config import Config
from umzoo.corruptions.base import Corruption
from umzoo.errors import UmzooError
from umzoo.fields import Fields, Rng
from umzoo.heads.base import Head
from umzoo.plugins import zoo
from umzoo.pretext.base import PretextContext, PretextTask
from umzoo.registry import Component, Registry

C = TypeVar("C", bound=Component)

COVERAGE = {"encoder": "coverage", "decoder": "decoder_coverage"}


class ConformanceError(UmzooError, AssertionError):
    """A component breaks a promise of its kind."""


class TinyBackbone(Backbone):
    """Two levels of four and eight channels: the network that tasks and heads are checked with."""

    name = "tiny"
    info = BackboneInfo(1, (Level(4, (1, 1, 1)), Level(8, (2, 2, 2))), decoder_channels=4, divisor=(2, 2, 2))

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        self.encoder = nn.ModuleList([nn.Conv3d(1, 4, 3, padding=1), nn.Conv3d(4, 8, 2, stride=2)])
        self.decoder = nn.ConvTranspose3d(8, 4, 2, stride=2)

    def encode(self, image: Tensor) -> list[Tensor]:
        """Return both levels of *image* ``(B, 1, D, H, W)``."""
        fine = self.encoder[0](image).relu()
        return [fine, self.encoder[1](fine).relu()]

    def decode(self, levels: list[Tensor]) -> Tensor:
        """Return ``(B, 4, D, H, W)``."""
        dense: Tensor = levels[0] + self.decoder(levels[1])
        return dense


def check_backbone(component: type[Backbone] | str, **options: Any) -> None:
    """Shapes agree with ``info``, weights follow the contract, gradients reach every parameter, state goes round.

    Raises:
        ConformanceError: with the first promise that is broken.
    """
    kind, config = _options(component, zoo().backbones, options)
    model = kind.build(config)
    info = model.info
    names = [name for name, _ in model.named_parameters()]
    _require(
        names and all(name.startswith(("encoder.", "decoder.")) for name in names),
        kind,
        f"parameters must lie under encoder.* and decoder.*, got {_others(names)}",
    )
    _check_aliases(kind, model)
    depth, height, width = (max(4, divisor) for divisor in info.divisor)
    size = info.nearest_size((2 * depth, height, width))
    image = Rng(0).normal((2, info.in_channels, *size))
    with _unchanged(kind, image=image):
        features = model(image, dense=info.decoder_channels is not None)
    _check_features(kind, features, info, image)
    if info.drops_tokens:
        _check_dropping(kind, model, image)
    answers = [*features.levels, features.pooled, *([] if features.dense is None else [features.dense])]
    sum(answer.float().square().mean() for answer in answers).backward()  # type: ignore[union-attr]
    idle = [name for name, value in model.named_parameters() if value.requires_grad and value.grad is None]
    _require(not idle, kind, f"no gradient reaches {', '.join(idle)}")
    _check_state(kind, model, lambda: kind.build(config))


def check_corruption(component: type[Corruption] | str, **options: Any) -> None:
    """Draws are reproducible and per item, ``apply`` is pure, and [0, 1] stays [0, 1].

    Raises:
        ConformanceError: with the first promise that is broken.
    """
    kind, config = _options(component, zoo().corruptions, options)
    corruption = kind.build(config)
    image = Rng(1).uniform((4, 1, 24, 20, 16))
    for seed in range(4):
        with _unchanged(kind, image=image):
            params = corruption.draw(image, Rng(seed))
            again = corruption.draw(image, Rng(seed))
        _require(_equal(params, again), kind, "equal rng must give equal draws")
        for name, value in params.items():
            _require(
                value.shape[:1] == image.shape[:1],
                kind,
                f"the first axis of '{name}' must be the batch of 4, got {tuple(value.shape)}",
            )
        with _unchanged(kind, image=image, **params):
            result = corruption.apply(image, params)
            twin = corruption.apply(image, params)
        _require(torch.equal(result, twin), kind, "apply must give equal results for equal parameters")
        _check_image(kind, result, image)
        single = corruption.apply(image[1:2], {name: value[1:2] for name, value in params.items()})
        _require(torch.allclose(single, result[1:2], atol=1e-5), kind, "an item must not depend on the others")


def check_pretext_task(component: type[PretextTask] | str, *, network: Backbone | None = None, **options: Any) -> None:
    """Views are pure and reproducible, the loss is a finite scalar, and its gradient reaches the backbone.

    Args:
        component: the class, or its registered name.
        network: what it is checked with, on patches of 16^3; None: a :class:`TinyBackbone`.
        options: options of the task.

    Raises:
        ConformanceError: with the first promise that is broken.
    """
    from umzoo.corruptions.pipeline import Pipeline
    from umzoo.pretext.model import BATCH_FIELDS, PretextModel

    kind, config = _options(component, zoo().pretext_tasks, options)
    backbone = network or TinyBackbone()
    context = PretextContext(backbone.info, (16, 16, 16), (0.5, 1.0, 2.0), ("ct", "mr"))
    _require(
        kind.obstacle(context) is None,
        kind,
        f"must work on 16^3 patches, three scales, CT and MR of {backbone.name}, says {kind.obstacle(context)!r}",
    )
    _require(kind.reads <= BATCH_FIELDS, kind, f"reads what no batch has: {', '.join(kind.reads - BATCH_FIELDS)}")
    task = kind.build(config, context=context)
    model = PretextModel(backbone, {kind.name: task}, {kind.name: 1.0}, Pipeline([]))
    batch = training_batch()
    with _unchanged(kind, **batch):
        views = task.views(batch, Rng(0))
        again = task.views(batch, Rng(0))
        output = model(batch, Rng(0))
    if views is not None and again is not None:
        _require("image" in views, kind, f"a view needs the field 'image', got {', '.join(views)}")
        _require(_equal(views, again), kind, "equal rng must give equal views")
        _check_range(kind, views["image"])
    loss = output.parts[kind.name]
    _require(loss.shape == () and bool(loss.isfinite()), kind, f"the loss must be a finite scalar, got {loss}")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = model(batch, Rng(0)).loss
    _require(bool(half.isfinite()), kind, f"the loss must be finite in half precision too, got {half}")
    output.loss.backward()
    reached = any(bool(value.grad.any()) for value in backbone.parameters() if value.grad is not None)
    _require(reached, kind, "the gradient of the loss must reach the backbone")
    model.after_step()
    _check_state(kind, task, lambda: kind.build(config, context=context))


def check_head(component: type[Head] | str, **options: Any) -> None:
    """The answer has one row per item (and the image's size if dense), and gradients reach backbone and head.

    Raises:
        ConformanceError: with the first promise that is broken.
    """
    kind, config = _options(component, zoo().heads, options)
    backbone = TinyBackbone()
    head = kind.build(config, info=backbone.info)
    image = Rng(0).normal((2, 1, 16, 16, 16))
    answer = head(backbone(image, dense=kind.dense))
    _require(
        isinstance(answer, Tensor) and answer.shape[:1] == (2,), kind, "must return a tensor with one row per item"
    )
    wanted = 5 if kind.dense else 2
    _require(answer.ndim == wanted, kind, f"must return {wanted} axes, got {tuple(answer.shape)}")
    if kind.dense:
        _require(answer.shape[2:] == image.shape[2:], kind, f"must keep {(16, 16, 16)}, got {tuple(answer.shape)}")
    _require(bool(answer.isfinite().all()), kind, "must return finite numbers")
    (answer.float() * Rng(2).normal(answer.shape)).sum().backward()
    _require(any(value.grad is not None for value in backbone.parameters()), kind, "no gradient reaches the backbone")
    idle = [name for name, value in head.named_parameters() if value.grad is None]
    _require(not idle, kind, f"no gradient reaches {', '.join(idle)}")
    _check_state(kind, head, lambda: kind.build(config, info=backbone.info))


def check_training(recipe: Mapping[str, Any], folder: Path | str, steps: int = 2) -> list[float]:
    """Train *recipe* on phantoms on the CPU, export the run, and transfer the weights to a fresh network of its kind.

    Args:
        recipe: a recipe without ``trainer``; its components must be registered.
        folder: an empty folder, which the store, the run and the weights are written to.
        steps: optimizer steps.

    Returns:
        the loss of each step.

    Raises:
        ConformanceError: if a loss is not finite, or a part of the network does not arrive.
    """
    from umzoo.data.phantom import write_phantoms
    from umzoo.data.prepare import prepare
    from umzoo.engine.export import export_run
    from umzoo.engine.log import read_metrics
    from umzoo.engine.recipe import Recipe
    from umzoo.engine.run import Run
    from umzoo.engine.trainer import Trainer
    from umzoo.weights.transfer import transfer

    folder, trainer = Path(folder), {"steps": steps, "log_every": 1, "probe_volumes": 4}
    parsed = Recipe.parse({**recipe, "trainer": trainer})
    write_phantoms(folder / "scans", ct=2, mr=2, size=parsed.data.patch_size)
    prepare([folder / "scans"], folder / "store", modality=("ct=*/ct/*", "mr=*/mr/*"), workers=0)
    run = Run(folder / "run", parsed, folder / "store")
    Trainer(run, cpu=True).fit()
    info = export_run(run, folder / "weights")
    report = transfer(folder / "weights", zoo().backbones.build(info.backbone))
    missing = [part for part in info.parts if getattr(report, COVERAGE[part]) < 1]
    if missing:
        raise ConformanceError(f"{info.name}: the {' and the '.join(missing)} did not arrive whole: {report}")
    losses = [line["loss"] for line in read_metrics(run.folder / "metrics.jsonl") if "loss" in line]
    if len(losses) != steps or not all(map(math.isfinite, losses)):
        raise ConformanceError(f"{info.name}: needs {steps} finite losses, got {losses}")
    return losses


def training_batch(size: int = 16, items: int = 4) -> Fields:
    """Return a batch with every field of a training batch; images ``(items, 1, size, size, size)`` in [0, 1]."""
    rng = Rng(3)
    return {
        "image": rng.uniform((items, 1, size, size, size)),
        "mean": rng.uniform((items,), 0.3, 0.6),
        "std": rng.uniform((items,), 0.1, 0.3),
        "scale": torch.arange(items) % 3,
        "modality": torch.arange(items) % 2,
        "source": torch.zeros(items, dtype=torch.int64),
        "volume": torch.arange(items),
        "spacing": torch.ones(items, 3),
        "progress": torch.tensor(0.5),
        "step": torch.tensor(1),
    }


def _options(component: type[C] | str, registry: Registry[Any], options: dict[str, Any]) -> tuple[type[C], Config]:
    kind: type[C] = registry[component] if isinstance(component, str) else component
    _require(bool(re.fullmatch(r"[a-z][a-z0-9_]*", kind.name)), kind, f"name must be lower_snake_case: {kind.name!r}")
    _require(bool(kind.__doc__), kind, "needs a docstring")
    bare = [name for name, field in kind.Config.model_fields.items() if not field.description]
    _require(not bare, kind, f"options need a description: {', '.join(bare)}")
    _require(kind.Config.model_config.get("extra") == "forbid", kind, "its Config must refuse unknown keys")
    return kind, kind.Config.parse(options)


def _require(holds: object, kind: type[Component], complaint: str) -> None:
    if not holds:
        raise ConformanceError(f"{kind.name or kind.__name__}: {complaint}")


@contextmanager
def _unchanged(kind: type[Component], **tensors: Tensor) -> Iterator[None]:
    """Neither *tensors* nor torch's global random state may change."""
    copies, state = {name: value.clone() for name, value in tensors.items()}, torch.get_rng_state()
    yield
    changed = [name for name, value in tensors.items() if not torch.equal(value, copies[name])]
    _require(not changed, kind, f"changes its input in place: {', '.join(changed)}")
    _require(torch.equal(state, torch.get_rng_state()), kind, "draws from torch's global random state, not from rng")


def _equal(first: Fields, second: Fields) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def _check_image(kind: type[Component], result: Tensor, image: Tensor) -> None:
    same = (result.shape, result.dtype, result.device) == (image.shape, image.dtype, image.device)
    _require(
        same,
        kind,
        f"must keep shape and type {tuple(image.shape)} {image.dtype}, got {tuple(result.shape)} {result.dtype}",
    )
    _check_range(kind, result)


def _check_range(kind: type[Component], image: Tensor) -> None:
    low, high = float(image.min()), float(image.max())
    _require(low >= -1e-6 and high <= 1 + 1e-6, kind, f"images must stay in [0, 1], got [{low:g}, {high:g}]")


def _check_features(kind: type[Component], features: Features, info: BackboneInfo, image: Tensor) -> None:
    size = image.shape[2:]
    promised = [
        (2, level.channels, *(n // s for n, s in zip(size, level.stride, strict=True))) for level in info.levels
    ]
    found = [tuple(level.shape) for level in features.levels]
    _require(found == promised, kind, f"info promises levels {promised}, encode returns {found}")
    pooled = tuple(features.pooled.shape)
    _require(pooled == promised[-1][:2], kind, f"pooled must be {promised[-1][:2]}, got {pooled}")
    if features.dense is not None:
        dense = (2, info.decoder_channels, *size)
        _require(
            features.dense.shape == dense, kind, f"info promises a dense map {dense}, got {tuple(features.dense.shape)}"
        )


def _check_dropping(kind: type[Component], model: Any, image: Tensor) -> None:
    """Voxels of dropped tokens must not matter, and the level must be 0 there and keep its shape."""
    last = model.info.levels[-1]
    grid = [n // s for n, s in zip(image.shape[2:], last.stride, strict=True)]
    hidden = torch.zeros(grid, dtype=torch.bool)
    hidden[0] = True
    visible = (~hidden).flatten().nonzero().T.expand(len(image), -1)
    other = image.clone()
    other[:, :, : last.stride[0]] += 1
    with torch.no_grad():
        level, twin = (model(x, visible=visible).levels[-1] for x in (image, other))
    promised = (len(image), last.channels, *grid)
    _require(level.shape == promised, kind, f"with dropped tokens it must return {promised}, got {tuple(level.shape)}")
    _require(not level[:, :, hidden].any(), kind, "the level must be 0 where tokens are dropped")
    _require(torch.equal(level, twin), kind, "the voxels of dropped tokens must not matter")


def _check_aliases(kind: type[Component], model: nn.Module) -> None:
    seen: dict[tuple[int, torch.Size], str] = {}
    for name, value in model.state_dict().items():
        first = seen.setdefault((value.data_ptr(), value.shape), name)
        _require(first == name or not value.numel(), kind, f"one tensor has two names: {first} and {name}")


def _check_state(kind: type[Component], module: nn.Module, build: Callable[[], nn.Module]) -> None:
    twin = build()
    twin.load_state_dict(module.state_dict())
    _require(_equal(dict(module.state_dict()), dict(twin.state_dict())), kind, "its state must survive a round trip")


def _others(names: list[str]) -> str:
    return ", ".join(name for name in names if not name.startswith(("encoder.", "decoder.")))[:200] or "none at all"
