"""References to weights: a folder, ``org/name`` on the Hub, or a registered ``architecture.tag``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from umzoo.errors import WeightsError, nearest
from umzoo.files import is_lfs_pointer
from umzoo.hub.client import DEFAULT, Access
from umzoo.hub.pulling.addresses import Place, place_of_address
from umzoo.hub.pulling.import_cache import imported, mend_imported
from umzoo.hub.pulling.pull import mend, pull
from umzoo.plugins import zoo
from umzoo.weights.catalog.entry import PACKAGE, WeightsEntry, folder_in_package
from umzoo.weights.folder.reader import FILES

Result = TypeVar("Result")

_NAME = r"(?!.*(?:--|\.\.))[A-Za-z0-9_](?:[\w.-]{0,94}[A-Za-z0-9_])?"
_REPOSITORY = re.compile(rf"(?P<org>{_NAME})/(?P<name>{_NAME})", re.ASCII)
_REVISION = re.compile(r"(?!.*(?:\.\.|//|@\{))[A-Za-z0-9][\w.+/-]{0,254}", re.ASCII)
_CHECKPOINTS = (".pth", ".pt", ".ckpt", ".model", ".safetensors", ".zip", ".tar", ".gz")
_FORMS = "give a folder, org/name[@revision] on the Hub, or one of 'umzoo list --pretrained'"


@dataclass(frozen=True)
class Reference:
    """A parsed reference.

    It is a *folder*, a Hub *repository* at a *revision* (commit, tag or branch), or a catalog *entry* of another
    project that has to be imported.
    """

    folder: Path | None = None
    repository: str = ""
    revision: str | None = None
    entry: WeightsEntry | None = None

    def __str__(self) -> str:
        at = f"@{self.revision}" if self.revision else ""
        name = self.entry.name if self.entry else self.repository
        return str(self.folder) if self.folder is not None else f"{name}{at}"


def resolve(
    ref: Path | str,
    revision: str | None = None,
    *,
    token: str | bool | None = None,
    cache_dir: Path | str | None = None,
    local_files_only: bool = False,
    force_download: bool = False,
) -> Path:
    """Return the weights folder of *ref*; a Hub repository is downloaded into the Hub's cache and verified.

    Args:
        ref: a folder, ``local-dir:FOLDER``, ``package:MODULE/FOLDER`` of an installed package,
            ``org/name[@revision]``, ``hf-hub:org/name[@revision]``, or a registered ``architecture.tag``. An existing
            folder takes precedence over a repository of the same name.
        revision: commit, tag or branch of a Hub repository.
        token: token for the Hub; None uses ``HF_TOKEN`` or the token of ``hf auth login``, False none.
        cache_dir: cache of the Hub; None is the default of ``huggingface_hub``.
        local_files_only: use cached files only, without a request.
        force_download: download cached files again.

    Raises:
        WeightsError: if it does not exist, or cannot be downloaded completely.
    """
    return _fetch(parse(ref, revision), Access(token, cache_dir, local_files_only, force_download))


def load(
    ref: Path | str, use: Callable[[Path], Result], revision: str | None = None, access: Access = DEFAULT
) -> Result:
    """Return ``use(folder)`` for the folder of *ref*; see :func:`resolve`.

    If *use* refuses the weights because the Hub's cache is damaged, the damaged files are downloaded again, and
    *use* is called once more.
    """
    found = parse(ref, revision)
    folder = _fetch(found, access)
    try:
        return use(folder)
    except WeightsError:
        if not _mend(found, folder, access):
            raise
    return use(folder)


def parse(
    ref: Path | str, revision: str | None = None, catalog: Mapping[str, WeightsEntry] = MappingProxyType({})
) -> Reference:
    """Return what *ref* names; no server is asked, and a folder need not exist if *ref* can mean nothing else.

    Args:
        ref: as for :func:`resolve`.
        revision: commit, tag or branch of a Hub repository.
        catalog: registered weights that are known already; plug-ins are imported only for a name that it lacks.

    Raises:
        WeightsError: if *ref* is not a reference, or *revision* contradicts it.
    """
    text = str(ref)
    if (file := _file(text.removeprefix("local-dir:"))) is not None:
        raise WeightsError(_no_folder(file))
    if text.startswith("local-dir:"):
        return _folder(Path(text.removeprefix("local-dir:")), revision)
    if text.startswith(("http://", "https://")):
        return _page(text, revision)
    if text.startswith(PACKAGE):
        return _folder(folder_in_package(text), revision)
    if isinstance(ref, Path) or _is_folder(text):
        return _folder(Path(ref), revision)
    if (entry := _registered(text, catalog)) is not None:
        if entry.importer:
            return Reference(revision=revision, entry=entry)
        return parse(entry.location, revision or entry.revision)
    repository, at, named = text.removeprefix("hf-hub:").partition("@")
    if not _REPOSITORY.fullmatch(repository):
        raise WeightsError(f"no weights {text!r}{nearest(text, zoo().weights)}: {_FORMS}")
    if at and revision and named != revision:
        raise WeightsError(f"{text!r} names revision {named!r}, and revision={revision!r} was given: give only one")
    chosen = named if at else revision
    if chosen is not None and not _REVISION.fullmatch(chosen):
        raise WeightsError(f"{chosen!r} is not a revision of {repository}: give a commit, tag or branch")
    return Reference(repository=repository, revision=chosen)


def _registered(text: str, catalog: Mapping[str, WeightsEntry]) -> WeightsEntry | None:
    """The registered weights of the name *text*; None if there are none."""
    if text in catalog:
        return catalog[text]
    if "/" not in text and text in zoo().weights:
        found: WeightsEntry = zoo().weights[text]
        return found
    return None


def _file(text: str) -> Path | None:
    """The local file *text*; None if there is none."""
    try:
        path = Path(text).expanduser()
        return path if path.is_file() else None
    except (OSError, ValueError, RuntimeError):
        return None


def _no_folder(file: Path) -> str:
    """What to do with a *file* instead of a weights folder."""
    if is_lfs_pointer(file):
        return f"{str(file)!r} is a Git LFS pointer, not the file itself: run 'git lfs pull' in {str(file.parent)!r}"
    if file.name in FILES:
        return f"{str(file)!r} is a file of a weights folder: give the folder, {str(file.parent)!r}"
    if file.suffix == ".tar":
        return f"{str(file)!r} is a file: if it is a bundle, unpack it with 'umzoo unbundle {file} FOLDER'"
    importers = ", ".join(zoo().importers)
    return (
        f"{str(file)!r} is a file, weights are a folder: make one with 'umzoo import IMPORTER {file} FOLDER', where"
        f" IMPORTER is one of {importers}"
    )


def _page(address: str, revision: str | None) -> Reference:
    """The repository with the Hub page *address*."""
    place = place_of_address(address)
    if place.on_the_web or place.files or place.folder:
        raise WeightsError(f"{address!r} is not a weights folder: {_FORMS}; 'umzoo import' takes a file's address")
    return parse(f"{place.location}@{place.revision}" if place.revision else place.location, revision)


def place_of(source: Path | str) -> Place | None:
    """Return the location of the files *source* for an importer; None if it is a local path.

    Args:
        source: a path, a web address, or ``org/name[@revision]`` on the Hub, optionally with the prefix ``hf-hub:``.

    Raises:
        WeightsError: if it is none of these.
    """
    text = str(source)
    if text.startswith(("http://", "https://")):
        return place_of_address(text)
    if isinstance(source, Path) or Path(text).exists() or Path(text).suffix in _CHECKPOINTS:
        return None
    found = parse(text)
    if found.entry is not None:
        raise WeightsError(f"{text} needs no import: load it by this name")
    return None if found.folder is not None else Place(found.repository, revision=found.revision)


def repository_id(text: str) -> str:
    """Return *text* if it can be the name of a Hub repository.

    Raises:
        WeightsError: if it is not of the form ``org/name``.
    """
    if not _REPOSITORY.fullmatch(text):
        raise WeightsError(
            f"{text!r} is not a name of a repository: give org/name, of letters, digits, '-', '_' and '.'"
        )
    return text


def _fetch(found: Reference, access: Access) -> Path:
    if found.entry is not None:
        return imported(found.entry, found.revision, access)
    if found.folder is None:
        return pull(found.repository, found.revision, access)
    if not found.folder.is_dir():
        raise WeightsError(f"there is no folder {str(found.folder)!r}")
    return found.folder


def _mend(found: Reference, folder: Path, access: Access) -> bool:
    """Repair damaged files of *folder*, if it is a cache; return whether there were any."""
    if found.entry is not None:
        return mend_imported(found.entry, found.revision, access)
    return found.folder is None and mend(found.repository, folder, access)


def _folder(path: Path, revision: str | None) -> Reference:
    if revision is not None:
        raise WeightsError(f"{str(path)!r} is a folder and has no revisions, got {revision!r}: leave the revision out")
    try:
        return Reference(folder=path.expanduser())
    except RuntimeError as error:
        raise WeightsError(f"{str(path)!r} is not a folder: {error}") from None


def _is_folder(text: str) -> bool:
    """Whether *text* is an existing folder, or written as a path."""
    if not text or "\0" in text:
        return False
    try:
        return text.startswith(("/", "./", "../", "~")) or text in (".", "..") or Path(text).is_dir()
    except OSError:
        return False
