"""A repository of the Hub becomes a weights folder in the Hub's cache: one commit, every file checked."""

from __future__ import annotations

import logging
from pathlib import Path

from umzoo.errors import WeightsError
from umzoo.hub.client import Access
from umzoo.hub.errors import one_line
from umzoo.hub.pulling.checksum import is_whole
from umzoo.hub.retry import retry
from umzoo.weights.folder.info import WeightsInfo
from umzoo.weights.folder.reader import CARD, CONFIG, FILES, MODEL, SIGNATURE, read_info
from umzoo.weights.folder.strict_json import strict_json

log = logging.getLogger(__name__)


def pull(repository: str, revision: str | None, access: Access) -> Path:
    """Return the folder of *repository* in the cache, whole; what was downloaded is checked.

    ``config.json`` is asked for at *revision*, and its answer names the commit that all other files are taken from. A
    commit in the cache needs no request, a branch or tag one. Files that were in the cache before are not read here:
    :func:`mend` is for the caller who finds them damaged.

    Args:
        repository: ``org/name``.
        revision: commit, tag or branch; None is the default branch.
        access: token, cache, and whether to go online at all.

    Raises:
        WeightsError: if the Hub refuses, files are missing offline, or a file arrives damaged twice.
    """
    folder = pull_config(repository, revision, access)
    info = whole_info(repository, folder, access)
    commit = folder.name
    if access.offline:
        _refuse_incomplete(repository, commit, info, access)
    cached = {name for name in info.files if isinstance(access.cached(repository, name, commit), Path)}
    wanted = set(info.files) if access.force_download else set(info.files) - cached
    if wanted:
        pull_signature(repository, commit, access)
    for name in filter(wanted.__contains__, info.files):
        fetch_file(repository, name, commit, access, info.files[name])
    _pull_perhaps(repository, CARD, commit, access)
    return folder


def pull_signature(repository: str, commit: str, access: Access) -> None:
    """Download the signature of *repository* at *commit*, which it may lack, unless that is known already.

    Raises:
        WeightsError: if the Hub refuses, or it is not known and no request may leave.
    """
    if access.offline and access.cached(repository, SIGNATURE, commit) is None:
        raise WeightsError(f"whether {repository} at {commit[:12]} is signed is not known here: ask with a connection")
    _pull_perhaps(repository, SIGNATURE, commit, access)


def pull_config(repository: str, revision: str | None, access: Access) -> Path:
    """Return the cached folder of the commit that *revision* names, with its ``config.json`` and perhaps no more.

    Raises:
        WeightsError: if the Hub refuses, or the repository holds no weights of umzoo.
    """
    if not access.offline and not isinstance(access.cached(repository, CONFIG, revision), Path):
        with one_line(f"there is no folder {repository}, and no such repository could be had from the Hub"):
            retry(lambda: access.api().model_info(repository, revision=revision), repository, tries=3)
    return fetch_file(repository, CONFIG, revision, access).parent


def known_files(folder: Path) -> WeightsInfo:
    """Return what *folder* says of itself, once all files it lists are of names that umzoo writes.

    Raises:
        WeightsError: if it lists other files, or no tensors.
    """
    info = read_info(folder)
    if strange := sorted(set(info.files) - set(FILES)):
        raise WeightsError(f"{CONFIG} of {info.name} lists files that no weights folder holds: {strange[:4]}")
    if MODEL not in info.files:
        raise WeightsError(f"{CONFIG} of {info.name} records no sha256 of {MODEL}: its owner has to push it again")
    return info


def whole_info(repository: str, folder: Path, access: Access) -> WeightsInfo:
    """Return what *folder* of the cache says of itself; a ``config.json`` that was cut off is fetched once more.

    In a cache without links, as on Windows, no sum in the name of the file tells.

    Raises:
        WeightsError: if it is damaged still, or offline; and as :func:`known_files`.
    """
    if not _is_json(folder / CONFIG):
        _remove(folder / CONFIG)
        if access.offline:
            raise WeightsError(f"{CONFIG} of {repository} is damaged: load it again with a connection")
        log.warning("%s of %s is damaged, fetching it again", CONFIG, repository)
        fetch_file(repository, CONFIG, folder.name, access)
    return known_files(folder)


def _is_json(file: Path) -> bool:
    try:
        strict_json(file.read_bytes())
    except ValueError:
        return False
    return True


def mend(repository: str, folder: Path, access: Access) -> bool:
    """Remove the damaged files of *folder* from the cache and fetch them again; return whether there were any.

    Raises:
        WeightsError: if they arrive damaged again, or offline.
    """
    files = whole_info(repository, folder, access).files
    damaged = {name: recorded for name, recorded in files.items() if not is_whole(folder / name, recorded)}
    for name, recorded in damaged.items():
        fetch_file(repository, name, folder.name, access, recorded)
    return bool(damaged)


def fetch_file(repository: str, name: str, revision: str | None, access: Access, recorded: str | None = None) -> Path:
    """Return file *name* of *repository* in the cache, downloaded if it is not there.

    A damaged one is removed and fetched once more.

    Raises:
        WeightsError: if the Hub refuses, there is no such file, or it arrives damaged twice.
    """
    what = f"{name} of {repository}"
    with one_line(f"{what} could not be had from the Hub"):
        file = retry(lambda: access.download(repository, name, revision), what)
        if is_whole(file, recorded):
            return file
        _remove(file)
        if access.offline:
            raise WeightsError(f"{what} is damaged and was removed from the cache: load it again with a connection")
        log.warning("%s is damaged, fetching it again", what)
        file = retry(lambda: access.download(repository, name, revision, again=True), what)
    if not is_whole(file, recorded):
        expected = recorded or file.resolve().name
        _remove(file)
        raise WeightsError(f"{what} arrived damaged twice (expected checksum {expected}): ask its owner, or try later")
    return file


def _pull_perhaps(repository: str, name: str, commit: str, access: Access) -> None:
    """Download file *name*, which a repository may lack."""
    from huggingface_hub.errors import EntryNotFoundError

    known = access.cached(repository, name, commit)
    if access.offline or (known is not None and not access.force_download):
        return
    try:
        fetch_file(repository, name, commit, access)
    except WeightsError as error:
        if not isinstance(error.__cause__, EntryNotFoundError):
            raise


def _refuse_incomplete(repository: str, commit: str, info: WeightsInfo, access: Access) -> None:
    missing = [name for name in info.files if not isinstance(access.cached(repository, name, commit), Path)]
    if missing:
        raise WeightsError(
            f"the cache lacks {' and '.join(missing)} of {repository} at {commit[:12]}, and no request may leave:"
            " load it once with a connection"
        )


def _remove(file: Path) -> None:
    """Remove *file* of the cache, and the blob it links to."""
    blob = file.resolve()
    file.unlink(missing_ok=True)
    blob.unlink(missing_ok=True)
