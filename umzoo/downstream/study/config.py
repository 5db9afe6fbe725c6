"""Options of a study: the protocol, written down before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator
from typing_extensions import Self

from umzoo.config import Config
from umzoo.downstream.tasks.labels import Labels
from umzoo.downstream.tasks.load import read_toml
from umzoo.errors import ConfigError

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]*$")]
Seed = Annotated[int, Field(ge=0)]


class ArmConfig(Config):
    """What a network begins with: a pre-training of its own, weights, or random values where neither is given."""

    name: Name = Field(description="name of the arm; it names folders")
    recipe: str | None = Field(None, description="recipe of its pre-training: a file, or the name of a shipped one")
    overrides: tuple[str, ...] = Field((), description='changes to the recipe, such as "trainer.steps=1000"')
    data: Path | None = Field(None, description="store that it is pre-trained on; relative to STUDY.toml")
    seed: Seed | None = Field(
        None, description="of its one pre-training, which all seeds share; by default each seed has its own"
    )
    finetune: tuple[str, ...] = Field(
        (), description='changes to tasks for this arm alone, such as "optim.lr=1e-3"; choose them on other subjects'
    )
    weights: str | None = Field(None, description="reference of weights, instead of a recipe")
    like: str | None = Field(
        None, description="of random values: the arm whose network and input it has; by default the first that has one"
    )

    @property
    def is_random(self) -> bool:
        """Whether it begins with random values."""
        return self.recipe is None and self.weights is None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.recipe is not None and self.weights is not None:
            raise ValueError(f"arm '{self.name}' has both 'recipe' and 'weights': give one, or none for random values")
        if (self.recipe is None) != (self.data is None):
            raise ValueError(f"arm '{self.name}' needs both 'recipe' and 'data', the store it is pre-trained on")
        if self.like is not None and not self.is_random:
            raise ValueError(f"arm '{self.name}': 'like' is for arms that begin with random values")
        return self


class StudyTask(Config):
    """A labeled task, and how it is fine-tuned on, the same for all arms."""

    file: Path = Field(description="TASK.toml of 'umzoo finetune'; relative to STUDY.toml")
    name: Name | None = Field(None, description="name of the task; by default that of the file")
    overrides: tuple[str, ...] = Field((), description='changes to it, such as "trainer.steps=200"')
    folds: tuple[Seed, ...] = Field((), description="folds to validate on; by default the split of the data")

    @property
    def title(self) -> str:
        """Its name."""
        return self.name or self.file.stem


class StudyConfig(Config):
    """Arms x tasks x label budgets x seeds, and what would count as a yes."""

    name: str = Field(description="title of the page")
    question: str = Field("", description="what is asked; it stands on the page")
    yes: str = Field("", description="what would count as a yes; it stands on the page")
    control: str = Field(description="arm that the others are compared with")
    labels: tuple[Labels, ...] = Field(
        ("100%",), min_length=1, description='training subjects with labels: numbers, or shares such as "25%"'
    )
    seeds: tuple[Seed, ...] = Field(
        (0,), min_length=1, description="of pre-training, drawing of labels, head, crops; shared by the arms"
    )
    arms: tuple[ArmConfig, ...] = Field(min_length=2, description="what networks begin with")
    tasks: tuple[StudyTask, ...] = Field(min_length=1, description="what they are fine-tuned on")

    @model_validator(mode="after")
    def _check(self) -> Self:
        for what, names in (("arms", self.names), ("tasks", tuple(task.title for task in self.tasks))):
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"two {what} are called '{twice[0]}'")
        for name in [self.control, *(arm.like for arm in self.arms if arm.like)]:
            if name not in self.names:
                raise ValueError(f"no arm '{name}' (arms: {', '.join(self.names)})")
        if all(arm.is_random for arm in self.arms):
            raise ValueError("no arm has a 'recipe' or 'weights': a study compares with at least one that has")
        for arm in self.arms:
            if arm.is_random and self.arm(arm.like or "").is_random:
                raise ValueError(f"arm '{arm.name}' is like '{arm.like}', which has no network of its own")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the arms."""
        return tuple(arm.name for arm in self.arms)

    def arm(self, name: str) -> ArmConfig:
        """Return the arm *name*; of an empty name, the first that has a network."""
        return next(arm for arm in self.arms if (arm.name == name if name else not arm.is_random))

    def task(self, name: str) -> StudyTask:
        """Return the task *name*."""
        return next(task for task in self.tasks if task.title == name)


def load_study(file: Path) -> StudyConfig:
    """Read STUDY.toml; paths in it become absolute.

    Raises:
        ConfigError: if it cannot be read, a key or value is wrong, or a file it names is not there.
    """
    config = StudyConfig.parse(read_toml(file))
    folder = file.resolve().parent
    tasks = tuple(task.model_copy(update={"file": folder / task.file}) for task in config.tasks)
    if missing := [str(task.file) for task in tasks if not task.file.is_file()]:
        raise ConfigError(f"task {missing[0]} is not there: 'file' is relative to {file}")
    arms = tuple(
        arm.model_copy(update={"data": arm.data and folder / arm.data, "recipe": _recipe(arm.recipe, folder)})
        for arm in config.arms
    )
    return config.model_copy(update={"tasks": tasks, "arms": arms})


def _recipe(recipe: str | None, folder: Path) -> str | None:
    """The file *recipe* in *folder* where there is one, or else the name of a shipped recipe."""
    return str(folder / recipe) if recipe and (folder / recipe).is_file() else recipe
