"""Corruptions of images, for pretext tasks."""

from __future__ import annotations

from umzoo.hookspecs import Register, hookimpl


@hookimpl
def register_corruptions(register: Register) -> None:
    """Register the corruptions that ship with umzoo."""
    from umzoo.corruptions.bezier import Bezier
    from umzoo.corruptions.flip import Flip
    from umzoo.corruptions.gamma import Gamma
    from umzoo.corruptions.local_shuffle import LocalShuffle
    from umzoo.corruptions.noise import Noise
    from umzoo.corruptions.paint import Paint

    for corruption in (Flip, LocalShuffle, Bezier, Paint, Noise, Gamma):
        register(corruption)
