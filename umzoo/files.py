"""Files: flushing to disk, checksums, and reading text files that may be corrupted."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from umzoo.errors import ConfigError, UmzooError, in_one_line

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found,unused-ignore]

MAX_TEXT, MAX_TOML, MAX_DEPTH = 64 << 20, 4 << 20, 64
"""Maximum bytes of a text file, characters of TOML, and levels of nested tables and lists."""
_REMEDY = "correct it, or download it again"
_NO_TEXT = re.compile(r"\\u(0000|d[89a-f])", re.IGNORECASE)


def user_cache() -> Path:
    """Return umzoo's cache folder: ``UMZOO_CACHE``, or a folder in the user's cache.

    It may be deleted at any time.
    """
    if chosen := os.environ.get("UMZOO_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "umzoo"


def is_lfs_pointer(file: Path) -> bool:
    """Whether *file* is a Git LFS pointer instead of the file, as in clones without Git LFS."""
    try:
        if not file.is_file() or file.stat().st_size > 1024:
            return False
        return file.read_bytes().startswith(b"version https://git-lfs.github.com/")
    except OSError:
        return False


def fsync(path: Path) -> None:
    """Flush the file or folder *path* to disk; folders are skipped on systems that cannot flush them (Windows)."""
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_folder(folder: Path) -> None:
    """Flush the files of *folder*, then *folder* itself."""
    for path in (*folder.iterdir(), folder):
        fsync(path)


@contextmanager
def written_whole(target: Path) -> Iterator[Path]:
    """Yield a temporary path next to *target*; the file or folder written there is flushed and renamed to *target*.

    If that fails, the temporary path is removed, and an existing *target* is kept.
    """
    temporary = target.with_name(f".{target.name}.writing-{os.getpid()}")
    try:
        yield temporary
        if temporary.is_dir():
            fsync_folder(temporary)
        else:
            fsync(temporary)
        temporary.replace(target)
        fsync(target.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if temporary.is_file():
            temporary.unlink()


def replace_text(file: Path, text: str) -> None:
    """Write *text* to *file* atomically, with :func:`written_whole`."""
    with written_whole(file) as temporary:
        temporary.write_text(text, encoding="utf-8")


def sha256(file: Path) -> str:
    """Return the sha256 of *file* as a hexadecimal string."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def read_json(file: Path, *keys: str, error: type[UmzooError] = ConfigError, remedy: str = _REMEDY) -> dict[str, Any]:
    """Return the JSON object in *file*, which must have *keys*; *remedy* is the advice for an invalid file.

    Raises:
        error: if there is no such file, or it is damaged.
    """
    content: dict[str, Any] = _read(file, json_table, error, remedy)
    if missing := [key for key in keys if key not in content]:
        raise error(f"{file} is damaged: it has no {', '.join(missing)}; {remedy}")
    return content


def read_json_list(file: Path, error: type[UmzooError] = ConfigError, remedy: str = _REMEDY) -> list[dict[str, Any]]:
    """Return the list of JSON objects in *file*; see :func:`read_json`.

    Raises:
        error: if there is no such file, or it is damaged.
    """
    content: list[dict[str, Any]] = _read(file, _json_tables, error, remedy)
    return content


def _read(file: Path, parse: Callable[[str, object], Any], error: type[UmzooError], remedy: str) -> Any:
    try:
        return parse(read_text(file), file)
    except ConfigError as why:
        raise error(f"{why}; {remedy}") from None


def json_table(text: str, where: object, any_text: bool = False) -> dict[str, Any]:
    """Return the JSON object in *text*; *where* names its origin in errors.

    Raises:
        ConfigError: if it is not one, is nested deeper than ``MAX_DEPTH``, or has invalid characters, unless *any_text*
            is set.
    """
    return _table(json.loads if any_text else _json, text, f"{where} is damaged")


def _json_tables(text: str, where: object) -> list[dict[str, Any]]:
    """The list of JSON objects in *text*."""
    content: list[dict[str, Any]] = _table(lambda text: {"": _json(text)}, text, f"{where} is damaged")[""]
    if not isinstance(content, list) or not all(isinstance(item, dict) for item in content):
        raise ConfigError(f"{where} is damaged: expected a list of tables")
    return content


def _json(text: str) -> Any:
    """The value of the JSON *text*; NUL and lone surrogates, which JSON can express, are refused."""
    content = json.loads(text)
    if _NO_TEXT.search(text) and not _is_text(content):
        raise ValueError("it has a NUL character or a lone surrogate")
    return content


def _is_text(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_text(item) for pair in value.items() for item in pair)
    if isinstance(value, list):
        return all(map(_is_text, value))
    return not isinstance(value, str) or not any(sign == "\0" or "\ud800" <= sign <= "\udfff" for sign in value)


def toml_table(text: str, where: object) -> dict[str, Any]:
    """Return the TOML table in *text*; *where* names its origin in errors.

    Raises:
        ConfigError: if it is not one, or is nested deeper than ``MAX_DEPTH``.
    """
    longest = max(part.count(".") for line in text.splitlines() or [""] for part in re.split("[=,]", line))
    if len(text) > MAX_TOML or longest > MAX_DEPTH:  # keys of many parts use up the parser's memory
        raise ConfigError(f"{where} is not valid TOML: it is too large, or has keys of more than {MAX_DEPTH} parts")
    return _table(tomllib.loads, text, f"{where} is not valid TOML")


def _table(parse: Callable[[str], Any], text: str, failure: str) -> dict[str, Any]:
    try:
        content = parse(text)
    except RecursionError:
        raise ConfigError(f"{failure}: it is nested too deeply") from None
    except ValueError as error:
        raise ConfigError(f"{failure}: {in_one_line(error, 200)}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{failure}: expected a table, got {type(content).__name__}")
    if not is_shallow(content, MAX_DEPTH):
        raise ConfigError(f"{failure}: it is nested deeper than {MAX_DEPTH} levels")
    return content


def is_shallow(value: Any, depth: int) -> bool:
    """Whether *value*, of dicts and lists, is nested at most *depth* levels deep."""
    level = [value]
    for _ in range(depth + 1):
        inner = [item.values() if isinstance(item, dict) else item for item in level if isinstance(item, (dict, list))]
        level = [item for items in inner for item in items]
        if not level:
            return True
    return False


def read_text(file: Path, most: int = MAX_TEXT) -> str:
    """Return the text of *file*.

    Raises:
        ConfigError: if it has more than *most* bytes, is not UTF-8, or cannot be read.
    """
    try:
        if file.exists() and not file.is_file():
            raise ConfigError(f"{file} cannot be read: it is not a file")
        if file.stat().st_size > most:
            raise ConfigError(f"{file} is too large: {file.stat().st_size} bytes, at most {most} are allowed")
        return file.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} cannot be read: {in_one_line(error, 120)}") from None


def refuse_links(folder: Path) -> None:
    """Refuse an output *folder* that contains links to other folders, because writing would follow them.

    Raises:
        ConfigError: if there is such a link; the error names the first one.
    """
    root = folder.resolve()
    for place, folders, files in os.walk(folder):
        for path in (Path(place) / name for name in (*folders, *files)):
            if path.is_symlink() and not path.resolve().is_relative_to(root):
                raise ConfigError(
                    f"{path} is a link to a place outside of its folder, and writing would follow it: remove it"
                )
