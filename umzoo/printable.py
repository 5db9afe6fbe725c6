"""Untrusted text for a terminal: nothing in it moves the cursor, hides, or sends anything."""

from __future__ import annotations

import re

_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e0fff]"
)
"""Control characters except tab and line feed; bidirectional marks, invisible characters, surrogates."""


def printable(text: object) -> str:
    """Return *text* with control characters and invisible characters escaped, such as ``\\x1b``."""
    return _UNPRINTABLE.sub(lambda found: _code(found.group()), str(text))


def _code(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
