"""A study from protocol to page."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from umzoo.downstream.study.cells import Cell, finetunings, is_done, pretrainings
from umzoo.downstream.study.config import StudyConfig
from umzoo.downstream.study.launch import Launch, run_cells
from umzoo.downstream.study.report import PROTOCOL, write_report
from umzoo.downstream.study.tidy_rows import collect
from umzoo.errors import ConfigError
from umzoo.files import replace_text

Ended = Callable[[Cell, str], None]
"""Is told of each cell that has ended, and why it failed, if it did."""


class Study(NamedTuple):
    """What a study came to.

    Attributes:
        page: its ``README.md``.
        failed: cells that failed, each with the reason.
    """

    page: Path
    failed: dict[Cell, str]


def waiting(config: StudyConfig, out: Path) -> list[Cell]:
    """Return the cells that are not done, pre-trainings first."""
    return [cell for cell in (*pretrainings(config), *finetunings(config)) if not is_done(out / cell.name)]


def claim_study(config: StudyConfig, out: Path) -> None:
    """Write the protocol into *out*, a folder that is new, empty or a study's.

    Raises:
        ConfigError: if it holds something else.
    """
    if out.exists() and not (out / PROTOCOL).is_file() and (out.is_file() or any(out.iterdir())):
        raise ConfigError(f"{out} is not empty, and holds no study: choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    replace_text(out / PROTOCOL, json.dumps(config.model_dump(mode="json"), indent=1) + "\n")


def run_study(config: StudyConfig, how: Launch, ended: Ended = lambda cell, why: None) -> Study:
    """Run what is not done of the study in ``how.out``, and write rows and page.

    Pre-trainings come first; fine-tunings of a pre-training that failed fail with it. Rows are written after each
    cell, the page also where that is interrupted.

    Raises:
        ConfigError: if the folder holds something else.
    """
    claim_study(config, how.out)
    failed: dict[Cell, str] = {}
    try:
        for cells in (pretrainings(config), finetunings(config)):
            todo: Sequence[Cell] = [cell for cell in cells if not is_done(how.out / cell.name)]
            for cell, why in run_cells(config, todo, how) if todo else ():
                failed |= {cell: why} if why else {}
                collect(config, how.out)
                ended(cell, why)
    finally:
        collect(config, how.out)
        page = write_report(how.out)
    return Study(page, failed)
