"""Looks at a network between steps: panels of restorations, and the linear probe for the modality.

Evaluation reads crops of its own, drawn by another seed in the training process, so it never moves the training's
sampling; it touches no global random state.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn

from umzoo.data.config import DataConfig
from umzoo.data.intensity import enter, leave, to_unit
from umzoo.data.loader import Loader
from umzoo.data.store import Store
from umzoo.engine.pictures import save_panel
from umzoo.engine.probe import linear_probe
from umzoo.fields import Fields, Rng, to_device
from umzoo.pretext.model import PretextModel
from umzoo.pretext.restoration import Restoration

EVALUATION = 1 << 32
"""Added to the seed for evaluation, so that its crops are not the training's."""
PANEL_CROPS = 8
"""Crops per modality, on average, among which a panel's are chosen."""


class Evaluator:
    """Evaluates a :class:`PretextModel` on crops of *store*, all modalities alike.

    Args:
        store: where the crops come from.
        config: the run's data options.
        seed: the run's seed.
        device: where the model lies.
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

    def probe(self, model: PretextModel, crops: int) -> dict[str, float]:
        """Balanced accuracy of a fresh linear probe for the modality on the pooled features of *crops* crops."""
        features, labels, groups = [], [], []
        for raw in self._batches(crops):
            batch = to_unit(to_device(raw, self.device))
            features.append(_pooled(model, batch).float().cpu())
            labels.append(raw["modality"])
            groups.append(torch.tensor([self._subjects[int(row)] for row in raw["volume"]]))
        score = linear_probe(torch.cat(features), torch.cat(labels), torch.cat(groups))
        return {"probe.modality": score, "probe.chance": 1 / max(1, len(self.store.modalities))}

    @cached_property
    def _subjects(self) -> list[int]:
        """A number per volume, equal for volumes of one subject."""
        names = sorted({(record.source, record.subject) for record in self.store.records})
        number = {name: i for i, name in enumerate(names)}
        return [number[record.source, record.subject] for record in self.store.records]

    def panel(self, model: PretextModel, file: Path) -> None:
        """Write the panel picture: of each modality the patch richest in contrast, clean, corrupted and restored."""
        task = next((task for task in model.tasks.values() if isinstance(task, Restoration)), None)
        if task is None:
            return
        best: dict[str, tuple[float, tuple[Tensor, ...]]] = {}
        for number, raw in enumerate(self._batches(PANEL_CROPS * (len(self.store.modalities) or 1))):
            batch = to_unit(to_device(raw, self.device))
            images = _restore(model, task, batch, Rng(self.seed, number, device=self.device))
            for item, (label, contrast) in enumerate(zip(raw["modality"], images[0].flatten(1).std(1), strict=True)):
                name = self.store.modalities[label] if label >= 0 else "unknown"
                if name not in best or contrast > best[name][0]:
                    best[name] = (float(contrast), tuple(image[item, 0] for image in images))
        save_panel(file, [(name, images) for name, (_, images) in sorted(best.items())])


class _Evaluating:
    """Switches a module to eval mode without gradients, and back."""

    def __init__(self, module: nn.Module) -> None:
        self.module, self.was_training, self.no_grad = module, module.training, torch.no_grad()

    def __enter__(self) -> None:
        self.module.eval()
        self.no_grad.__enter__()

    def __exit__(self, *error: object) -> None:
        self.no_grad.__exit__(None, None, None)
        self.module.train(self.was_training)


def _pooled(model: PretextModel, batch: Fields) -> Tensor:
    with _Evaluating(model):
        space = model.backbone.info.input_space
        pooled: Tensor = model.backbone(enter(batch["image"], batch, space)).pooled
    return pooled


def _restore(model: PretextModel, task: Restoration, batch: Fields, rng: Rng) -> tuple[Tensor, Tensor, Tensor]:
    """Return clean, corrupted and restored images ``(B, 1, D, H, W)`` in [0, 1]."""
    with _Evaluating(model):
        view = model.shared_view(batch, rng)
        answer = task.predict(model.backbone(view["input"], dense=True)).float()
        return view["clean"], view["image"], leave(answer, view, model.backbone.info.input_space)
