"""References to weights: a folder, ``org/name`` on the Hub, or a registered ``architecture.tag``."""

from __future__ import annotations

import re
from pathlib import Path

from umzoo.errors import WeightsError, nearest
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
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=list(FILES)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = " ".join(str(error).split())[:300]
        raise WeightsError(f"there is no folder {repository}, and the Hub gave no repository: {reason}") from error
