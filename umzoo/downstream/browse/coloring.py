"""What the dots of a map are colored by: a class or a number for each vector."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from umzoo.downstream.pictures import CLASS_COLORS

UNKNOWN, OTHER = "#cccccc", "#888888"
"""Colors of what is not known, and of classes beyond those that have a color of their own."""
STEPS = 5
"""Colors in the legend of a number."""


@dataclass(frozen=True)
class Coloring:
    """A property of vectors.

    Attributes:
        name: of the property.
        texts: its value for each vector; empty where it is not known.
        numbers: the values ``(n,)`` where it is a number, NaN if not known; None of a class.
    """

    name: str
    texts: tuple[str, ...]
    numbers: NDArray[np.float64] | None = None

    @classmethod
    def of(cls, name: str, texts: Sequence[str]) -> Coloring:
        """Return the property with the values *texts*: a number if all are, and too many differ to be classes."""
        numbers = _numbers(texts) if len({*texts} - {""}) > len(CLASS_COLORS) else None
        return cls(name, tuple(texts), numbers)

    @classmethod
    def of_numbers(cls, name: str, values: NDArray[np.float64]) -> Coloring:
        """Return the property with the numbers *values* ``(n,)``."""
        return cls(name, tuple(f"{value:.4g}" for value in values), values)

    def of_rows(self, chosen: NDArray[np.int64]) -> Coloring:
        """Return that of the vectors *chosen*, by number."""
        numbers = None if self.numbers is None else self.numbers[chosen]
        return Coloring(self.name, tuple(self.texts[row] for row in chosen), numbers)

    @property
    def tells(self) -> bool:
        """Whether there is more than one value."""
        return len({*self.texts} - {""}) > 1

    @property
    def counts(self) -> dict[str, int]:
        """Vectors of each class, the most frequent first."""
        return dict(sorted(Counter(filter(None, self.texts)).items(), key=lambda item: (-item[1], item[0])))

    def colors(self) -> list[str]:
        """Return the color of each vector, as ``#rrggbb``."""
        if self.numbers is not None:
            return [UNKNOWN if np.isnan(value) else _shade(value) for value in self._scaled(self.numbers)]
        of_class = dict(zip(self.counts, CLASS_COLORS, strict=False))
        return [of_class.get(text, OTHER) if text else UNKNOWN for text in self.texts]

    def legend(self) -> list[tuple[str, str]]:
        """Return colors and what they mean."""
        unknown = [(UNKNOWN, f"unknown ({self.texts.count('')})")] if "" in self.texts else []
        if self.numbers is not None:
            marks = np.linspace(np.nanmin(self.numbers), np.nanmax(self.numbers), STEPS)
            shades = [(_shade(it), f"{mark:.4g}") for it, mark in zip(self._scaled(marks), marks, strict=True)]
            return shades + unknown
        named = [(color, name) for name, color in zip(self.counts, CLASS_COLORS, strict=False)]
        entries = [(color, f"{name} ({self.counts[name]})") for color, name in named]
        if others := list(self.counts.values())[len(CLASS_COLORS) :]:
            entries.append((OTHER, f"{len(others)} more ({sum(others)})"))
        return entries + unknown

    def _scaled(self, values: NDArray[np.float64]) -> list[float]:
        """*values* between 0 and 1 in the range of the numbers."""
        low, high = np.nanmin(self.numbers), np.nanmax(self.numbers)  # type: ignore[arg-type]
        scaled: list[float] = ((values - low) / ((high - low) or 1.0)).tolist()
        return scaled


def _numbers(texts: Sequence[str]) -> NDArray[np.float64] | None:
    try:
        values = np.array([float(text) if text else np.nan for text in texts])
    except ValueError:
        return None
    return None if np.isinf(values).any() else values


def _shade(value: float) -> str:
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return to_hex(colormaps["viridis"](value))
