"""Commits and pull requests that are made once, also if the connection breaks before the answer comes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from umzoo.errors import WeightsError
from umzoo.hub import retry as retrying
from umzoo.hub.errors import client_errors
from umzoo.hub.pushing.repository import Repository
from umzoo.hub.pushing.upload import Upload

if TYPE_CHECKING:
    from huggingface_hub import CommitInfo

log = logging.getLogger(__name__)


def commit_once(repository: Repository, upload: Upload, base: str, message: str) -> str:
    """Return the commit that holds *upload* on top of *base*, made if it is not there.

    Raises:
        WeightsError: if somebody else pushed since *base*, or not all arrived.
    """

    def made_before() -> str | None:
        head = repository.head()
        if repository.holds(head, upload):
            return head
        if head != base:
            raise WeightsError(f"somebody else pushed to {repository.repo_id} meanwhile: look at it, and push again")
        return None

    def make() -> str:
        return str(repository.commit(upload, message, base).oid)

    commit = _once(made_before, make, repository.repo_id)
    repository.require(commit, upload)
    return commit


def propose_once(repository: Repository, upload: Upload, base: str, message: str) -> str:
    """Return the URL of the pull request that holds *upload*, made if it is not there; of *base* if that holds it."""
    if repository.holds(base, upload):
        return repository.url(base)

    def make() -> str:
        made: CommitInfo = repository.commit(upload, message, base, create_pr=True)
        repository.require(str(made.pr_revision), upload)
        return str(made.pr_url)

    return _once(lambda: repository.pull_request(upload, message), make, repository.repo_id)


def _once(made_before: Callable[[], str | None], make: Callable[[], str], what: str) -> str:
    """Return ``make()``, which is not repeated if an earlier call did its work and only the answer was lost."""
    for pause in retrying.PAUSES:
        if (done := made_before()) is not None:
            return done
        try:
            return make()
        except client_errors() as error:
            wanted = retrying.transient(error, pause)
            if wanted is None:
                raise
            log.warning("%s: %s; looking whether it was done, in %g s", what, type(error).__name__, wanted)
        time.sleep(wanted)
    return made_before() or make()
