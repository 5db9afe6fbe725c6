"""Runs importers on untrusted files: any failure ends in one clear error."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from umzoo.errors import UmzooError, WeightsError, in_one_line
from umzoo.plugins import zoo

_MALFORMED = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What Python and torch raise where a file has something else than it should in some place."""


def run_importer(spec: str | Mapping[str, Any], source: Path, out: Path, license: str = "unknown") -> None:
    """Let the importer of *spec* read *source* and write a weights folder to *out*.

    Raises:
        ConfigError: if an option is unknown or wrong.
        WeightsError: if *source* is not what the importer reads, is damaged, or a tensor does not fit.
    """
    importer = zoo().importers.build(spec)
    try:
        importer.run(source, out, license)
    except UmzooError:
        raise
    except _MALFORMED as error:
        reason = f"{type(error).__name__}: {in_one_line(error, 200)}"
        raise WeightsError(f"{source} is damaged, or none that '{importer.name}' reads ({reason})") from error
