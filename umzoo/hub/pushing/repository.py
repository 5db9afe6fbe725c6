"""A repository of the Hub as the target of a push."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from umzoo.errors import WeightsError
from umzoo.hub.pushing.upload import NAMES, Upload
from umzoo.hub.retry import retry

if TYPE_CHECKING:
    from huggingface_hub import CommitInfo, HfApi, ModelInfo, SpaceInfo
    from huggingface_hub.hf_api import RepoFile


class Repository:
    """Repository *repo_id* at branch *revision*; ``main`` if None.

    Args:
        api: the client.
        repo_id: ``org/name``.
        revision: the branch.
        kind: of weights, or of a Space.
        names: what is looked at, and deleted where it is of earlier pushes; other files stay.
    """

    def __init__(
        self,
        api: HfApi,
        repo_id: str,
        revision: str | None = None,
        kind: Literal["model", "space"] = "model",
        names: Sequence[str] = NAMES,
    ) -> None:
        self.api, self.repo_id, self.branch = api, repo_id, revision or "main"
        self.kind, self.names = kind, names

    def open(self, private: bool | None) -> None:
        """Create the repository and the branch if they are missing; a new repository is private by default.

        Raises:
            WeightsError: if the repository exists and has another visibility, or if a commit is given instead of a
                branch.
        """
        from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

        if re.fullmatch(r"[0-9a-f]{40}", self.branch):
            raise WeightsError(f"expected a branch to push to, got the commit {self.branch[:12]}: give a branch")
        try:
            found = retry(self._info, self.repo_id, tries=3)
        except GatedRepoError:
            raise
        except RepositoryNotFoundError:
            retry(lambda: self._create(private is not False), self.repo_id)
        else:
            if private is not None and bool(found.private) != private:
                state, asked = ("private", "public") if found.private else ("public", "private")
                raise WeightsError(
                    f"{self.repo_id} exists and is {state}, and {asked} was requested:"
                    " change it in its settings on the Hub, or leave the option out"
                )
        try:
            self.head()
        except RevisionNotFoundError:
            made: dict[str, Any] = {"branch": self.branch, "repo_type": self.kind, "exist_ok": True}
            retry(lambda: self.api.create_branch(self.repo_id, **made), self.repo_id)

    def head(self) -> str:
        """Return the newest commit of the branch."""
        return str(retry(lambda: self._info(self.branch), self.repo_id).sha)

    def _info(self, revision: str | None = None) -> ModelInfo | SpaceInfo:
        return self.api.repo_info(self.repo_id, revision=revision, repo_type=self.kind)  # type: ignore[return-value]

    def _create(self, private: bool) -> None:
        sdk: dict[str, Any] = {"space_sdk": "gradio"} if self.kind == "space" else {}
        self.api.create_repo(self.repo_id, private=private, exist_ok=True, repo_type=self.kind, **sdk)

    @property
    def page(self) -> str:
        """Its address."""
        return f"{self.api.endpoint}/{'spaces/' * (self.kind == 'space')}{self.repo_id}"

    def url(self, commit: str) -> str:
        """Return the address of *commit*."""
        return f"{self.page}/commit/{commit}"

    def text(self, commit: str, name: str) -> str:
        """Return the text of file *name* at *commit*; empty if there is none."""
        if not any(file.path == name for file in self._files(commit)):
            return ""
        with tempfile.TemporaryDirectory() as folder:
            asked: dict[str, Any] = {"revision": commit, "repo_type": self.kind, "local_dir": folder}
            file = retry(lambda: self.api.hf_hub_download(self.repo_id, name, **asked), self.repo_id)
            return Path(file).read_text(encoding="utf-8")

    def holds(self, revision: str, upload: Upload) -> bool:
        """Whether the umzoo files at *revision* are exactly those of *upload*."""
        return upload.is_at(self._files(revision))

    def require(self, revision: str, upload: Upload) -> None:
        """Check that all files arrived at *revision*.

        Raises:
            WeightsError: if files are missing or differ, for example because of a ``.gitignore``.
        """
        if not self.holds(revision, upload):
            found = {file.path for file in self._files(revision)}
            missing = sorted(upload.content().keys() - found)
            raise WeightsError(
                f"{self.repo_id} at {revision[:12]} does not hold the pushed files"
                f" ({'missing: ' + ', '.join(missing) if missing else 'it differs'}): look at its .gitignore"
            )

    def commit(self, upload: Upload, message: str, base: str, create_pr: bool = False) -> CommitInfo:
        """Commit *upload* on top of commit *base*."""
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        content = upload.content()
        stale = [file.path for file in self._files(base) if file.path not in content]
        return self.api.create_commit(
            self.repo_id,
            [
                *(CommitOperationAdd(name, data) for name, data in content.items()),
                *(CommitOperationDelete(name) for name in stale),
            ],
            commit_message=message,
            revision=self.branch,
            parent_commit=base,
            create_pr=create_pr,
            repo_type=self.kind,
        )

    def pull_request(self, upload: Upload, title: str) -> str | None:
        """Return the address of an open pull request of that *title* which holds *upload*; None if there is none."""
        requests = self.api.get_repo_discussions(
            self.repo_id, discussion_type="pull_request", discussion_status="open", repo_type=self.kind
        )
        for request in requests:
            if request.title == title and self.holds(f"refs/pr/{request.num}", upload):
                return f"{self.page}/discussions/{request.num}"
        return None

    def check_tag(self, tag: str | None, upload: Upload) -> None:
        """Refuse a *tag* that points to other weights.

        Raises:
            WeightsError: if the tag exists and would have to be moved.
        """
        commit = self._tags().get(tag) if tag else None
        if commit is not None and not self.holds(commit, upload):
            raise WeightsError(
                f"tag {tag} of {self.repo_id} points to other weights ({commit[:12]}): choose another tag"
            )

    def tag(self, tag: str | None, commit: str) -> None:
        """Put *tag* on *commit* unless it exists."""
        if tag and tag not in self._tags():
            made: dict[str, Any] = {"tag": tag, "revision": commit, "repo_type": self.kind, "exist_ok": True}
            retry(lambda: self.api.create_tag(self.repo_id, **made), self.repo_id)

    def _tags(self) -> dict[str, str]:
        found = retry(lambda: self.api.list_repo_refs(self.repo_id, repo_type=self.kind), self.repo_id)
        return {tag.name: tag.target_commit for tag in found.tags}

    def _files(self, revision: str) -> list[RepoFile]:
        """The files at *revision* that have one of the names."""
        from huggingface_hub.hf_api import RepoFile

        asked: dict[str, Any] = {"revision": revision, "repo_type": self.kind}
        found = retry(lambda: self.api.get_paths_info(self.repo_id, list(self.names), **asked), self.repo_id)
        return [file for file in found if isinstance(file, RepoFile)]
