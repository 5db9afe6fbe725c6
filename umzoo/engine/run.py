"""A run's folder.

It holds ``recipe.toml`` (resolved), ``run.json`` (where the data is, and which options changed at which step),
``start.json`` and ``umzoo_transfer.json`` (the weights it began with, if any, and what became of each tensor),
checkpoints, metrics and pictures.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from umzoo.data.loading.open_store import open_store
from umzoo.data.store.reader import Store
from umzoo.data.store.remote import as_url, located
from umzoo.engine.checkpoint import BEST, best_checkpoint, latest_checkpoint, step_of
from umzoo.engine.failure import FAILED, has_failed
from umzoo.engine.initial_weights import Start
from umzoo.engine.lock import LOCK
from umzoo.engine.option_changes import Change, with_changes
from umzoo.engine.recipe import Recipe, dump_recipe, load_recipe
from umzoo.engine.run_plugins import plugins_of, require_plugins
from umzoo.errors import ConfigError, DataError
from umzoo.files import json_table, read_text, refuse_links
from umzoo.weights.transfer.saved_report import REPORT, save_report

START, PROBE = "start.json", "probe"
MADE = frozenset(
    {"recipe.toml", "run.json", START, REPORT, FAILED, PROBE, "checkpoints", "metrics.jsonl", "metrics.tmp", "pictures"}
    | {"tensorboard"}
)
"""Names of files and folders that a run writes into its folder."""


@dataclass(frozen=True)
class Run:
    """A pre-training run on disk. ``run.json`` holds the local path of the data and is never exported.

    Attributes:
        folder: the run's folder.
        recipe: the resolved recipe.
        data: path of the store.
        volumes: ids of the volumes of the run, or None for all of the store.
        start: initial weights, or None for random initialization.
        changes: options that changed since it was last resumed.
        overwrite: whether a new run may replace another run and its checkpoints in the folder.
    """

    folder: Path
    recipe: Recipe
    data: Path
    volumes: tuple[str, ...] | None = None
    start: Start | None = None
    changes: tuple[Change, ...] = ()
    overwrite: bool = False

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.folder / "checkpoints"

    @property
    def pictures(self) -> Path:
        """Folder of the pictures."""
        return self.folder / "pictures"

    def require_empty(self) -> None:
        """Check that a new run may be written into the folder.

        A run that failed before its first checkpoint is replaced, other runs only with ``overwrite``.

        Raises:
            ConfigError: if the folder holds something else.
        """
        found = {path.name for path in self.folder.iterdir()} - {LOCK} if self.folder.is_dir() else set()
        if not found:
            return
        if not is_run(self.folder):
            raise ConfigError(f"{self.folder} is not empty: choose another --out")
        if foreign := sorted(found - MADE):
            raise ConfigError(
                f"{self.folder} holds files that no run wrote ({', '.join(foreign)}): choose another --out,"
                f" or continue the run with 'umzoo pretrain --resume {self.folder}'"
            )
        failed = has_failed(self.folder) and not has_checkpoint(self.folder)
        if not failed and not self.overwrite:
            raise ConfigError(
                f"{self.folder} is not empty: continue it with 'umzoo pretrain --resume {self.folder}', choose another"
                " --out, or replace it with --overwrite"
            )

    def begin(self, volumes: tuple[str, ...], start: Start | None = None) -> None:
        """Write the folder of a new run on *volumes*, with the record *start* of its initial weights.

        Raises:
            ConfigError: if the folder already holds something.
        """
        self.require_empty()
        if self.folder.is_dir():
            _remove(self.folder)
        self.pictures.mkdir(parents=True)
        (self.folder / "recipe.toml").write_text(dump_recipe(self.recipe), encoding="utf-8")
        content = {"data": located(self.data), "volumes": volumes, "plugins": plugins_of(self.recipe)}
        (self.folder / "run.json").write_text(json.dumps(content), encoding="utf-8")
        if start is not None:
            (self.folder / START).write_text(start.model_dump_json(indent=2), encoding="utf-8")
            if start.report is not None:
                save_report(start.report, self.folder)


def is_run(folder: Path) -> bool:
    """Return whether *folder* holds a run."""
    return (folder / "run.json").is_file() and (folder / "recipe.toml").is_file()


def has_checkpoint(folder: Path) -> bool:
    """Return whether the run in *folder* has a checkpoint of any kind."""
    checkpoints = folder / "checkpoints"
    return latest_checkpoint(checkpoints) is not None or (checkpoints / BEST).exists()


def _remove(folder: Path) -> None:
    """Remove the files of a run from *folder*; the files that mark it as a run are removed last."""
    for name in sorted(MADE, key=lambda name: name in ("run.json", "recipe.toml")):
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def open_run(folder: Path, data: Path | None = None, overrides: Sequence[str] = ()) -> Run:
    """Open the run in *folder*.

    Args:
        folder: the run's folder.
        data: new path of a store that has moved.
        overrides: changed options, such as ``"trainer.steps=2000"``; recorded when the run is resumed.

    Raises:
        ConfigError: if *folder* is not a run, is damaged, has links to other folders, or an option cannot change.
        PluginError: if the package of a component is not installed.
    """
    if not is_run(folder):
        raise ConfigError(
            f"{folder} is not a run (no run.json and recipe.toml): start one with 'umzoo pretrain RECIPE'"
        )
    refuse_links(folder)
    data_path, volumes = _data(folder / "run.json")
    known = folder / START
    start = Start.parse(json_table(read_text(known), known), START) if known.is_file() else None
    recipe = load_recipe(folder / "recipe.toml")
    _require_plugins(folder, recipe)
    run = Run(folder, recipe, data or data_path, volumes, start)
    return with_changes(run, overrides)


def _require_plugins(folder: Path, recipe: Recipe) -> None:
    """Raise PluginError if a package with a component of the run in *folder* is not installed."""
    packages = json_table(read_text(folder / "run.json"), folder / "run.json").get("plugins", {})
    if not isinstance(packages, dict) or not all(isinstance(version, str) for version in packages.values()):
        raise ConfigError(f"{folder / 'run.json'} is damaged: expected 'plugins' to be packages and their versions")
    require_plugins(recipe, packages, f"the run in {folder}")


def _data(file: Path) -> tuple[Path, tuple[str, ...] | None]:
    """Return the path of the store and the volumes in *file*."""
    content = json_table(read_text(file), file)
    data, volumes = content.get("data"), content.get("volumes")
    listed = volumes is None or (isinstance(volumes, list) and all(isinstance(name, str) for name in volumes))
    if not isinstance(data, str) or not data or "\0" in data or not listed:
        raise ConfigError(f"{file} is damaged: expected the path of the data, and a list of volumes")
    return Path(data), None if volumes is None else tuple(volumes)


def open_data(run: Run) -> Store:
    """Open the store of *run*, with the volumes from its start.

    Raises:
        DataError: if it does not exist any more, or cannot be read.
    """
    if run.volumes is not None and as_url(run.data) is None and not run.data.exists():
        raise DataError(
            f"the store of {run.folder} is not at {run.data}: if it has moved, give its new path with"
            f" 'umzoo pretrain --resume {run.folder} --data STORE'"
        )
    return open_store(run.data, only=run.volumes)


def finished(run: Run) -> bool:
    """Return whether the newest checkpoint of *run* is that of its last step.

    Raises:
        ConfigError: if ``trainer.steps`` is less than the number of finished steps.
    """
    if (newest := latest_checkpoint(run.checkpoints)) is None:
        return False
    step, steps = step_of(newest), run.recipe.trainer.steps
    if step > steps:
        raise ConfigError(f"trainer.steps={steps} is less than the {step} steps that {run.folder} has finished")
    return step == steps


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


def best_state(run: Run) -> Path:
    """Return the best checkpoint of *run* by ``trainer.probe_task``.

    Raises:
        ConfigError: if there is none.
    """
    if (found := best_checkpoint(run.checkpoints)) is None:
        raise ConfigError(
            f"{run.folder} has no best checkpoint, which needs a labeled task as trainer.probe_task in the recipe:"
            " leave out --best to export the newest"
        )
    return found
