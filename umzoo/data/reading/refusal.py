"""Reasons for refusing a scan."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path

from umzoo.errors import DataError, in_one_line

_ITK = re.compile(r"^.* ITK ERROR: \w+\(0x[0-9a-f]+\): | for reading\. Reason: No such file or directory$")
"""ITK's text around a reason: locations in its source, and the last error number even if unrelated."""
_MOST = 500
"""Maximum characters of a detail, which may quote texts of files."""


class Reason(str, Enum):
    """The short name of a reason, as the report counts it."""

    TWO_D = "2-D"
    THIN = "too thin"
    COLOR = "RGB"
    COMPLEX = "complex"
    VECTOR = "vector field"
    NOT_FINITE = "NaN"
    CONSTANT = "constant"
    LABELS = "label map"
    GEOMETRY = "geometry"
    SLICES = "missing slices"
    UNEVEN = "uneven slices"
    MIXED = "mixed images"
    NOT_A_VOLUME = "not a volume"
    UNREADABLE = "unreadable"
    PACKED = "packed"
    MEMORY = "out of memory"
    DIED = "process died"
    FAILED = "failed"
    REMOVED = "removed"
    STORE = "store not writable"


class Refused(DataError):  # noqa: N818 - the name describes it
    """A scan that is not added to the store.

    Args:
        reason: reason in the counts of the report.
        detail: one sentence for the user, without absolute paths.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        detail = in_one_line(detail, _MOST)
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason.value}: {self.detail}"


def one_line(error: BaseException, *hide: str, limit: int = 160) -> str:
    """The message of *error* in one line, with the paths in *hide* shortened to their file names."""
    text = str(error)
    for path in sorted(hide, key=len, reverse=True):
        text = text.replace(path, path.replace("\\", "/").rsplit("/", 1)[-1])
    text = _ITK.sub("", " ".join(text.split())) or type(error).__name__
    return text if len(text) <= limit else "..." + text[-limit:]


@contextmanager
def guarded(files: Sequence[str]) -> Iterator[None]:
    """Convert exceptions of a reader for corrupted *files* to a refusal."""
    try:
        yield
    except (Refused, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - third-party readers raise anything on damaged files
        folders = {f"{Path(file).parent}/" for file in files}
        raise Refused(Reason.UNREADABLE, one_line(error, *files, *folders)) from None
