"""Run checkpoints: folders that appear whole or not at all, and are checked before they are believed.

``checkpoints/step-00000500/`` holds ``state.pt`` (tensors and plain values, read like any untrusted file) and
``meta.json`` (step, format, sha256). A checkpoint is written under a temporary name, fsynced and renamed.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from umzoo.errors import CheckpointError, UmzooError, WeightsError, in_one_line
from umzoo.files import fsync, fsync_folder, json_table, read_text, sha256
from umzoo.weights.importers.pickled import read_pickled

FORMAT = 1
BEST = "best"
"""Name of the checkpoint with the best weights, which is kept beside the newest ones."""


def save_checkpoint(folder: Path, step: int, state: dict[str, Any], keep: int) -> Path:
    """Write *state* as ``folder/step-XXXXXXXX`` and remove all but the newest *keep* checkpoints.

    Raises:
        CheckpointError: if it cannot be written; what was there before stays.
    """
    final = _write(folder, f"step-{step:08d}", step, state)
    for old in _all(folder)[:-keep]:
        shutil.rmtree(old)
    return final


def save_best(folder: Path, state: dict[str, Any]) -> Path:
    """Write *state* as ``folder/best``, instead of an earlier one; it is never removed for being old.

    Raises:
        CheckpointError: if it cannot be written.
    """
    return _write(folder, BEST, state["step"], state)


def _write(folder: Path, name: str, step: int, state: dict[str, Any]) -> Path:
    final, temporary = folder / name, folder / f".writing-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for left_over in folder.glob(".writing-*"):
            shutil.rmtree(left_over)
        temporary.mkdir()
        torch.save(state, temporary / "state.pt")
        meta = {"format": FORMAT, "step": step, "sha256": sha256(temporary / "state.pt")}
        (temporary / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
        fsync_folder(temporary)
        if final.exists():
            shutil.rmtree(final)
        temporary.rename(final)
        fsync(folder)
    except (OSError, RuntimeError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        last = latest_checkpoint(folder)
        good = f"the last good one is {last.name}" if last else "there is no earlier one"
        raise CheckpointError(f"cannot write {final}: {error}; {good}; free some space, then resume") from error
    return final


def latest_checkpoint(folder: Path) -> Path | None:
    """Return the newest complete checkpoint under *folder*, or None."""
    found = _all(folder)
    return found[-1] if found else None


def step_of(path: Path) -> int:
    """Return the step of the checkpoint *path*, by its name."""
    return int(path.name.removeprefix("step-"))


def best_checkpoint(folder: Path) -> Path | None:
    """Return the checkpoint under *folder* that was kept as the best, or None."""
    return folder / BEST if (folder / BEST / "meta.json").is_file() else None


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read the state of checkpoint *path*, onto the CPU.

    Raises:
        CheckpointError: if it is damaged, with the checkpoint to go back to.
    """
    try:
        meta = json_table(read_text(path / "meta.json"), path / "meta.json")
        if type(meta.get("format")) is not int or not isinstance(meta.get("sha256"), str):
            raise ValueError("meta.json says no format and sha256")
        if meta["format"] > FORMAT:
            raise CheckpointError(f"{path} has checkpoint format {meta['format']}, this umzoo reads up to {FORMAT}")
        if sha256(path / "state.pt") != meta["sha256"]:
            raise ValueError("state.pt does not have the recorded sha256")
        state = read_pickled(path / "state.pt")
        _require_whole(state)
    except (OSError, ValueError, WeightsError) as error:
        raise _damaged(path, error) from error
    return dict(state)


@contextmanager
def fitting(path: Path) -> Iterator[None]:
    """Turn what is raised inside, where the state of checkpoint *path* is used, into an error in one line.

    Raises:
        CheckpointError: if the state is not that of the run.
    """
    try:
        yield
    except UmzooError:
        raise
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise _damaged(path, f"it does not fit the run: {type(error).__name__}: {error}") from error


def _require_whole(state: Any) -> None:
    """Refuse what no run writes; weights alone lack what only resuming needs."""
    if not isinstance(state, dict):
        raise ValueError(f"state.pt holds a {type(state).__name__}")
    if not isinstance(state.get("model"), dict) or type(state.get("step")) is not int or state["step"] < 0:
        raise ValueError("state.pt holds no model, or no step")


def _damaged(path: Path, reason: object) -> CheckpointError:
    earlier = [other for other in _all(path.parent) if other.name < path.name]
    remedy = f"remove it to continue from {earlier[-1].name}" if earlier else "there is no earlier one"
    return CheckpointError(f"checkpoint {path} is damaged ({in_one_line(reason, 200)}): {remedy}")


def _all(folder: Path) -> list[Path]:
    found = (path for path in folder.glob("step-*") if (path / "meta.json").is_file())
    return sorted(path for path in found if path.name.removeprefix("step-").isdecimal())
