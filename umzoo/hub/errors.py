"""What the client of the Hub raises, told in one line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from umzoo.errors import WeightsError

LOGIN = "set HF_TOKEN or run 'hf auth login'"


@contextmanager
def one_line(failure: str) -> Iterator[None]:
    """Turn what ``huggingface_hub`` raises inside into a ``WeightsError`` that begins with *failure*.

    A broken connection is an error of the HTTP library, which differs between versions of ``huggingface_hub``;
    ``HfHubHTTPError`` is always derived from it.
    """
    from huggingface_hub.errors import HfHubHTTPError

    expected: tuple[type[Exception], ...] = (*HfHubHTTPError.__bases__, OSError, ValueError, RuntimeError)
    try:
        yield
    except expected as error:
        raise WeightsError(f"{failure}: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    """What went wrong and what to do."""
    from huggingface_hub.errors import (
        GatedRepoError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    if isinstance(error, GatedRepoError):
        return f"access must be asked for on its page; then {LOGIN}"
    if isinstance(error, RepositoryNotFoundError):
        return f"it does not exist, or you may not see it; check the name, and {LOGIN}"
    if isinstance(error, RevisionNotFoundError):
        return "it has no such revision; give a commit, tag or branch"
    if isinstance(error, LocalEntryNotFoundError):
        cause = _text(error.__cause__) if error.__cause__ else "files are missing"
        return f"the cache holds no whole copy, and the Hub cannot be asked ({cause}); load it once with a connection"
    return _text(error)


def _text(error: BaseException) -> str:
    """The message of *error*, or what the server said, in one line of at most 300 characters."""
    from huggingface_hub.errors import OfflineModeIsEnabled

    if isinstance(error, OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set"
    if isinstance(error, RuntimeError) and error.__cause__:
        error = error.__cause__
    text = getattr(error, "server_message", None) or str(error) or type(error).__name__
    line = " ".join(text.partition("For more information check")[0].split())[:300].rstrip(".")
    status = getattr(getattr(error, "response", None), "status_code", None)
    return f"{line}; {LOGIN}" if status in (401, 403) else line
