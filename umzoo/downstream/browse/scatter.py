"""A map of vectors as a figure of a page: a dot for each, which says its name, and colors to choose from."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from umzoo.downstream.browse.coloring import OTHER, Coloring
from umzoo.downstream.browse.page import escaped

WIDTH, HEIGHT, MARGIN = 640, 480, 24
"""Size of the drawing, and the room around its dots, in units of its own: it is as wide as the page lets it be."""
HINT = "Point at a dot to see its name."


def scatter(
    title: str,
    places: NDArray[np.float64],
    names: Sequence[str],
    colorings: Sequence[tuple[Coloring, str]],
    caption: str,
    alone: bool = False,
) -> str:
    """Return the figure as HTML.

    Args:
        title: what is shown.
        places: ``(n, 2)``.
        names: what each dot says.
        colorings: with a note on each; the first is shown, and all can be chosen.
        caption: stands below.
        alone: make it wide, as no other stands beside it.
    """
    colors = [coloring.colors() for coloring, _ in colorings] or [[OTHER] * len(names)]
    x, y = _drawn(places)
    radius = 7 if len(names) <= 150 else 5 if len(names) <= 1000 else 3
    dots = "".join(
        f'<circle cx="{a:.1f}" cy="{b:.1f}" r="{radius}" fill="{color}"><title>{escaped(name)}</title></circle>'
        for a, b, color, name in zip(x, y, colors[0], names, strict=True)
    )
    parts = [_part(coloring, note, shown=number == 0) for number, (coloring, note) in enumerate(colorings)]
    kind = "map alone" if alone else "map"
    return (
        f'<figure class="{kind}"><strong>{escaped(title)}</strong> {_choice([it.name for it, _ in colorings])}'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escaped(title)}">{dots}</svg>'
        f"<output>{HINT}</output>{''.join(parts)}<figcaption>{escaped(caption)}</figcaption>"
        f'<script type="application/json">{json.dumps(colors)}</script></figure>'
    )


def _drawn(places: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where *places* lie in the drawing, in the middle of it and on one scale for both axes."""
    low, spread = places.min(axis=0), np.ptp(places, axis=0)
    room = np.array([WIDTH, HEIGHT]) - 2 * MARGIN
    scale = min((space / extent for space, extent in zip(room, spread, strict=True) if extent), default=1.0)
    x, y = ((places - low - spread / 2) * scale).T
    return WIDTH / 2 + x, HEIGHT / 2 - y


def _choice(names: Sequence[str]) -> str:
    """What is colored by, to be chosen where there are several."""
    if len(names) < 2:
        return "".join(f"by {escaped(name)}" for name in names)
    options = "".join(f'<option value="{number}">{escaped(name)}</option>' for number, name in enumerate(names))
    return f"<label>by <select>{options}</select></label>"


def _part(coloring: Coloring, note: str, shown: bool) -> str:
    """Legend and note of a coloring."""
    keys = "".join(
        f'<span class="key"><i style="background: {color}"></i>{escaped(label)}</span>'
        for color, label in coloring.legend()
    )
    hidden = "" if shown else " hidden"
    return f'<div class="coloring"{hidden}>{keys}<figcaption>{escaped(note)}</figcaption></div>'
