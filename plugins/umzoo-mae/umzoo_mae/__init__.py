"""Masked autoencoding for umzoo: dense, with token dropping, or with masked convolutions."""

from __future__ import annotations

from typing import Any

import umzoo


@umzoo.hookimpl
def register_pretext_tasks(register: Any) -> None:
    """Register ``mae``."""
    from umzoo_mae.task import MaskedAutoencoding

    register(MaskedAutoencoding)
