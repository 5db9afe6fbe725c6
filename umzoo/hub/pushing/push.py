"""A weights folder becomes a commit of a repository on the Hugging Face Hub."""

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
    """Where a push goes.

    Attributes:
        repo_id: ``org/name``.
        private: whether a new repository is private; None means yes. Must agree with one that exists.
        revision: branch, made if it is missing; None is ``main``.
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

    Nothing is uploaded before all is checked. What the repository holds already is no new commit. The commit is made
    on the state that was looked at: if somebody else pushes meanwhile, it is refused. Files of earlier weights that
    *folder* lacks are deleted; those of other names stay, and so does what people wrote into the model card.

    Args:
        folder: a weights folder.
        target: repository, branch, tag.
        license: SPDX identifier, if other than that of the folder.
        message: message of the commit.
        token: a token with write access; None takes ``HF_TOKEN`` or the one of ``hf auth login``.
        nnssl: put the weights there in nnssl's form too, for nnU-Net's own commands; this needs nnU-Net installed.
        sign: sign *folder* with this first. Without it, a signature that *folder* has goes along.

    Raises:
        ConfigError: if *nnssl* is asked for, and nnU-Net is missing or the weights record no patch size; if a key
            cannot be used.
        WeightsError: if the weights are damaged, state no license or changed since they were signed, if a text could
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
    """Do all checks of :func:`push_folder` that need no network; return what would be uploaded to a new repository.

    A signature that *folder* has is left out unless *signed*, as before it is made anew.

    Raises:
        WeightsError: if the weights are damaged or state no license, or if a text could identify a patient.
    """
    validate(folder)
    upload = prepare(folder, target.repo_id, license, "", signed=signed)
    require_anonymous({"the message": message or "", "the tag": target.tag or "", "the branch": target.revision or ""})
    return upload


def _sign(folder: Path, signer: Signer, license: str | None) -> None:
    """Sign *folder*, with another *license* in it if one is given, as that is signed too."""
    if license not in (None, read_info(folder).license):
        rewrite_info(folder, license=license)
    sign_folder(folder, signer)


@contextmanager
def _in_nnssl_form(folder: Path, wanted: bool) -> Iterator[Path | None]:
    """A temporary folder with the weights in nnssl's form, if *wanted*."""
    if not wanted:
        yield None
        return
    from umzoo.nnunet.files.nnssl_checkpoint import export_nnssl

    with tempfile.TemporaryDirectory() as temporary:
        export_nnssl(folder, Path(temporary) / "nnssl")
        yield Path(temporary) / "nnssl"
