"""Runs importers on untrusted files, and turns any failure into one clear error."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from umzoo.errors import UmzooError, WeightsError, in_one_line
from umzoo.plugins import zoo

_MALFORMED = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""Exceptions of Python and torch for malformed files."""


def run_importer(spec: str | Mapping[str, Any], source: Path, out: Path, license: str = "unknown") -> None:
    """Run the importer of *spec* on *source*, and write a weights folder to *out*.

    Raises:
        ConfigError: if an option is unknown or invalid.
        WeightsError: if *source* is corrupted or not supported by the importer, or a tensor does not fit.
    """
    importer = zoo().importers.build(spec)
    try:
        importer.run(source, out, license)
    except UmzooError:
        raise
    except _MALFORMED as error:
        reason = f"{type(error).__name__}: {in_one_line(error, 200)}"
        raise WeightsError(
            f"{source} is corrupted, or not supported by importer '{importer.name}' ({reason}): download it again, or"
            " use another importer"
        ) from error
