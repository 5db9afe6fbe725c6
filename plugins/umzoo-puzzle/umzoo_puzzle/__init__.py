"""Puzzles for umzoo: Rubik's cube recovery and jigsaw."""

from __future__ import annotations

from typing import Any

import umzoo


@umzoo.hookimpl
def register_pretext_tasks(register: Any) -> None:
    """Register ``jigsaw`` and ``rubik``."""
    from umzoo_puzzle.jigsaw import Jigsaw
    from umzoo_puzzle.rubik import Rubik

    for task in (Jigsaw, Rubik):
        register(task)
