"""A repository of the Hub as the target of a push."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from umzoo.errors import WeightsError
from umzoo.hub.pushing.upload import NAMES, Upload
from umzoo.hub.retry import retry
from umzoo.weights.folder.io import CARD

if TYPE_CHECKING:
    from huggingface_hub import CommitInfo, HfApi
    from huggingface_hub.hf_api import RepoFile


class Repository:
    """Repository *repo_id* at branch *revision*; ``main`` if None."""

    def __init__(self, api: HfApi, repo_id: str, revision: str | None = None) -> None:
        self.api, self.repo_id, self.branch = api, repo_id, revision or "main"

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
            found = retry(lambda: self.api.model_info(self.repo_id), self.repo_id, tries=3)
        except GatedRepoError:
            raise
        except RepositoryNotFoundError:
            hidden = private is not False
            retry(lambda: self.api.create_repo(self.repo_id, private=hidden, exist_ok=True), self.repo_id)
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
            retry(lambda: self.api.create_branch(self.repo_id, branch=self.branch, exist_ok=True), self.repo_id)

    def head(self) -> str:
        """Return the newest commit of the branch."""
        return str(retry(lambda: self.api.model_info(self.repo_id, revision=self.branch), self.repo_id).sha)

    def url(self, commit: str) -> str:
        """Return the address of *commit*."""
        return f"{self.api.endpoint}/{self.repo_id}/commit/{commit}"

    def card(self, commit: str) -> str:
        """Return the model card at *commit*; empty if there is none."""
        if not any(file.path == CARD for file in self._files(commit)):
            return ""
        with tempfile.TemporaryDirectory() as folder:
            file = retry(
                lambda: self.api.hf_hub_download(self.repo_id, CARD, revision=commit, local_dir=folder), self.repo_id
            )
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
        )

    def pull_request(self, upload: Upload, title: str) -> str | None:
        """Return the address of an open pull request with this *title* that holds *upload*; None if there is none."""
        requests = self.api.get_repo_discussions(self.repo_id, discussion_type="pull_request", discussion_status="open")
        for request in requests:
            if request.title == title and self.holds(f"refs/pr/{request.num}", upload):
                return f"{self.api.endpoint}/{self.repo_id}/discussions/{request.num}"
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
            retry(lambda: self.api.create_tag(self.repo_id, tag=tag, revision=commit, exist_ok=True), self.repo_id)

    def _tags(self) -> dict[str, str]:
        found = retry(lambda: self.api.list_repo_refs(self.repo_id), self.repo_id)
        return {tag.name: tag.target_commit for tag in found.tags}

    def _files(self, revision: str) -> list[RepoFile]:
        """The files at *revision* with names that umzoo writes."""
        from huggingface_hub.hf_api import RepoFile

        found = retry(lambda: self.api.get_paths_info(self.repo_id, list(NAMES), revision=revision), self.repo_id)
        return [file for file in found if isinstance(file, RepoFile)]
