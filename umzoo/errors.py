"""Errors for users. Each message is one line: what was expected, what came, what to do."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable

from umzoo.printable import printable


class UmzooError(Exception):
    """Base class of all errors that umzoo raises on purpose. Control characters in its text are escaped."""

    def __str__(self) -> str:
        return printable(super().__str__())


class ConfigError(UmzooError, ValueError):
    """A recipe, an option or a command line value is wrong."""


class UnknownNameError(UmzooError, LookupError):
    """A name that is not registered."""


class PluginError(UmzooError):
    """A plug-in could not be loaded, or breaks the rules for plug-ins."""


class ComponentError(PluginError, AssertionError):
    """A component raised an exception, or returned something that its kind does not allow.

    It is also an ``AssertionError``, so that reports distinguish it from errors that a component raises on purpose.
    """


class DataError(UmzooError):
    """A scan, a store or a sample cannot be used."""


class WeightsError(UmzooError):
    """A weights folder is incomplete or altered, or does not fit."""


class CheckpointError(UmzooError):
    """A run checkpoint cannot be written or read."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` for the closest of *known*, or an empty string."""
    matches = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f" (did you mean {' or '.join(repr(match) for match in matches)}?)" if matches else ""


def in_one_line(reason: object, most: int = 500) -> str:
    """Return *reason*, such as a library's exception, as one line of at most *most* characters.

    For an exception without a text it is the name of the class.
    """
    line = printable(" ".join(str(reason).split()))
    if not line and isinstance(reason, BaseException):
        line = type(reason).__name__
    return line if len(line) <= most else f"{line[: most - 4]} ..."


_FILE_ERRORS = {
    errno.ENOTDIR: "is or lies below a file, where a folder is needed: choose another path",
    errno.EISDIR: "is a folder, where a file is needed: choose another name",
    errno.EEXIST: "exists already: choose another name",
    errno.ENOENT: "does not exist: check the path",
    errno.EACCES: "cannot be accessed (permission denied): change its permissions, or choose another path",
    errno.EPERM: "cannot be accessed (permission denied): change its permissions, or choose another path",
    errno.EROFS: "lies on a read-only file system: choose another path",
    errno.ENOSPC: "cannot be written, because the disk is full: free some space, and start again",
    errno.EDQUOT: "cannot be written, because your quota is used up: free some space, and start again",
    errno.EMFILE: "cannot be opened, because too many files are open: raise the limit, as with 'ulimit -n 4096'",
    errno.ENAMETOOLONG: "has too long a name: choose a shorter one",
}
"""The problem with a file and its remedy, by errno."""


def file_error(error: BaseException) -> str:
    """Return an ``OSError`` as a sentence that begins with the file, and other exceptions as their text."""
    reason = _FILE_ERRORS.get(getattr(error, "errno", None) or 0)
    file = getattr(error, "filename", None)
    return in_one_line(error) if reason is None or file is None else in_one_line(f"{file} {reason}")
