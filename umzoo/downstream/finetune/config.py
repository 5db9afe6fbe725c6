"""Options of fine-tuning: the tables of TASK.toml."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from umzoo.config import Config, Seed
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
"""Defaults that differ from those of pre-training; docs/downstream.md explains how they were chosen."""


class CropConfig(Config):
    """Crops of scans, the input of the network."""

    patch_size: Size | None = Field(None, description="voxels (D, H, W) of a crop; by default that of the weights")
    spacing: Literal["native"] | tuple[Positive, Positive, Positive] | None = Field(
        None,
        description="voxel spacing in mm (D, H, W), or native for that of each scan; by default that of the weights",
    )
    batch_size: int = Field(2, ge=1, description="crops per step; survival compares persons within a batch")
    foreground: float = Field(0.67, ge=0, le=1, description="fraction of crops centered on a foreground voxel")
    view: Literal["center", "windows"] = Field(
        "center", description="prediction per scan: from one crop at its center or mask, or averaged over all windows"
    )
    jitter: float = Field(0.05, ge=0, le=0.5, description="maximum shift of a center crop, as a fraction of its size")
    overlap: float = Field(OVERLAP, ge=0, lt=1, description="overlap of neighboring windows in validation")
    dtype: Literal["float32", "float16"] = Field("float32", description="data type of the cached images")


class StrategyConfig(Config):
    """Trained parts and learning rates. Sawtooth and warm-up did best in the OpenMind study (arXiv 2412.17041)."""

    name: Literal["full", "warmup", "sawtooth", "frozen", "probe"] = Field(
        "full",
        description="full: train all; warmup: train all after a warm-up; sawtooth: train the head first, then all;"
        " frozen: keep the encoder frozen; probe: linear probe",
    )
    warmup: float = Field(
        0.1, ge=0, lt=1, description="fraction of the steps with a rising learning rate (not with full)"
    )
    frozen: float = Field(
        0.1, gt=0, lt=1, description="fraction of the steps in which sawtooth keeps the encoder frozen"
    )
    layer_decay: float = Field(
        1.0, gt=0, le=1, description="factor on the learning rate from each encoder stage to the next finer one"
    )
    head_rate: Positive = Field(10.0, description="factor on the learning rate of the randomly initialized head")
    class_weights: Literal["balanced", "none"] | tuple[Positive, ...] = Field(
        "none", description="weight of each class in the loss, in order; balanced: larger for rarer classes"
    )
    probe_rates: tuple[Positive, ...] = Field(
        (1e-4, 1e-3, 1e-2, 1e-1), min_length=1, description="learning rates of the probes; the best probe is kept"
    )
    validate_every: int | None = Field(None, ge=1, description="steps between validations; by default a tenth of all")
    checkpoint: Literal["best", "last"] = Field(
        "best", description="checkpoint that is kept: the best on the validation cases, or the last"
    )
    patience: int | None = Field(
        None, ge=1, description="validations without improvement before the training stops early"
    )

    def phases(self, steps: int, lr: float) -> FineTuning:
        """Return the schedule of the peak rate *lr* over *steps*, with ``frozen`` steps at the start."""
        frozen = {"frozen": steps, "probe": steps, "sawtooth": max(1, round(self.frozen * steps))}.get(self.name, 0)
        restart = self.name == "sawtooth" and frozen < steps
        shortest = min(frozen, steps - frozen) if restart else steps
        warmup = 0 if self.name in ("full", "probe") else round(self.warmup * shortest)
        return FineTuning(epochs=steps, iterations=1, lr=lr, warmup=warmup, frozen=frozen, restart=restart)


class AugmentationConfig(Config):
    """Random augmentation of crops, on the training device."""

    enabled: bool = Field(True, description="augment crops")
    law: Literal["light", "nnunet"] = Field(
        "light",
        description="light: the transforms below; nnunet: nnU-Net's default augmentation, mirrored only if flip is set",
    )
    flip: bool = Field(
        False, description="mirror each axis with probability 0.5; only if no label or target depends on orientation"
    )
    p: float = Field(
        0.3, ge=0, le=1, description="probability of rotation with scaling, of gamma, of noise and of brightness"
    )
    rotation: float = Field(15.0, ge=0, le=180, description="maximum angle about each axis, in degrees")
    scale: float = Field(0.15, ge=0, lt=1, description="maximum relative change of size")
    gamma: tuple[Positive, Positive] = Field((0.7, 1.5), description="minimum and maximum exponent")
    noise: float = Field(
        0.1, ge=0, description="maximum standard deviation of noise, as a fraction of the crop's intensity range"
    )
    brightness: float = Field(
        0.1, ge=0, description="maximum shift of intensity, as a fraction of the crop's intensity range"
    )


class HeadConfig(Config):
    """The head: ``levels`` is for segmentation, the other options for tasks with one prediction per scan."""

    levels: bool = Field(True, description="segment from the encoder levels in addition to the decoder's features")

    pooling: Pooling = Field(
        "mean", description="pooling of the coarsest level to one vector: mean, max, std, mean+max or octants"
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout rate before the last layer")


class FinetuneConfig(Config):
    """All options of a fine-tuning except the initial weights."""

    task: TaskConfig
    data: CropConfig = CropConfig()
    strategy: StrategyConfig = StrategyConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    head: HeadConfig = HeadConfig()
    optim: OptimConfig = OptimConfig.parse(OPTIM)
    trainer: TrainerConfig = TrainerConfig()
    backbone: ComponentSpec | None = Field(
        None, description='backbone for training without weights, such as { name = "unet" }'
    )
    labels: Labels = Field(
        "100%",
        description="training subjects whose labels are used: a number, or a percentage such as 25%; the seed selects"
        " them, and a small budget is a subset of every larger one",
    )
    seed: Seed = Field(0, description="seed of the head, folds, labels, crops and augmentation")

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
