"""Recipes: TOML files with all options of a pre-training. An unknown key is an error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import tomli_w
from pydantic import Field

from umzoo.config import Config, Seed
from umzoo.data.loading.config import DataConfig
from umzoo.errors import ConfigError
from umzoo.files import read_text, toml_table
from umzoo.overrides import apply_overrides
from umzoo.spec import ComponentSpec, TaskSpec


class PretextConfig(Config):
    """Corruptions of the input, and pretext tasks."""

    corruptions: tuple[ComponentSpec, ...] = Field((), description="corruptions of the shared view, in order")
    tasks: tuple[TaskSpec, ...] = Field(min_length=1, description="pretext tasks and their weights")


class OptimConfig(Config):
    """Optimizer and learning rate schedule, both from timm."""

    name: str = Field("adamw", description="name of an optimizer in timm's create_optimizer_v2")
    lr: float = Field(3e-4, gt=0, description="peak learning rate")
    weight_decay: float = Field(1e-5, ge=0, description="weight decay (not on biases and norms)")
    momentum: float = Field(
        0.9, ge=0, lt=1, description="momentum, for optimizers that have one; those with betas use timm's defaults"
    )
    schedule: Literal["cosine", "poly", "constant"] = Field(
        "cosine", description="learning rate schedule after warm-up"
    )
    warmup_steps: int = Field(0, ge=0, description="steps of linear warm-up")
    clip: float | None = Field(1.0, gt=0, description="maximum norm of the gradient")


class TrainerConfig(Config):
    """Length and precision of the training, and intervals of its outputs."""

    steps: int = Field(1000, ge=1, description="optimizer steps")
    precision: Literal["fp32", "bf16", "fp16"] = Field("fp32", description="precision of forward and backward")
    accumulate: int = Field(1, ge=1, description="batches per optimizer step")
    compile: bool = Field(False, description="torch.compile the backbone")
    channels_last: bool = Field(False, description="channels-last-3d memory format")
    activation_checkpointing: bool = Field(
        False,
        description="activation checkpointing of the backbone's blocks: less memory, but slower",
    )
    shard: bool = Field(
        False, description="shard weights, gradients and optimizer over all processes (FSDP2), for large networks"
    )
    ema: float = Field(0.0, ge=0, lt=1, description="decay of the moving average (EMA) of the weights; 0 is off")
    checkpoint_every: int = Field(500, ge=1, description="steps between checkpoints")
    keep: int = Field(2, ge=1, description="number of newest checkpoints to keep")
    log_every: int = Field(10, ge=1, description="steps between log lines")
    picture_every: int = Field(500, ge=1, description="steps between pictures")
    probe_every: int = Field(
        500, ge=1, description="steps between probes of the features: their health, and a linear probe of the modality"
    )
    probe_volumes: int = Field(128, ge=2, description="crops per probe")
    probe_task: str = Field(
        "",
        description="TASK.toml of a labeled task on which frozen features are evaluated at the same steps; the best"
        " checkpoint is kept for export --best",
    )
    trackers: tuple[str, ...] = Field(
        (), description="trackers besides TensorBoard, by Accelerate's names: wandb, mlflow, comet_ml, ..."
    )
    nan_patience: int = Field(5, ge=1, description="consecutive steps with a non-finite loss before the run stops")


class Recipe(Config):
    """All options of a pre-training run except the data."""

    name: str = Field("custom", description="tag of the weights, which are called architecture.tag")
    seed: Seed = Field(0, description="seed of weights, sampling and corruptions")
    backbone: ComponentSpec = Field(description="backbone and its options")
    pretext: PretextConfig
    data: DataConfig = DataConfig()
    optim: OptimConfig = OptimConfig()
    trainer: TrainerConfig = TrainerConfig()


def load_recipe(path: Path | str, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe and apply *overrides* such as ``"trainer.steps=100"``.

    *path* may be a file, or the name of a shipped recipe (``"universal_tiny"``).

    Raises:
        ConfigError: if the file cannot be read, or a key or value is wrong.
    """
    source = find_recipe(path)
    table = toml_table(read_text(source), source)
    apply_overrides(table, overrides)
    return Recipe.parse(table)


def find_recipe(path: Path | str) -> Path:
    """Return the file of *path*, which is a path or the name of a shipped recipe.

    Raises:
        ConfigError: if there is no such file.
    """
    if (file := Path(path)).is_file():
        return file
    shipped = shipped_recipes()
    if (found := shipped.get(str(path))) is None:
        raise ConfigError(f"no recipe '{path}': give a .toml file or one of {', '.join(shipped)}")
    return found


def shipped_recipes() -> dict[str, Path]:
    """Return the shipped recipes by name."""
    folders = (Path(__file__).parents[1] / "recipes", Path(__file__).parents[2] / "recipes")
    return {file.stem: file for folder in folders for file in sorted(folder.glob("*.toml"))}


def dump_recipe(recipe: Recipe) -> str:
    """Return the resolved *recipe* as TOML, including defaults."""
    return tomli_w.dumps(_without_none(recipe.model_dump(mode="json", by_alias=True)))


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    return [_without_none(item) for item in value] if isinstance(value, list) else value
