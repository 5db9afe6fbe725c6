"""Reads elements of a DICOM data set that may be absent, empty or malformed."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def text(data: Any, keyword: str) -> str:
    """An element as text, several values joined by a backslash; empty if absent."""
    value = data.get(keyword)
    if value is None:
        return ""
    return "\\".join(map(str, value)) if isinstance(value, (list, tuple)) or _is_multiple(value) else str(value).strip()


def _is_multiple(value: Any) -> bool:
    from pydicom.multival import MultiValue

    return isinstance(value, MultiValue)


def numbers(data: Any, keyword: str) -> tuple[float, ...]:
    """A number or several; empty if absent, malformed or not finite."""
    try:
        value = data.get(keyword)
        if value is None or value == "":
            return ()
        found = tuple(map(float, value)) if _is_multiple(value) or isinstance(value, list) else (float(value),)
    except (TypeError, ValueError):
        return ()
    return found if all(map(math.isfinite, found)) else ()


def rescale_of(data: Any) -> tuple[float, ...]:
    """Slope and intercept of a data set or of a functional group; empty if there are none."""
    slope, intercept = numbers(data, "RescaleSlope"), numbers(data, "RescaleIntercept")
    return ((slope or (1.0,))[0], (intercept or (0.0,))[0]) if slope or intercept else ()


def depth_of(data: Any) -> tuple[float, float]:
    """Slice thickness and distance of slices in mm; -1 if not recorded."""
    thickness, between = numbers(data, "SliceThickness"), numbers(data, "SpacingBetweenSlices")
    return (thickness or (-1.0,))[0], abs(between[0]) if between else -1.0


@contextmanager
def lenient() -> Iterator[None]:
    """Context in which pydicom reads files that violate the standard without warnings."""
    import pydicom

    settings = pydicom.config.settings
    before = settings.reading_validation_mode
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        settings.reading_validation_mode = pydicom.config.IGNORE
        try:
            yield
        finally:
            settings.reading_validation_mode = before
