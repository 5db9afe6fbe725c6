"""Read a labeled task, and refuse what would make its numbers wrong."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from umzoo.data.reading.formats import stem_of
from umzoo.downstream.tasks.answers import class_names, read_targets
from umzoo.downstream.tasks.config import TaskConfig
from umzoo.downstream.tasks.rows import Row, Rows, join, read_folder, read_table
from umzoo.downstream.tasks.task import Case, Task
from umzoo.errors import ConfigError, DataError, nearest
from umzoo.overrides import apply_override

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found,unused-ignore]

SPLITS = {
    "train": "train",
    "training": "train",
    "tr": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "ts": "test",
    "": "",
}
"""Names of splits in tables."""


def load_task(path: Path | str, overrides: Sequence[str] = ()) -> Task:
    """Read the table ``[task]`` of the TOML file *path*, changed by *overrides* such as ``task.folds=3``, and its data.

    Raises:
        ConfigError: if the file or an option is wrong.
        DataError: if the data cannot be used; see :func:`make_task`.
    """
    path = Path(path)
    content = read_toml(path, overrides)
    if not isinstance(content.get("task"), dict):
        raise ConfigError(f"{path} has no table [task]: it needs one with 'kind' and 'data'")
    return make_task(TaskConfig.parse(content["task"], "task"), path)


def read_toml(path: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Return the tables of the TOML file *path*, changed by *overrides*.

    Raises:
        ConfigError: if there is no such file, it is not TOML, or an override leads to nothing.
    """
    try:
        content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"task {path} cannot be read: {error.strerror}: give a TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"task {path} is not TOML: {error}") from None
    for override in overrides:
        apply_override(content, override)
    return content


def make_task(config: TaskConfig, file: Path) -> Task:
    """Return the task of *config*, the options of the TOML *file*.

    Raises:
        DataError: if a column is not there, a file is missing, a case is listed twice, a person is in two folds or
            splits, an answer cannot be read, or nothing is left.
    """
    config = config.model_copy(update={"name": config.name or file.stem, "data": (file.parent / config.data).resolve()})
    rows = _read(config)
    _require_columns(config, rows)
    ids = _ids(config, rows)
    classes = class_names(config, rows)
    cases, left_out = [], rows.unlisted
    for id, row in zip(ids, rows.rows, strict=True):
        case = _case(config, rows, classes, id, row)
        left_out += case is None
        cases += [case] if case else []
    cases.sort(key=lambda case: case.id)
    _check(config, rows, cases)
    return Task(config, tuple(cases), tuple(classes.values()), left_out)


def _read(config: TaskConfig) -> Rows:
    if not config.data.exists():
        raise DataError(f"task.data {config.data} does not exist: give a folder with dataset.json, or a table")
    if config.data.is_file():
        return read_table(config.data)
    if config.table is None:
        return read_folder(config.data)
    table = read_table(config.data / config.table)
    if not config.images:
        return join(read_folder(config.data), table, config.key)
    described = read_folder(config.data) if (config.data / "dataset.json").is_file() else None
    return Rows(
        table.where,
        config.data,
        table.rows,
        described.classes if described else {},
        described.modality if described else (),
    )


def _require_columns(config: TaskConfig, rows: Rows) -> None:
    """Every column that is named must be there; those umzoo looks for by itself need not."""
    wanted = [*config.targets, *([] if config.images else config.image)]
    wanted += [config.label] if config.kind == "segmentation" else []
    wanted += [name for name in (config.mask, config.subject, config.split, config.fold) if name]
    rows.require(name for name in wanted if "{" not in name)


def _ids(config: TaskConfig, rows: Rows) -> list[str]:
    """The names of the cases: column *key* if there is one, else the images' own, with folders if they must."""
    if config.key in rows.columns:
        return [row[config.key] for row in rows.rows]
    images = [rows.path(row, _image_columns(config, rows)[0]) for row in rows.rows]
    stems = [stem_of(image) if image else "" for image in images]
    if len(set(stems)) == len(stems) or len(set(images)) < len(images):
        return stems
    parents = [image.relative_to(rows.folder).parent if image else Path() for image in images]
    return ["_".join((*parent.parts, stem)) for parent, stem in zip(parents, stems, strict=True)]


