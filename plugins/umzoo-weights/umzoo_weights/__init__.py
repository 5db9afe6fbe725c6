"""Weights included in this package: ``umzoo.from_pretrained("plainconv_unet.vox2vec_tiny")``."""

from __future__ import annotations

from collections.abc import Callable

import umzoo
from umzoo.weights.catalog.entry import WeightsEntry

VOX2VEC_TINY = WeightsEntry(
    name="plainconv_unet.vox2vec_tiny",
    location="package:umzoo_weights/vox2vec_tiny",
    license="CC-BY-SA-4.0",
    description="restoration and vox2vec on 203 small crops of MR and CT, 0.3 M parameters; for trying out",
)


@umzoo.hookimpl
def register_weights(register: Callable[[WeightsEntry], None]) -> None:
    """Register the weights in this package."""
    register(VOX2VEC_TINY)
