"""Runs a study and writes its report."""

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
"""Callback for each finished cell, with the reason if it failed."""


class Study(NamedTuple):
    """Result of a study.

    Attributes:
        page: the report, ``README.md``.
        failed: failed cells with reasons.
    """

    page: Path
    failed: dict[Cell, str]


def waiting(config: StudyConfig, out: Path) -> list[Cell]:
    """Return the unfinished cells, pre-trainings first."""
    return [cell for cell in (*pretrainings(config), *finetunings(config)) if not is_done(out / cell.name)]


def claim_study(config: StudyConfig, out: Path) -> None:
    """Write the protocol into the folder *out*, which must be new, empty, or that of a study.

    Raises:
        ConfigError: if it holds something else.
    """
    if out.exists() and not (out / PROTOCOL).is_file() and (out.is_file() or any(out.iterdir())):
        raise ConfigError(f"{out} is not empty and holds no study: choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    replace_text(out / PROTOCOL, json.dumps(config.model_dump(mode="json"), indent=1) + "\n")


def run_study(config: StudyConfig, how: Launch, ended: Ended = lambda cell, why: None) -> Study:
    """Run the unfinished cells of the study in ``how.out``; write rows and report.

    Pre-trainings run first; if one fails, its fine-tunings fail too. Rows are updated after each cell. The report is
    written at the end, also after an interruption.

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
