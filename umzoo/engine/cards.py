"""Cards that a plan may name: their memory, and what they compute."""

from __future__ import annotations

import re
from dataclasses import dataclass

from umzoo.errors import ConfigError, nearest

UTILIZATION = 0.3
"""Share of a card's peak that 3D networks reach; a rough figure, which pooling, norms and skips keep low."""


@dataclass(frozen=True)
class Card:
    """A card by its data sheet: memory in GB, peak of dense matrix products in TFLOP/s by precision."""

    memory: float
    half: float
    full: float

    def seconds(self, flops: float, precision: str) -> float:
        """Return about how long *flops* operations take in *precision*."""
        peak = self.full if precision == "fp32" else self.half
        return flops / (peak * 1e12 * UTILIZATION)


CARDS = {
    "rtx3090": Card(24, 71, 35.6),
    "rtx4090": Card(24, 165, 82.6),
    "rtx5090": Card(32, 210, 105),
    "v100": Card(32, 125, 15.7),
    "a40": Card(48, 150, 37.4),
    "a6000": Card(48, 155, 38.7),
    "l40s": Card(48, 362, 91.6),
    "a100": Card(80, 312, 19.5),
    "h100": Card(80, 989, 67),
    "h200": Card(141, 989, 67),
}
"""By name; fp32 without TF32, as PyTorch multiplies by default."""


def find_card(name: str) -> Card:
    """Return the card *name*, in whatever case.

    Raises:
        ConfigError: if it is not in the table.
    """
    key = name.lower().replace(" ", "").replace("-", "").removeprefix("nvidia")
    if key not in CARDS:
        raise ConfigError(f"no card '{name}'{nearest(key, CARDS)} (known: {', '.join(CARDS)})")
    return CARDS[key]


def bytes_of(memory: str) -> float:
    """Return the bytes of a text such as ``24``, ``24GB``, ``24 GiB`` or ``900 MB``; GB without a unit.

    Raises:
        ConfigError: if it is not an amount of memory.
    """
    units = {"": 1e9, "MB": 1e6, "GB": 1e9, "TB": 1e12, "MIB": 2.0**20, "GIB": 2.0**30, "TIB": 2.0**40}
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([MGT]I?B)?\s*", memory.upper())
    if not found or float(found[1]) == 0:
        raise ConfigError(f"'{memory}' is not an amount of memory: give one such as 24GB or 900MB")
    return float(found[1]) * units[found[2] or ""]
