"""Reads untrusted JSON. Ambiguous content and links out of the folder are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from umzoo.errors import WeightsError
from umzoo.files import is_lfs_pointer, is_shallow

MAX_DEPTH = 32


def strict_json(content: bytes) -> Any:
    """Return the value of the JSON document *content*.

    Raises:
        ValueError: if it is not UTF-8 JSON, has a duplicate key, NaN or infinity, or is nested deeper than
            ``MAX_DEPTH``.
    """
    try:
        value = json.loads(content.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels") from None
    if not is_shallow(value, MAX_DEPTH):
        raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")
    return value


def own_file(folder: Path | str, name: str) -> Path:
    """Return the path of file *name* of a weights folder, which may be a link into the Hub's cache.

    Raises:
        WeightsError: if there is no such file, or it is a link to a place outside the folder.
    """
    file = Path(folder) / name
    try:
        root, target, exists = Path(folder).resolve(), file.resolve(), file.is_file()
    except (OSError, ValueError, RuntimeError) as error:
        raise WeightsError(f"{file} cannot be read: {error}") from None
    if not exists:
        raise WeightsError(f"{folder} has no {name}: download or export it again")
    if not any(target.is_relative_to(place) for place in (root, *_blobs_of(root))):
        raise WeightsError(f"{file} is a link out of its folder, to {target}: replace the link with the file")
    if is_lfs_pointer(target):
        raise WeightsError(f"{file} is a Git LFS pointer, not the file itself: run 'git lfs pull' in {folder}")
    return file


def _blobs_of(root: Path) -> tuple[Path, ...]:
    """Folders of the Hub cache that store the files of a snapshot ``CACHE/models--org--name/snapshots/COMMIT``."""
    if root.parent.name != "snapshots" or len(root.parents) < 3:
        return ()
    return root.parents[1] / "blobs", root.parents[2] / "blobs"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"duplicate key {twice[:80]!r}")
    return result


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not valid JSON")
