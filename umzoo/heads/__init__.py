"""Heads: predictions from features."""

from __future__ import annotations

from umzoo.hookspecs import Register, hookimpl


@hookimpl
def register_heads(register: Register) -> None:
    """Register the built-in heads."""
    from umzoo.heads.pooled import Classification, Regression, Survival
    from umzoo.heads.projection import Projection
    from umzoo.heads.segmentation import Segmentation

    register(Segmentation)
    register(Classification)
    register(Regression)
    register(Survival)
    register(Projection)
