"""Names of plans, which nnU-Net makes names of folders of: TRAINER__PLANS__CONFIGURATION."""

from __future__ import annotations

import re
from pathlib import Path

from umzoo.errors import ConfigError

LONGEST = 150
"""Characters; file systems take names of 255."""


def check_name(name: str) -> None:
    """Refuse a *name* of plans that nnU-Net could not find again.

    Raises:
        ConfigError: if it is not of letters, digits, '-', '.', '+' and single '_' between them, or too long.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+-]*(_[A-Za-z0-9.+-]+)*", name, re.ASCII):
        raise ConfigError(
            f"plans cannot be called '{name}': use letters, digits, '-', '.', and single '_' between them,"
            " as nnU-Net makes a folder of the name and splits that at '__'"
        )
    if len(name) > LONGEST:
        raise ConfigError(f"plans cannot have a name of {len(name)} characters, {LONGEST} at most: choose a --name")


def word_of(reference: str, sha256: str | None) -> str:
    """Return the weights *reference* as a word of a name: what they are called, and the beginning of their sum.

    Of a folder only its own name is in it, no path; different weights never share a word.
    """
    text = reference.removeprefix("hf-hub:").removeprefix("local-dir:")
    name = Path(text).resolve().name if Path(text).is_dir() else text.partition("@")[0]
    word = re.sub(r"[^A-Za-z0-9.]+", "_", name)[:60].strip("_.")
    return f"{word or 'weights'}_{(sha256 or 'unknown')[:8]}"
