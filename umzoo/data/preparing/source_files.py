"""The files of the sources of the command line: of folders, manifests and single scans."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from umzoo.data.preparing import manifest
from umzoo.data.preparing.dataset_layouts import DataSet, describe_folder
from umzoo.data.preparing.discovered import File, Found
from umzoo.data.reading.regular_files import oddity
from umzoo.errors import DataError


def all_files(sources: Sequence[str], found: Found) -> list[File]:
    """The files of all *sources*; a manifest that cannot be read is reported, and the others are read."""
    files: list[File] = []
    broken: list[DataError] = []
    for source in sources:
        path, _ = named_source(source)
        if not path.is_dir() and oddity(path):
            expected = "expected a folder, a scan or a manifest (.csv, .jsonl)"
            what = "does not exist" if not os.path.lexists(path) else f"cannot be read ({oddity(path)})"
            raise DataError(f"source '{source}' {what}: {expected}")
        try:
            files += _files(source, found)
        except DataError as error:
            broken.append(error)
            found.refuse(path.name, str(error).replace(str(path), path.name))
    if broken and not files and len(found.refused) == len(broken):
        raise broken[0]
    return files


def _files(source: str, found: Found) -> Iterator[File]:
    path, given = named_source(source)
    if path.is_file() and path.suffix.lower() in manifest.SUFFIXES:
        for row in manifest.read_manifest(path):
            data = DataSet(given or path.stem, named=bool(given))
            listed = list(_walk(row.path, data, found)) if _is_folder(row.path) else [(row.path, data)]
            yield from (File(file, _relative(file, path.parent), data, row) for file, data in listed)
    elif path.is_file():
        data = DataSet(given, named=True) if given else _outer(path.parent, found)
        yield File(path, path.name, data)
    else:
        for file, data in _walk(path, DataSet(given, named=True) if given else _outer(path, found), found):
            yield File(file, f"{path.name}/{_relative(file, path)}", data)


def _is_folder(path: Path) -> bool:
    """Whether *path* is a folder; False for invalid names."""
    try:
        return path.is_dir()
    except OSError:
        return False


def named_source(source: str) -> tuple[Path, str]:
    """Path and given name of ``PATH`` or ``NAME=PATH``."""
    name, separator, path = source.partition("=")
    if separator and name and not Path(source).exists():
        return _real(path), name
    return _real(source), ""


def _real(path: str) -> Path:
    """*path* with links resolved; a link to itself is returned unchanged."""
    return Path(os.path.realpath(Path(path).expanduser()))


def _outer(folder: Path, found: Found) -> DataSet:
    """The data set that *folder* is, or is a part of (such as ``imagesTr``); otherwise one named like the folder."""
    return _described(folder, found) or _described(folder.parent, found) or DataSet(folder.name or "data")


def _described(folder: Path, found: Found) -> DataSet | None:
    """The data set described by files in *folder*; None, reported once, if its description cannot be read."""
    try:
        return describe_folder(folder)
    except DataError as error:
        name = f"{folder.name}/{'dataset.json' if 'dataset.json' in str(error) else 'dataset_description.json'}"
        if all(outcome.name != name for outcome in found.refused):
            found.refuse(name, f"{str(error).replace(str(folder), folder.name)}; the folder is read without it")
        return None


def _relative(path: Path, root: Path) -> str:
    return Path(os.path.relpath(path, root)).as_posix()


def _walk(root: Path, data: DataSet, found: Found) -> Iterator[tuple[Path, DataSet]]:
    """Files below *root* in order, each with its data set; hidden files are counted, links are followed once."""

    def unreadable(error: OSError) -> None:
        folder = f"{root.name}/{_relative(Path(error.filename), root)}".removesuffix("/.")
        why = error.strerror or type(error).__name__
        found.refuse(folder, f"the folder cannot be read ({why}): make it readable", data.name)

    contexts, visited = {root: data}, set()
    for folder, folders, files in os.walk(root, followlinks=True, onerror=unreadable):
        here = Path(folder)
        real = here.resolve()
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        context = _described(here, found) or contexts.get(here) or contexts[here.parent]
        contexts[here] = replace(context, name=data.name, named=True) if data.named else context
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name.startswith("."):
                found.ignored["hidden"] += 1
            else:
                yield here / name, contexts[here]
