"""Options of a study, its protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator
from typing_extensions import Self

from umzoo.config import Config, Seed
from umzoo.downstream.tasks.labels import Labels
from umzoo.downstream.tasks.load import read_toml
from umzoo.errors import ConfigError

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$")]


class ArmConfig(Config):
    """Initialization of a network: its own pre-training, given weights, or random if neither is given."""

    name: Name = Field(description="name of the arm; it names folders")
    recipe: str | None = Field(None, description="recipe of its pre-training: a file, or the name of a shipped one")
    overrides: tuple[str, ...] = Field((), description='overrides of the recipe, such as "trainer.steps=1000"')
    data: Path | None = Field(None, description="store to pre-train on; relative to STUDY.toml")
    seed: Seed | None = Field(
        None, description="seed of one pre-training for all seeds; by default each seed has its own pre-training"
    )
    finetune: tuple[str, ...] = Field(
        (), description='overrides of tasks for this arm only, such as "optim.lr=1e-3"; tune them on other subjects'
    )
    weights: str | None = Field(None, description="reference of weights, instead of a recipe")
    like: str | None = Field(
        None, description="for random initialization: arm whose architecture is used; by default the first with one"
    )

    @property
    def is_random(self) -> bool:
        """Whether the network is initialized randomly."""
        return self.recipe is None and self.weights is None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.recipe is not None and self.weights is not None:
            raise ValueError(f"arm '{self.name}' has both 'recipe' and 'weights': give one, or none for random values")
        if (self.recipe is None) != (self.data is None):
            raise ValueError(f"arm '{self.name}' needs both 'recipe' and 'data', the store it is pre-trained on")
        if self.like is not None and not self.is_random:
            raise ValueError(f"arm '{self.name}': 'like' is only for arms without 'recipe' and 'weights': remove it")
        return self


class StudyTask(Config):
    """A labeled task and the options of its fine-tuning, which are the same for all arms."""

    file: Path = Field(description="TASK.toml of 'umzoo finetune'; relative to STUDY.toml")
    name: Name | None = Field(None, description="name of the task; by default that of the file")
    overrides: tuple[str, ...] = Field((), description='overrides of its options, such as "trainer.steps=200"')
    folds: tuple[Seed, ...] = Field((), description="folds to validate on; by default the split of the data")

    @property
    def title(self) -> str:
        """Name of the task."""
        return self.name or self.file.stem


class StudyConfig(Config):
    """A study: arms, tasks, label budgets and seeds, and the question that it answers."""

    name: str = Field(description="title of the report")
    question: str = Field("", description="question of the study, shown in the report")
    yes: str = Field("", description="result that would answer the question with yes, shown in the report")
    control: str = Field(description="arm with which the others are compared")
    labels: tuple[Labels, ...] = Field(
        ("100%",), min_length=1, description='training subjects with labels: numbers, or percentages such as "25%"'
    )
    seeds: tuple[Seed, ...] = Field(
        (0,), min_length=1, description="seeds of pre-training, labeled subset, head and crops; the same for all arms"
    )
    arms: tuple[ArmConfig, ...] = Field(min_length=2, description="initializations to compare")
    tasks: tuple[StudyTask, ...] = Field(min_length=1, description="tasks to fine-tune on")

    @model_validator(mode="after")
    def _check(self) -> Self:
        for what, names in (("arms", self.names), ("tasks", tuple(task.title for task in self.tasks))):
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"two {what} are called '{twice[0]}'")
        for name in [self.control, *(arm.like for arm in self.arms if arm.like)]:
            if name not in self.names:
                raise ValueError(f"no arm '{name}' (arms: {', '.join(self.names)})")
        if all(arm.is_random for arm in self.arms):
            raise ValueError("no arm has a 'recipe' or 'weights': give one to at least one arm")
        for arm in self.arms:
            if arm.is_random and self.arm(arm.like or "").is_random:
                raise ValueError(f"arm '{arm.name}' is like '{arm.like}', which has no 'recipe' or 'weights'")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the arms."""
        return tuple(arm.name for arm in self.arms)

    def arm(self, name: str) -> ArmConfig:
        """Return the arm *name*; for an empty name, the first arm with a recipe or weights."""
        return next(arm for arm in self.arms if (arm.name == name if name else not arm.is_random))

    def task(self, name: str) -> StudyTask:
        """Return the task *name*."""
        return next(task for task in self.tasks if task.title == name)


def load_study(file: Path) -> StudyConfig:
    """Read STUDY.toml and make its paths absolute.

    Raises:
        ConfigError: if it cannot be read, a key or value is wrong, or a file of a task is missing.
    """
    config = StudyConfig.parse(read_toml(file))
    folder = file.resolve().parent
    tasks = tuple(task.model_copy(update={"file": folder / task.file}) for task in config.tasks)
    if missing := [str(task.file) for task in tasks if not task.file.is_file()]:
        raise ConfigError(f"task {missing[0]} does not exist: give 'file' relative to {file}")
    arms = tuple(
        arm.model_copy(update={"data": arm.data and folder / arm.data, "recipe": _recipe(arm.recipe, folder)})
        for arm in config.arms
    )
    return config.model_copy(update={"tasks": tasks, "arms": arms})


def _recipe(recipe: str | None, folder: Path) -> str | None:
    """Return the file *recipe* in *folder* if it exists, else *recipe* as the name of a shipped recipe."""
    return str(folder / recipe) if recipe and (folder / recipe).is_file() else recipe
