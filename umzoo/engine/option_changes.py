"""Options that may change when a run is resumed: those of length and speed, not of the learned representation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from umzoo.data.store.remote import located
from umzoo.engine.recipe import Recipe, dump_recipe, load_recipe
from umzoo.errors import ConfigError
from umzoo.files import json_table, read_text, replace_text

if TYPE_CHECKING:
    from umzoo.engine.run import Run

OPEN = ("optim", "trainer")
"""Tables of a recipe whose options may change."""
FIXED = {
    "optim.name": "checkpoints hold the state of the original optimizer",
    "trainer.ema": "it determines which weights are exported",
}
"""Options of these tables that may not change, with reasons."""


@dataclass(frozen=True)
class Change:
    """A changed option: its dotted key, and its values before and after."""

    key: str
    before: Any
    after: Any


def with_changes(run: Run, overrides: Sequence[str]) -> Run:
    """Return *run* with *overrides* such as ``"optim.lr=1e-4"`` in its recipe, without writing it.

    Raises:
        ConfigError: if a key is unknown, a value is wrong, or an option may not change.
    """
    for override in overrides:
        _check(override.partition("=")[0].strip())
    recipe = load_recipe(run.folder / "recipe.toml", overrides)
    return replace(run, recipe=recipe, changes=tuple(_differences(run.recipe, recipe)))


def _check(key: str) -> None:
    if key in FIXED:
        raise ConfigError(f"'{key}' cannot change in a resumed run: {FIXED[key]}; start a new run")
    table, _, option = key.partition(".")
    if table not in OPEN or not option:
        raise ConfigError(
            f"'{key}' cannot change in a resumed run: only options of {' and '.join(OPEN)} can, such as optim.lr=1e-4"
            " or trainer.steps=2000; start a new run"
        )


def _differences(old: Recipe, new: Recipe) -> list[Change]:
    found = []
    for table in OPEN:
        before, after = (getattr(recipe, table).model_dump(mode="json") for recipe in (old, new))
        found += [Change(f"{table}.{key}", before[key], after[key]) for key in after if before[key] != after[key]]
    return found


def record_changes(run: Run, step: int) -> None:
    """Record the changes of *run* at *step*: the new recipe, the location of the data, and each changed option."""
    file = run.folder / "run.json"
    before = json_table(read_text(file), file)
    content = {**before, "data": located(run.data)}
    if run.changes:
        earlier = before.get("changes")
        content["changes"] = [
            *(earlier if isinstance(earlier, list) else []),
            *({"step": step, **asdict(it)} for it in run.changes),
        ]
    if content != before:
        replace_text(file, json.dumps(content))
    if run.changes:
        replace_text(run.folder / "recipe.toml", dump_recipe(run.recipe))