def _image_columns(config: TaskConfig, rows: Rows) -> tuple[str, ...]:
    """Columns or patterns of the images, one per channel; nnU-Net's further channels come by themselves."""
    if config.images:
        return config.images
    more = [name for name in rows.columns if name.startswith("image_") and name[6:].isdigit()]
    return (*config.image, *more) if config.image == ("image",) and rows.modality else config.image


def _case(config: TaskConfig, rows: Rows, classes: dict[str, str], id: str, row: Row) -> Case | None:
    """The case of *row*; None if it has no answer."""
    label = rows.path(row, config.label) if config.kind == "segmentation" else None
    targets = read_targets(config, rows, classes, id, row)
    if targets is None or (config.kind == "segmentation" and label is None):
        return None
    images = tuple(rows.path(row, column) for column in _image_columns(config, rows))
    if not id or None in images:
        raise DataError(f"{rows.where}: case '{id}' has no image: fill in {', '.join(_image_columns(config, rows))}")
    return Case(
        id,
        tuple(image for image in images if image),
        label,
        rows.path(row, config.mask) if config.mask else None,
        targets,
        row.get(config.subject or "subject", "") or id,
        _split(rows, id, row.get(config.split or "split", "")),
        row.get(config.fold or "fold", ""),
        config.modality or tuple(filter(None, (row.get("modality", "").lower(),))) or rows.modality,
    )


def _split(rows: Rows, id: str, name: str) -> str:
    if name.lower() not in SPLITS:
        hint = nearest(name.lower(), SPLITS)
        raise DataError(f"{rows.where}: case '{id}' has split '{name}'{hint}: give train, validation or test")
    return SPLITS[name.lower()]


def _check(config: TaskConfig, rows: Rows, cases: Sequence[Case]) -> None:
    if not cases:
        what = config.label if config.kind == "segmentation" else ", ".join(config.targets)
        raise DataError(f"{rows.where} has no case with an answer: every '{what}' is empty")
    for what, values in (("case", [case.id for case in cases]), ("image", [str(case.images) for case in cases])):
        twice = [value for value, count in Counter(values).items() if count > 1]
        if twice:
            first = next(case for case in cases if twice[0] in (case.id, str(case.images)))
            shown = first.id if what == "case" else first.images[0]
            raise DataError(f"{rows.where} lists {what} '{shown}' twice: list each scan once")
    _check_files(rows, cases)
    _check_persons(rows, cases)


def _check_files(rows: Rows, cases: Sequence[Case]) -> None:
    files = {
        "images": [file for case in cases for file in case.images],
        "label maps": [case.label for case in cases if case.label],
        "masks": [case.mask for case in cases if case.mask],
    }
    for what, paths in files.items():
        missing = [path for path in paths if not path.exists()]
        if missing:
            raise DataError(
                f"{rows.where}: {len(missing)} of {len(paths)} {what} do not exist, the first is {missing[0]}"
            )


def _check_persons(rows: Rows, cases: Sequence[Case]) -> None:
    for what in ("split", "fold"):
        seen: dict[str, str] = {}
        for case in cases:
            name = getattr(case, what)
            if seen.setdefault(case.subject, name) != name:
                raise DataError(
                    f"{rows.where}: subject '{case.subject}' is in {what} '{seen[case.subject]}' and in '{name}':"
                    " all scans of one person belong together, or the numbers are too good"
                )
    if any(case.fold for case in cases):
        lacking = [case.id for case in cases if not case.fold and case.split != "test"]
        if lacking:
            raise DataError(f"{rows.where}: {len(lacking)} cases have no fold, the first is '{lacking[0]}'")
