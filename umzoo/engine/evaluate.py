"""Evaluates a network between steps: panels of the tasks' inputs and outputs, feature health, and the modality probe.

Evaluation samples its own crops with another seed, so it does not affect the sampling of the training. It does not
change the global random state.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from umzoo.data.loading.config import DataConfig
from umzoo.data.loading.intensity import enter, to_unit
from umzoo.data.loading.loader import Loader
from umzoo.data.store.reader import Store
from umzoo.engine.feature_health import feature_health
from umzoo.engine.gradient_shares import gradient_shares
from umzoo.engine.pictures import save_panel
from umzoo.engine.probe import linear_probe
from umzoo.fields import Fields, Rng, to_device
from umzoo.pretext.model import PretextModel

EVALUATION = 1 << 32
"""Offset of the seed for evaluation, so that its crops differ from those of the training."""
PANEL_CROPS = 8
"""Average number of crops per modality from which those of a panel are chosen."""


class Evaluator:
    """Evaluates a :class:`PretextModel` on crops of *store*, with uniform sampling of modalities.

    Args:
        store: source of the crops.
        config: the run's data options.
        seed: the run's seed.
        device: device of the model.
    """

    def __init__(self, store: Store, config: DataConfig, seed: int, device: torch.device) -> None:
        self.store = store
        plain = {"workers": 0, "temperature": 0.0, "matched": 0.0, "ask": "matched"}
        self.config = config.model_copy(update=plain)
        self.seed, self.device = seed + EVALUATION, device

    def _batches(self, crops: int) -> list[Fields]:
        count = -(-crops // self.config.batch_size)
        with Loader(self.store, self.config, self.seed) as loader:
            return [batch for _, batch in zip(range(count), loader, strict=False)]

    def probe(self, model: PretextModel, crops: int, step: int = 0, steps: int = 1) -> dict[str, float]:
        """Return metrics of *crops* crops: health of the pooled features, the tasks' shares of the encoder's gradient
        on the first batch, and, with several modalities, the balanced accuracy of a linear probe for the modality.
        """
        features, labels, groups = [], [], []
        batches = self._batches(crops)
        for raw in batches:
            batch = to_unit(to_device(raw, self.device))
            features.append(_pooled(model, batch).float().cpu())
            labels.append(raw["modality"])
            groups.append(torch.tensor([self._subjects[int(row)] for row in raw["volume"]]))
        health = {
            **feature_health(torch.cat(features)),
            **self._shares(model, batches[0], _now(step, steps, self.device)),
        }
        if len(self.store.modalities) < 2:
            return health
        score = linear_probe(torch.cat(features), torch.cat(labels), torch.cat(groups))
        return {**health, "probe.modality": score, "probe.chance": 1 / len(self.store.modalities)}

    def _shares(self, model: PretextModel, raw: Fields, now: Fields) -> dict[str, float]:
        batch = {**to_unit(to_device(raw, self.device)), **now}
        return gradient_shares(model, batch, Rng(self.seed, device=self.device))

    @cached_property
    def _subjects(self) -> list[int]:
        """A number for each volume, equal for volumes of one subject."""
        numbers = np.zeros(len(self.store), np.int64)
        for number, members in enumerate(self.store.records.groups("source", "subject").values()):
            numbers[members] = number
        return numbers.tolist()  # type: ignore[no-any-return]

    def panels(self, model: PretextModel, folder: Path, step: int, steps: int) -> None:
        """Write pictures of each forward pass, with the patch of highest contrast of each modality.

        The panel of the shared pass is ``panel-STEP.png``, that of a task's own pass ``panel-STEP-TASK.png``.
        """
        rows: dict[str, dict[str, Fields]] = {}
        now = _now(step, steps, self.device)
        for number, (batch, items) in self._richest().items():
            for name, images in _pictures(model, {**batch, **now}, Rng(self.seed, number, device=self.device)):
                for modality, item in items.items():
                    pictures = {title: image[item, 0] for title, image in images.items()}
                    rows.setdefault(name, {})[modality] = pictures
        for name, found in rows.items():
            save_panel(folder / f"panel-{step:08d}{name}.png", sorted(found.items(), key=lambda row: row[0]))

    def _richest(self) -> dict[int, tuple[Fields, dict[str, int]]]:
        """Return the batches with a modality's patch of highest contrast, by number, and the item of each modality."""
        best: dict[str, tuple[float, int, int]] = {}
        batches = self._batches(PANEL_CROPS * (len(self.store.modalities) or 1))
        batches = [to_unit(to_device(raw, self.device)) for raw in batches]
        for number, batch in enumerate(batches):
            contrasts = batch["image"].flatten(1).std(1).tolist()
            for item, (label, contrast) in enumerate(zip(batch["modality"].tolist(), contrasts, strict=True)):
                name = self.store.modalities[label] if label >= 0 else "unknown"
                best[name] = max(best.get(name, (-1.0, 0, 0)), (contrast, number, item))
        return {
            number: (batches[number], {name: item for name, (_, where, item) in best.items() if where == number})
            for number in sorted({number for _, number, _ in best.values()})
        }


class Evaluating:
    """While entered, a module is in eval mode and gradients are disabled."""

    def __init__(self, module: nn.Module) -> None:
        self.module, self.was_training, self.no_grad = module, module.training, torch.no_grad()

    def __enter__(self) -> None:
        self.module.eval()
        self.no_grad.__enter__()

    def __exit__(self, *error: object) -> None:
        self.no_grad.__exit__(None, None, None)
        self.module.train(self.was_training)


def _now(step: int, steps: int, device: torch.device) -> Fields:
    """Return the fields ``progress`` and ``step`` of a batch."""
    return {"progress": torch.tensor(step / steps, device=device), "step": torch.tensor(step)}


def _pooled(model: PretextModel, batch: Fields) -> Tensor:
    with Evaluating(model):
        space = model.backbone.info.input_space
        pooled: Tensor = model.backbone(enter(batch["image"], batch, space)).pooled
    return pooled


def _pictures(model: PretextModel, batch: Fields, rng: Rng) -> Iterator[tuple[str, Fields]]:
    """Yield the suffix of the panel's file name and the pictures of each forward pass."""
    with Evaluating(model):
        for made in model.passes(batch, rng):
            images: Fields = {}
            for label in made.labels:
                images |= model.task_pictures(label, made.features, made.view)
            if images:
                yield "" if made.shared else f"-{made.labels[0]}", images
