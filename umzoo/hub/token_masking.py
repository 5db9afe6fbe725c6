"""Masking of tokens in texts of servers: a server receives tokens, and may repeat them."""

from __future__ import annotations

import os
import re
from urllib.parse import quote

_SHAPED = re.compile(r"\bhf_\w{8,}|(?i:(?<=bearer )|(?<=basic ))[\w.~+/=-]{6,}|(?<=://)[^/\s@]+:[^/\s@]+(?=@)")
"""Everything that has the form of a token or a password."""
LEAST = 4
"""Minimum length of a token; shorter strings could be part of any word."""
_known: set[str] = set()


def remember(token: str) -> None:
    """Mask *token* in all output from now on."""
    _known.add(token.strip())


def masked(text: str) -> str:
    """Return *text* with ``***`` for every known token, and for everything that looks like one."""
    from huggingface_hub import get_token

    here = (os.environ.get("HF_TOKEN", ""), os.environ.get("HUGGING_FACE_HUB_TOKEN", ""), get_token() or "")
    known = {token.strip() for token in (*_known, *here)}
    forms = {form for token in known if len(token) >= LEAST for form in (token, quote(token, safe=""), token[:40])}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, "***")
    return _SHAPED.sub("***", text)
