"""Exceptions of the Hub's client as one-line errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from umzoo.errors import UmzooError, WeightsError, in_one_line
from umzoo.hub.client import PUBLIC_HUB
from umzoo.hub.token_masking import masked

SENSELESS = (AttributeError, TypeError, LookupError, RecursionError)
"""Exceptions of the client when a response has another structure or other types than a Hub's."""


@contextmanager
def one_line(failure: str) -> Iterator[None]:
    """Convert exceptions of ``huggingface_hub`` to a ``WeightsError`` that begins with *failure*."""
    try:
        yield
    except UmzooError:
        raise
    except client_errors() as error:
        raise WeightsError(f"{failure}: {_reason(error)}") from error
    except SENSELESS as error:
        reason = in_one_line(masked(f"{type(error).__name__}: {error}"), 120)
        raise WeightsError(f"{failure}: the server's answer is not that of a Hub ({reason}); try later") from error


def client_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions of the client for problems with the Hub, the connection, the cache or a name.

    A broken connection raises an error of the HTTP library, which differs between versions of ``huggingface_hub``;
    ``HfHubHTTPError`` is always derived from it.
    """
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

    return (*HfHubHTTPError.__bases__, EntryNotFoundError, OSError, ValueError, RuntimeError)


def _reason(error: BaseException) -> str:
    """The problem and what to do."""
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    if "due to the above error" in str(error) and error.__cause__:
        return _reason(error.__cause__)
    if isinstance(error, GatedRepoError):
        return f"request access on its page; then {_login()}"
    if isinstance(error, RepositoryNotFoundError):
        return f"it does not exist, or you have no access; check the name, and {_login()}"
    if isinstance(error, RevisionNotFoundError):
        return "it has no such revision; give a commit, tag or branch"
    if isinstance(error, LocalEntryNotFoundError):
        cause = _text(error.__cause__) if error.__cause__ else "no request is allowed"
        return f"it is not in the cache, and the Hub cannot be reached ({cause}): load it once with a connection"
    if isinstance(error, EntryNotFoundError):
        return "the repository has no such file; if it is another project's, see 'umzoo import'"
    return _text(error)


def _login() -> str:
    """How to authenticate. A saved login is for huggingface.co only; see ``Access.credential``."""
    from huggingface_hub import constants

    return "set HF_TOKEN or run 'hf auth login'" if constants.ENDPOINT == PUBLIC_HUB else "set HF_TOKEN or pass a token"


def _text(error: BaseException) -> str:
    """The message of *error* or of the server, in one line of at most 300 characters."""
    from huggingface_hub.errors import OfflineModeIsEnabled

    if isinstance(error, OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set"
    if isinstance(error, RuntimeError) and error.__cause__:
        error = error.__cause__
    text = getattr(error, "server_message", None) or str(error) or type(error).__name__
    line = in_one_line(masked(text.partition("For more information check")[0]), 300).rstrip(".")
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status and str(status) not in line:
        line = f"{line.rstrip(':')} (HTTP {status})"
    return f"{line}; {_login()}" if status in (401, 403) else line
