"""Retries calls to the Hub if the connection breaks or the server is busy; the client does not retry either."""

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
"""Seconds before each retry; a server may ask for more with Retry-After."""
LONGEST_PAUSE = 60.0
BUSY = frozenset((408, 429, 500, 502, 503, 504))
OURS = frozenset(
    (errno.ENOSPC, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)
    + ((errno.EDQUOT,) if hasattr(errno, "EDQUOT") else ())
)
"""Local errors, which a retry does not fix."""

Result = TypeVar("Result")


def retry(action: Callable[[], Result], what: str, tries: int = 5) -> Result:
    """Return the result of *action*, retrying after a broken connection or a busy server.

    Args:
        action: the call, which must be safe to repeat.
        what: description for the log.
        tries: maximum number of calls, 1 to 5.

    Raises:
        Exception: the last error of *action*, unchanged.
    """
    for pause in PAUSES[: tries - 1]:
        try:
            return action()
        except client_errors() as error:
            wanted = transient(error, pause)
            if wanted is None:
                raise
            log.warning("%s: %s; retrying in %g s", what, type(error).__name__, wanted)
        time.sleep(wanted)
    return action()


def transient(error: BaseException, pause: float = 0.0) -> float | None:
    """Return the seconds to wait after *error* before a retry; None if a retry makes no sense.

    Args:
        error: exception of the client.
        pause: seconds to wait unless the server asks for more.
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
    """The number in a header ``Retry-After``; 0 if it is not a number (a date)."""
    return float(text) if text.strip().isdecimal() else 0.0
