"""A run's folder.

It holds ``recipe.toml`` (resolved), ``run.json`` (where the data is), ``start.json`` (the weights it began with, if
any), checkpoints, metrics and pictures.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from umzoo.engine.checkpoint import latest_checkpoint
from umzoo.engine.recipe import Recipe, dump_recipe, load_recipe
from umzoo.engine.start import Start
from umzoo.errors import ConfigError

START = "start.json"


@dataclass(frozen=True)
class Run:
    """A pre-training run on disk. ``run.json`` stays on the machine: it holds the path of the data.

    Attributes:
        folder: the run's folder.
        recipe: the resolved recipe.
        data: path of the store.
        volumes: ids of the volumes the run began with, or None for all of the store.
        start: the weights it began with, or None for random ones.
    """

    folder: Path
    recipe: Recipe
    data: Path
    volumes: tuple[str, ...] | None = None
    start: Start | None = None

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.folder / "checkpoints"

    @property
    def pictures(self) -> Path:
        """Folder of the pictures."""
        return self.folder / "pictures"

    def require_empty(self) -> None:
        """Make sure that nothing is lost by writing here.

        Raises:
            ConfigError: if the folder already holds something.
        """
        if self.folder.is_dir() and any(self.folder.iterdir()):
            remedy = f"continue it with 'umzoo pretrain --resume {self.folder}', or " if is_run(self.folder) else ""
            raise ConfigError(f"{self.folder} is not empty: {remedy}choose another --out")

    def begin(self, volumes: tuple[str, ...], start: Start | None = None) -> None:
        """Write the folder of a new run over *volumes*, from the weights that *start* tells of.

        Raises:
            ConfigError: if the folder already holds something.
        """
        self.require_empty()
        self.pictures.mkdir(parents=True)
        (self.folder / "recipe.toml").write_text(dump_recipe(self.recipe), encoding="utf-8")
        content = {"data": str(self.data.resolve()), "volumes": volumes}
        (self.folder / "run.json").write_text(json.dumps(content), encoding="utf-8")
        if start is not None:
            (self.folder / START).write_text(start.model_dump_json(indent=2), encoding="utf-8")


def is_run(folder: Path) -> bool:
    """Whether *folder* holds a run."""
    return (folder / "run.json").is_file() and (folder / "recipe.toml").is_file()


def open_run(folder: Path, data: Path | None = None) -> Run:
    """Open the run in *folder*; *data* replaces the path of a store that has moved.

    Raises:
        ConfigError: if *folder* is not a run.
    """
    if not is_run(folder):
        raise ConfigError(
            f"{folder} is not a run (no run.json and recipe.toml): begin one with 'umzoo pretrain RECIPE'"
        )
    content = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    known = folder / START
    start = Start.parse(json.loads(known.read_text(encoding="utf-8")), START) if known.is_file() else None
    recipe = load_recipe(folder / "recipe.toml")
    return Run(folder, recipe, data or Path(content["data"]), tuple(content["volumes"]), start)


def newest_state(run: Run) -> Path:
    """Return the newest checkpoint of *run*.

    Raises:
        ConfigError: if there is none yet.
    """
    if (found := latest_checkpoint(run.checkpoints)) is None:
        raise ConfigError(
            f"{run.folder} has no checkpoint yet: continue it with 'umzoo pretrain --resume {run.folder}'"
        )
    return found
