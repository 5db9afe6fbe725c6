"""A Space where weights can be tried: written to a folder, or pushed to the Hub."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from umzoo.errors import WeightsError
from umzoo.files import replace_text
from umzoo.hub.client import Access
from umzoo.hub.errors import one_line
from umzoo.hub.pushing.commit import commit_once
from umzoo.hub.pushing.privacy import require_anonymous
from umzoo.hub.pushing.repository import Repository
from umzoo.hub.pushing.space_files import OURS, SPACE_FILES, space_files
from umzoo.hub.pushing.upload import Upload
from umzoo.weights.card.merge import merge_card
from umzoo.weights.folder.info import WeightsInfo
from umzoo.weights.folder.reader import CARD


def write_space(info: WeightsInfo, ref: str, out: Path, model: str = "", requirement: str | None = None) -> None:
    """Write the files of a Space into the folder *out*; see :func:`umzoo.hub.pushing.space_files.space_files`.

    Raises:
        WeightsError: if *out* holds something.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise WeightsError(f"{out} is there already: give another folder, or remove it")
    out.mkdir(parents=True, exist_ok=True)
    for name, text in space_files(info, ref, model, requirement=requirement).items():
        replace_text(out / name, text)


def check_space(
    info: WeightsInfo,
    repo_id: str,
    revision: str | None = None,
    license: str | None = None,
    requirement: str | None = None,
) -> dict[str, str]:
    """Return the files that :func:`push_space`, whose arguments these are, uploads to a new Space, by name.

    Raises:
        WeightsError: if a text could identify a patient.
    """
    ref = f"{repo_id}@{revision}" if revision else repo_id
    files = space_files(info, ref, repo_id, license, requirement)
    require_anonymous(files)
    return files


def push_space(
    info: WeightsInfo,
    repo_id: str,
    *,
    revision: str | None = None,
    private: bool | None = None,
    license: str | None = None,
    requirement: str | None = None,
    token: str | bool | None = None,
) -> str:
    """Make or renew the Space *repo_id*, which runs the weights of the same name; return the URL of the Space.

    What the Space holds already is no new commit. ``app.py`` and ``requirements.txt`` without umzoo's first line are
    those of people, and stay; so does what people wrote around umzoo's part of the card.

    Args:
        info: what the weights say of themselves.
        repo_id: ``org/name``, of the weights and of the Space.
        revision: commit, tag or branch of the weights that the page loads; None is the newest.
        private: whether a new Space is private; None means yes. Must agree with one that exists.
        license: SPDX identifier, if other than that of *info*.
        requirement: line of requirements.txt that installs umzoo; None is its release of this version.
        token: a token with write access; None takes ``HF_TOKEN`` or the one of ``hf auth login``.

    Raises:
        WeightsError: if a text could identify a patient, or the Hub refuses.
    """
    files = check_space(info, repo_id, revision, license, requirement)
    with one_line(f"cannot push the Space {repo_id}"):
        repository = Repository(Access(token).api(), repo_id, kind="space", names=SPACE_FILES)
        repository.open(private)
        base = repository.head()
        upload = Upload(info, {}, _merged(files, repository, base))
        commit_once(repository, upload, base, f"Try {info.name}")
    return repository.page


def _merged(files: Mapping[str, str], repository: Repository, base: str) -> dict[str, str]:
    """*files* with what people wrote at commit *base* of the *repository*."""
    there = {name: repository.text(base, name) for name in files}
    mine = {name: text for name, text in there.items() if name != CARD and text and not text.startswith(OURS)}
    return {**files, **mine, CARD: merge_card(there[CARD], files[CARD]) if there[CARD] else files[CARD]}
