"""Names of plans, which nnU-Net uses in folder names: TRAINER__PLANS__CONFIGURATION."""

from __future__ import annotations

import re
from pathlib import Path

from umzoo.errors import ConfigError

LONGEST = 150
"""Maximum length in characters; file systems limit names to 255."""


def check_name(name: str) -> None:
    """Check that nnU-Net can parse the *name* of plans from folder names.

    Raises:
        ConfigError: if it has characters other than letters, digits, '-', '.', '+' and single '_', or is too long.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.+-]*(_[A-Za-z0-9.+-]+)*", name, re.ASCII):
        raise ConfigError(
            f"plans cannot be called '{name}': use letters, digits, '-', '.', and single '_' between them,"
            " because nnU-Net uses the name in a folder name and splits that at '__'"
        )
    if len(name) > LONGEST:
        raise ConfigError(f"plans cannot have a name of {len(name)} characters, {LONGEST} at most: choose a --name")


def word_of(reference: str, sha256: str | None) -> str:
    """Return a word for the weights *reference* in names of plans: their name and the start of their checksum.

    For a folder, it holds the folder's name without its path. Different weights have different words.
    """
    text = reference.removeprefix("hf-hub:").removeprefix("local-dir:")
    name = Path(text).resolve().name if Path(text).is_dir() else text.partition("@")[0]
    word = re.sub(r"[^A-Za-z0-9.]+", "_", name)[:60].strip("_.")
    return f"{word or 'weights'}_{(sha256 or 'unknown')[:8]}"
