"""Uploads a weights folder as a commit to a repository on the Hugging Face Hub."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from umzoo.errors import WeightsError
from umzoo.hub.client import Access
from umzoo.hub.errors import one_line
from umzoo.hub.pulling.references import repository_id
from umzoo.hub.pushing.commit import commit_once, propose_once
from umzoo.hub.pushing.privacy import require_anonymous
from umzoo.hub.pushing.repository import Repository
from umzoo.hub.pushing.upload import Upload, prepare, validate
from umzoo.weights.folder.reader import CARD, read_info
from umzoo.weights.folder.writer import rewrite_info
from umzoo.weights.signing.signer import Signer, sign_folder


@dataclass(frozen=True)
class Target:
    """The target of a push.

    Attributes:
        repo_id: ``org/name``.
        private: whether a new repository is private; None means yes. Must agree with an existing repository.
        revision: branch, created if it is missing; None is ``main``.
        create_pr: propose the change as a pull request.
        tag: Git tag to put on the commit.
    """

    repo_id: str
    private: bool | None = None
    revision: str | None = None
    create_pr: bool = False
    tag: str | None = None

    def __post_init__(self) -> None:
        repository_id(self.repo_id)
        if self.create_pr and (self.tag or self.revision not in (None, "main")):
            raise WeightsError("a pull request goes to main and gets no tag: leave out the revision and the tag")


def push_folder(
    folder: Path | str,
    target: Target,
    *,
    license: str | None = None,
    message: str | None = None,
    token: str | bool | None = None,
    nnssl: bool = False,
    sign: Signer | None = None,
) -> str:
    """Upload the weights in *folder* in one commit; return the URL of the commit, or of the pull request.

    Everything is checked before the upload. Without changes no commit is made. The commit is based on the state that
    was checked: if somebody else pushes meanwhile, it is refused. Files of earlier weights that *folder* lacks are
    deleted; files with other names stay, and so do texts that people wrote into the model card.

    Args:
        folder: a weights folder.
        target: repository, branch, tag.
        license: SPDX identifier, if other than that of the folder.
        message: commit message.
        token: a token with write access; None uses ``HF_TOKEN`` or the token of ``hf auth login``.
        nnssl: also upload the weights in nnssl's format, for nnU-Net's own commands; this needs nnU-Net installed.
        sign: sign *folder* with this first. Without it, an existing signature is uploaded.

    Raises:
        ConfigError: if *nnssl* is set, and nnU-Net is missing or the weights record no patch size; or if a key cannot
            be used.
        WeightsError: if the weights are damaged, have no license or changed since they were signed, if a text could
            identify a patient, or if the Hub refuses.
    """
    check_push(folder, target, license=license, message=message, signed=sign is None)
    if sign is not None:
        _sign(Path(folder), sign, license)
    with _in_nnssl_form(Path(folder), nnssl) as extra, one_line(f"cannot push to {target.repo_id}"):
        repository = Repository(Access(token).api(), target.repo_id, target.revision)
        repository.open(target.private)
        base = repository.head()
        upload = prepare(folder, target.repo_id, license, repository.text(base, CARD), extra)
        repository.check_tag(target.tag, upload)
        if target.create_pr:
            return propose_once(repository, upload, base, message or f"Add {upload.info.name}")
        commit = commit_once(repository, upload, base, message or f"Add {upload.info.name}")
        repository.tag(target.tag, commit)
    return repository.url(commit)


def check_push(
    folder: Path | str,
    target: Target,
    *,
    license: str | None = None,
    message: str | None = None,
    signed: bool = True,
) -> Upload:
    """Make all checks of :func:`push_folder` that need no network; return the upload to a new repository.

    An existing signature is left out unless *signed*, for the case that it will be replaced.

    Raises:
        WeightsError: if the weights are damaged or have no license, or if a text could identify a patient.
    """
    validate(folder)
    upload = prepare(folder, target.repo_id, license, "", signed=signed)
    require_anonymous({"the message": message or "", "the tag": target.tag or "", "the branch": target.revision or ""})
    return upload


def _sign(folder: Path, signer: Signer, license: str | None) -> None:
    """Sign *folder* after setting its *license*, if one is given, because the license is signed too."""
    if license not in (None, read_info(folder).license):
        rewrite_info(folder, license=license)
    sign_folder(folder, signer)


@contextmanager
def _in_nnssl_form(folder: Path, wanted: bool) -> Iterator[Path | None]:
    """A temporary folder with the weights in nnssl's format, if *wanted*."""
    if not wanted:
        yield None
        return
    from umzoo.nnunet.files.nnssl_checkpoint import export_nnssl

    with tempfile.TemporaryDirectory() as temporary:
        export_nnssl(folder, Path(temporary) / "nnssl")
        yield Path(temporary) / "nnssl"
