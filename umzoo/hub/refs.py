"""References to weights: a folder, ``org/name`` on the Hub, or a registered ``architecture.tag``."""

from __future__ import annotations

import re
from pathlib import Path

from umzoo import __version__
from umzoo.errors import WeightsError, nearest
from umzoo.hub.errors import one_line
from umzoo.plugins import zoo
from umzoo.weights.io import FILES

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def resolve(ref: Path | str, revision: str | None = None) -> Path:
    """Return the weights folder that *ref* names; a Hub repository is downloaded into the Hub's cache.

    Args:
        ref: a folder, ``local-dir:FOLDER``, ``org/name``, ``hf-hub:org/name``, or ``architecture.tag``.
        revision: commit, tag or branch of a Hub repository.

    Raises:
        WeightsError: if there is no such thing, or it cannot be downloaded.
    """
    text = str(ref)
    if text.startswith("local-dir:"):
        return _folder(Path(text.removeprefix("local-dir:")))
    if isinstance(ref, Path) or Path(text).is_dir():
        return _folder(Path(text))
    if text in zoo().weights:
        entry = zoo().weights[text]
        return resolve(entry.location, revision or entry.revision)
    repository = text.removeprefix("hf-hub:")
    if _REPOSITORY.fullmatch(repository):
        return _download(repository, revision)
    hint = nearest(text, zoo().weights)
    raise WeightsError(f"no weights '{text}'{hint}: give a folder, org/name on the Hub, or one of 'umzoo list weights'")


def _folder(path: Path) -> Path:
    if not path.is_dir():
        raise WeightsError(f"there is no folder {path}")
    return path


def _download(repository: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download

    with one_line(f"there is no folder {repository}, and no repository could be had from the Hub"):
        folder = snapshot_download(
            repository,
            revision=revision,
            allow_patterns=list(FILES),
            library_name="umzoo",
            library_version=__version__,
        )
    return Path(folder)
