"""Weights that come with this package: ``umzoo.from_pretrained("plainconv_unet.restoration_tiny")``."""

from __future__ import annotations

from collections.abc import Callable

import umzoo
from umzoo.weights.catalog.entry import WeightsEntry

RESTORATION_TINY = WeightsEntry(
    name="plainconv_unet.restoration_tiny",
    location="package:umzoo_weights/restoration_tiny",
    license="CC-BY-SA-4.0",
    description="restoration on 203 small crops of MR and CT, 0.3 M parameters; for trying out",
)


@umzoo.hookimpl
def register_weights(register: Callable[[WeightsEntry], None]) -> None:
    """Register the weights in this package."""
    register(RESTORATION_TINY)
