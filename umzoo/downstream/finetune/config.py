"""Options of a fine-tuning: the tables of TASK.toml."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from umzoo.config import Config
from umzoo.data.loading.config import Size
from umzoo.downstream.inference import OVERLAP
from umzoo.downstream.tasks.config import TaskConfig
from umzoo.downstream.tasks.labels import Labels
from umzoo.downstream.tasks.load import read_toml
from umzoo.engine.recipe import OptimConfig, TrainerConfig
from umzoo.heads.pooled import Pooling
from umzoo.nnunet.training.finetuning import FineTuning
from umzoo.spec import ComponentSpec

Positive = Annotated[float, Field(gt=0)]
OPTIM = {"lr": 3e-3, "weight_decay": 1e-4, "schedule": "poly"}
"""Defaults that differ from those of pre-training; docs/downstream.md has what they were chosen by."""


class CropConfig(Config):
    """What the network sees of a scan."""

    patch_size: Size | None = Field(None, description="voxels (D, H, W) of a crop; by default that of the weights")
    spacing: Literal["native"] | tuple[Positive, Positive, Positive] | None = Field(
        None, description="mm (D, H, W), or native for that of each scan; by default that of the weights"
    )
    batch_size: int = Field(2, ge=1, description="crops per step; survival compares persons within a batch")
    foreground: float = Field(0.67, ge=0, le=1, description="share of crops centered on a labeled voxel")
    view: Literal["center", "windows"] = Field(
        "center", description="numbers per scan: from a crop at its center or mask, or from the mean of all windows"
    )
    jitter: float = Field(0.05, ge=0, le=0.5, description="greatest shift of a center crop, in shares of its edges")
    overlap: float = Field(OVERLAP, ge=0, lt=1, description="overlap of neighboring windows in validation")
    dtype: Literal["float32", "float16"] = Field("float32", description="type of the cached images")


class StrategyConfig(Config):
    """What is trained, when, and how fast. Sawtooth and warm-up did best in the OpenMind study (arXiv 2412.17041)."""

    name: Literal["full", "warmup", "sawtooth", "frozen", "probe"] = Field(
        "full",
        description="all at once; with a slow start; the head first, then all; the encoder kept; a linear probe",
    )
    warmup: float = Field(0.1, ge=0, lt=1, description="share of the steps in which the rate rises (not with full)")
    frozen: float = Field(0.1, gt=0, lt=1, description="share of the steps in which sawtooth keeps the encoder")
    layer_decay: float = Field(1.0, gt=0, le=1, description="factor on the rate from an encoder stage to that above")
    head_rate: Positive = Field(10.0, description="factor on the rate of the head, which begins with random values")
    class_weights: Literal["balanced", "none"] | tuple[Positive, ...] = Field(
        "none", description="weight of each class in the loss, in their order; balanced: inverse to its share"
    )
    probe_rates: tuple[Positive, ...] = Field(
        (1e-4, 1e-3, 1e-2, 1e-1), min_length=1, description="learning rates of the probes, the best one is kept"
    )
    validate_every: int | None = Field(None, ge=1, description="steps between validations; by default a tenth of all")
    checkpoint: Literal["best", "last"] = Field(
        "best", description="weights that are kept: the best by the validation cases, or those after the last step"
    )
    patience: int | None = Field(None, ge=1, description="validations without a gain before the training stops")

    def phases(self, steps: int, lr: float) -> FineTuning:
        """Return how the rate rises and falls over *steps*, with ``frozen`` steps at the start."""
        frozen = {"frozen": steps, "probe": steps, "sawtooth": max(1, round(self.frozen * steps))}.get(self.name, 0)
        restart = self.name == "sawtooth" and frozen < steps
        shortest = min(frozen, steps - frozen) if restart else steps
        warmup = 0 if self.name in ("full", "probe") else round(self.warmup * shortest)
        return FineTuning(epochs=steps, iterations=1, lr=lr, warmup=warmup, frozen=frozen, restart=restart)


class AugmentationConfig(Config):
    """Random changes of crops, on the training device."""

    enabled: bool = Field(True, description="whether crops are changed at all")
    law: Literal["light", "nnunet"] = Field(
        "light",
        description="light: as the options below say; nnunet: nnU-Net's default augmentation, mirrored if flip says so",
    )
    flip: bool = Field(
        False, description="mirror each axis with probability one half, where no label or answer has a side or an end"
    )
    p: float = Field(0.3, ge=0, le=1, description="probability of rotation and scaling, of gamma, noise, brightness")
    rotation: float = Field(15.0, ge=0, le=180, description="greatest angle about each axis, in degrees")
    scale: float = Field(0.15, ge=0, lt=1, description="greatest change of size, in shares")
    gamma: tuple[Positive, Positive] = Field((0.7, 1.5), description="least and greatest exponent")
    noise: float = Field(0.1, ge=0, description="greatest standard deviation of noise, in units of the crop's range")
    brightness: float = Field(0.1, ge=0, description="greatest shift of brightness, likewise")


class HeadConfig(Config):
    """The head: ``levels`` is for segmentation, the rest for tasks with an answer per scan."""

    levels: bool = Field(
        True, description="segment by the encoder's levels beside the decoder's map, which pre-training may narrow"
    )

    pooling: Pooling = Field(
        "mean", description="the coarsest level as one vector: mean, max, std, mean+max or octants"
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="rate of dropout before the last layer")


class FinetuneConfig(Config):
    """Everything that defines a fine-tuning, but for the weights it begins with."""

    task: TaskConfig
    data: CropConfig = CropConfig()
    strategy: StrategyConfig = StrategyConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    head: HeadConfig = HeadConfig()
    optim: OptimConfig = OptimConfig.parse(OPTIM)
    trainer: TrainerConfig = TrainerConfig()
    backbone: ComponentSpec | None = Field(None, description='network without weights, such as { name = "unet" }')
    labels: Labels = Field(
        "100%",
        description="training subjects whose labels are used: a number, or a share such as 25%; drawn by the seed, so"
        " that those of a small budget are in every larger one",
    )
    seed: int = Field(0, ge=0, description="seed of head, folds, labels, crops and augmentation")

    @property
    def validate_every(self) -> int:
        """Steps between validations."""
        return self.strategy.validate_every or max(1, self.trainer.steps // 10)


def load_config(path: Path, overrides: Sequence[str] = ()) -> FinetuneConfig:
    """Read TASK.toml and apply *overrides* such as ``"trainer.steps=100"``.

    Raises:
        ConfigError: if the file cannot be read, or a key or value is wrong.
    """
    table = read_toml(path, overrides)
    return FinetuneConfig.parse({**table, "optim": {**OPTIM, **table.get("optim", {})}})
