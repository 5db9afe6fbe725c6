"""Downloads a repository of the Hub as a weights folder into the Hub's cache: one commit, every file verified."""

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
    """Return the complete folder of *repository* in the cache; downloaded files are verified.

    ``config.json`` is requested at *revision*; the response names the commit of all other files. A cached commit needs
    no request, a branch or tag needs one. Files that were already in the cache are not verified here: a caller who
    finds them damaged calls :func:`mend`.

    Args:
        repository: ``org/name``.
        revision: commit, tag or branch; None is the default branch.
        access: token, cache, and whether requests are allowed.

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
    """Download the signature of *repository* at *commit*, if there is one and it is not cached.

    Raises:
        WeightsError: if the Hub refuses, or if it is unknown whether there is one and no request is allowed.
    """
    if access.offline and access.cached(repository, SIGNATURE, commit) is None:
        raise WeightsError(
            f"it is unknown offline whether {repository} at {commit[:12]} is signed: try with a connection"
        )
    _pull_perhaps(repository, SIGNATURE, commit, access)


def pull_config(repository: str, revision: str | None, access: Access) -> Path:
    """Return the cached folder of the commit at *revision*, with at least its ``config.json``.

    Raises:
        WeightsError: if the Hub refuses, or the repository holds no umzoo weights.
    """
    if not access.offline and not isinstance(access.cached(repository, CONFIG, revision), Path):
        with one_line(f"there is no folder {repository}, and no such repository could be downloaded from the Hub"):
            retry(lambda: access.api().model_info(repository, revision=revision), repository, tries=3)
    return fetch_file(repository, CONFIG, revision, access).parent


def known_files(folder: Path) -> WeightsInfo:
    """Return the ``config.json`` of *folder*, after checking that it lists only files that umzoo writes.

    Raises:
        WeightsError: if it lists other files, or no tensors.
    """
    info = read_info(folder)
    if strange := sorted(set(info.files) - set(FILES)):
        raise WeightsError(f"{CONFIG} of {info.name} lists files that do not belong to a weights folder: {strange[:4]}")
    if MODEL not in info.files:
        raise WeightsError(f"{CONFIG} of {info.name} has no sha256 of {MODEL}: ask its owner to push it again")
    return info


def whole_info(repository: str, folder: Path, access: Access) -> WeightsInfo:
    """Return the ``config.json`` of *folder* in the cache; a truncated one is downloaded once more.

    In a cache without links, as on Windows, the file name contains no checksum.

    Raises:
        WeightsError: if it is still damaged, or damaged and offline; and as :func:`known_files`.
    """
    if not _is_json(folder / CONFIG):
        _remove(folder / CONFIG)
        if access.offline:
            raise WeightsError(f"{CONFIG} of {repository} is damaged: load it again with a connection")
        log.warning("%s of %s is damaged, downloading it again", CONFIG, repository)
        fetch_file(repository, CONFIG, folder.name, access)
    return known_files(folder)


def _is_json(file: Path) -> bool:
    try:
        strict_json(file.read_bytes())
    except ValueError:
        return False
    return True


def mend(repository: str, folder: Path, access: Access) -> bool:
    """Remove damaged files of *folder* from the cache and download them again; return whether there were any.

    Raises:
        WeightsError: if they are damaged again, or offline.
    """
    files = whole_info(repository, folder, access).files
    damaged = {name: recorded for name, recorded in files.items() if not is_whole(folder / name, recorded)}
    for name, recorded in damaged.items():
        fetch_file(repository, name, folder.name, access, recorded)
    return bool(damaged)


def fetch_file(repository: str, name: str, revision: str | None, access: Access, recorded: str | None = None) -> Path:
    """Return file *name* of *repository* in the cache, downloaded if it is missing.

    A damaged file is removed and downloaded once more.

    Raises:
        WeightsError: if the Hub refuses, there is no such file, or it is damaged twice.
    """
    what = f"{name} of {repository}"
    with one_line(f"{what} could not be downloaded from the Hub"):
        file = retry(lambda: access.download(repository, name, revision), what)
        if is_whole(file, recorded):
            return file
        _remove(file)
        if access.offline:
            raise WeightsError(f"{what} is damaged and was removed from the cache: load it again with a connection")
        log.warning("%s is damaged, downloading it again", what)
        file = retry(lambda: access.download(repository, name, revision, again=True), what)
    if not is_whole(file, recorded):
        expected = recorded or file.resolve().name
        _remove(file)
        raise WeightsError(f"{what} arrived damaged twice (expected checksum {expected}): ask its owner, or try later")
    return file


def _pull_perhaps(repository: str, name: str, commit: str, access: Access) -> None:
    """Download the optional file *name*."""
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
            f"the cache lacks {' and '.join(missing)} of {repository} at {commit[:12]}, and no request is allowed:"
            " load it once with a connection"
        )


def _remove(file: Path) -> None:
    """Remove *file* from the cache, and the blob it links to."""
    blob = file.resolve()
    file.unlink(missing_ok=True)
    blob.unlink(missing_ok=True)
