"""Calls to the Hub are tried again when the connection breaks or the server is busy; the client gives up on both."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable
from typing import TypeVar
from urllib.error import HTTPError

from umzoo.hub.errors import client_errors

log = logging.getLogger(__name__)

PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds before each new try; a server may ask for more with Retry-After."""
LONGEST_PAUSE = 60.0
BUSY = frozenset((408, 429, 500, 502, 503, 504))
OURS = frozenset(
    (errno.ENOSPC, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)
    + ((errno.EDQUOT,) if hasattr(errno, "EDQUOT") else ())
)
"""Errors of this machine, which no new try puts right."""

Result = TypeVar("Result")


def retry(action: Callable[[], Result], what: str, tries: int = 5) -> Result:
    """Return what *action* returns, trying again after a broken connection or a busy server.

    Args:
        action: the call, which must be harmless to repeat.
        what: what it is about, for the log.
        tries: how often it is called at most, 1 to 5.

    Raises:
        Exception: the last error of *action*, as it is.
    """
    for pause in PAUSES[: tries - 1]:
        try:
            return action()
        except client_errors() as error:
            wanted = transient(error, pause)
            if wanted is None:
                raise
            log.warning("%s: %s; trying again in %g s", what, type(error).__name__, wanted)
        time.sleep(wanted)
    return action()


def transient(error: BaseException, pause: float = 0.0) -> float | None:
    """Return the seconds to wait after *error* before a new try makes sense; None if it makes none.

    Args:
        error: what the client raised.
        pause: seconds to wait if the server asks for no more.
    """
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    if isinstance(error, (LocalEntryNotFoundError, OfflineModeIsEnabled, ValueError)):
        return None
    response = getattr(error, "response", None)
    if isinstance(error, HfHubHTTPError) and response is not None:
        asked = max(pause, _seconds(response.headers.get("Retry-After", "")))
        return asked if response.status_code in BUSY and asked <= LONGEST_PAUSE else None
    if isinstance(error, HTTPError):
        return pause if error.code in BUSY else None
    return None if getattr(error, "errno", None) in OURS else pause


def _seconds(text: str) -> float:
    """The number in a header ``Retry-After``; 0 if it is none (a date)."""
    return float(text) if text.strip().isdecimal() else 0.0
