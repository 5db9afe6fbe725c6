"""Writes ``docs/recipes.md`` from the options' own classes: ``python docs/generate.py``. A test keeps it true."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic_core import PydanticUndefined

from umzoo.config import Config
from umzoo.data.config import DataConfig
from umzoo.engine.recipe import OptimConfig, PretextConfig, Recipe, TrainerConfig
from umzoo.plugins import load_zoo
from umzoo.registry import Registry
from umzoo.spec import TaskSpec

FILE = Path(__file__).parent / "recipes.md"

INTRODUCTION = """\
# Recipes

<!-- Written by docs/generate.py from the classes themselves: change those, then run it. -->

A recipe is a TOML file that says what is trained, on what, and how. `umzoo pretrain RECIPE --data STORE --out RUN`
takes a file or the name of a shipped recipe: `universal` (ResEnc-L, bf16), `universal_genesis` (the U-Net and
sub-volumes of Models Genesis) or `universal_tiny` (minutes on two CPU cores). Any key can be changed on the command
line:

```
umzoo pretrain universal_tiny --data STORE --out RUN trainer.steps=200 pretext.tasks.restoration.weight=2
```

An element of a list is named by its position, its `as` or its `name`. An unknown key is an error that names the nearest
one. `RUN/recipe.toml` is the recipe with every default written out. A default of `none` means that the option
is off, or follows from others as its meaning says; `required` means that it must be given.
"""


def render() -> str:
    """Return the whole page."""
    return "\n".join([INTRODUCTION, *_tables(), *_components()])


def _tables() -> Iterator[str]:
    yield from _section("Top level", "", Recipe, skip=("backbone", "pretext", "data", "optim", "trainer"))
    yield "`[backbone]` holds `name` and the options of that backbone, see below.\n"
    yield from _section("`[pretext]`", "", PretextConfig)
    yield from _section("Entries of `pretext.tasks`", "Beside these, the options of the task.", TaskSpec)
    for title, config in (("`[data]`", DataConfig), ("`[optim]`", OptimConfig), ("`[trainer]`", TrainerConfig)):
        yield from _section(title, _first_line(config), config)


def _components() -> Iterator[str]:
    zoo = load_zoo([])
    for title, registry in (
        ("Backbones", zoo.backbones),
        ("Corruptions", zoo.corruptions),
        ("Pretext tasks", zoo.pretext_tasks),
        ("Heads", zoo.heads),
    ):
        yield f"## {title}\n"
        for names in _alike(registry):
            heading = ", ".join(f"`{name}`" for name in names)
            lines = [_first_line(registry[name]) for name in names]
            text = (
                lines[0]
                if len(names) == 1
                else "\n".join(f"- `{n}`: {line}" for n, line in zip(names, lines, strict=True))
            )
            yield from _section(heading, text, registry[names[0]].Config, level=3)


def _alike(registry: Registry[Any]) -> list[list[str]]:
    """Names of *registry*, those with the very same options together."""
    groups: dict[str, list[str]] = {}
    for name in registry:
        options = "".join(_rows(registry[name].Config))
        groups.setdefault(options or name, []).append(name)
    return list(groups.values())


def _section(title: str, text: str, config: type[Config], skip: tuple[str, ...] = (), level: int = 2) -> Iterator[str]:
    yield f"{'#' * level} {title}\n"
    if text:
        yield f"{text}\n"
    if rows := list(_rows(config, skip)):
        yield from ("| option | default | meaning |\n| --- | --- | --- |", *rows, "")


def _rows(config: type[Config], skip: tuple[str, ...] = ()) -> Iterator[str]:
    for name, field in config.model_fields.items():
        if name not in skip:
            yield f"| `{field.alias or name}` | {_default(field)} | {_meaning(field)} |"


def _first_line(thing: type) -> str:
    return inspect.cleandoc(thing.__doc__ or "").split("\n\n")[0].replace("\n", " ").replace("``", "`")


def _default(field: Any) -> str:
    default = field.get_default(call_default_factory=True)
    if default is PydanticUndefined:
        return "required"
    return "none" if default is None else f"`{json.dumps(default)}`"


def _meaning(field: Any) -> str:
    text = (field.description or "").replace("|", "\\|")
    if get_origin(field.annotation) is Literal:
        text += f" ({', '.join(f'`{choice}`' for choice in get_args(field.annotation))})"
    return text


if __name__ == "__main__":
    FILE.write_text(render(), encoding="utf-8")
