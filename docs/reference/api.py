"""The page on Python: every public name of ``umzoo``, with the first paragraph of its documentation."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import umzoo

INTRODUCTION = """\
# Python API

<!-- Written by docs/generate.py from the code: change the docstrings, then run it. -->

These names are the public API of `umzoo`; they stay compatible within a minor version. Images have the
shape `(B, C, D, H, W)`, spacing is in mm along (D, H, W), and CT numbers are in HU. `help(umzoo.from_pretrained)`
prints the full documentation of a name. The site built by `make docs` shows it here.
"""

ROLE = re.compile(r"(?::\w+:`~?|``)(.+?)`{1,2}")
"""Code in the docstrings' markup: two backticks, or a role such as ``:class:``."""


ALIASES = {"Fields": "A batch, a view or recorded draws: a dictionary of tensors by name."}
"""Type aliases, which have no docstring of their own, to their summaries."""


def render() -> str:
    """Return the whole page. The site replaces the comments by signatures and arguments."""
    return "\n".join([INTRODUCTION, *_sections()])


def _sections() -> Iterator[str]:
    for name in sorted(set(umzoo.__all__) - {"__version__"}, key=str.lower):
        summary = ALIASES.get(name) or (inspect.getdoc(getattr(umzoo, name)) or "").partition("\n\n")[0]
        yield f"## `umzoo.{name}`\n"
        yield ROLE.sub(r"`\1`", summary) + "\n"
        yield f"<!-- ::: umzoo.{name} -->\n"
