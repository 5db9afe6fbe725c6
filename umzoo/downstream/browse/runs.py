"""The pages of pre-trainings and fine-tunings: values, curves, pictures, and what was transferred."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from umzoo.downstream.browse.page import Page
from umzoo.downstream.browse.transfer import add_report
from umzoo.downstream.finetune.summary import SUMMARY, formatted
from umzoo.engine.log import read_metrics
from umzoo.errors import ConfigError, in_one_line
from umzoo.files import read_json, read_text
from umzoo.weights.transfer.saved_report import REPORT, read_report

PANELS = 6
"""Panels of a run that are shown, at most: the newest."""


def pretraining_page(folder: Path) -> Page:
    """Return the page of the run of ``umzoo pretrain`` in *folder*."""
    page = Page(f"Run {folder.name}")
    _add_log(page, folder)
    if panels := sorted((folder / "pictures").glob("panel-*.png"))[-PANELS:]:
        page.heading("Panels")
        for file in reversed(panels):
            page.picture(file, file.stem)
    _add_transfer(page, folder)
    page.heading("Recipe")
    page.code(read_text(folder / "recipe.toml"))
    return page


def finetuning_page(folder: Path) -> Page:
    """Return the page of the run of ``umzoo finetune`` in *folder*.

    Raises:
        ConfigError: if its summary is damaged.
    """
    page = Page(f"Fine-tuning {folder.name}")
    if (folder / SUMMARY).is_file():
        summary = read_json(folder / SUMMARY, "metrics", remedy="train it again")
        page.facts({name: summary.get(name) for name in ("task", "kind", "train", "validation", "step")})
        _add_scores(page, "Validation", summary, str(summary.get("note", "")))
        if "test" in summary:
            _add_scores(page, "Test", summary["test"], "judged once, in the end")
    _add_log(page, folder)
    if (answers := folder / "pictures" / "validation.png").is_file():
        page.heading("Predictions")
        page.picture(answers)
    _add_transfer(page, folder)
    return page


def _add_scores(page: Page, title: str, scores: Mapping[str, Any], note: str) -> None:
    page.heading(title)
    try:
        page.facts(formatted(scores))
    except (AttributeError, TypeError, ValueError) as error:
        raise ConfigError(f"{page.title}: its summary is damaged ({in_one_line(error, 120)}): train it again") from None
    page.paragraph(note)


def _add_log(page: Page, folder: Path) -> None:
    last: dict[str, float] = {}
    for line in read_metrics(folder / "metrics.jsonl") if (folder / "metrics.jsonl").is_file() else ():
        last |= {name: value for name, value in line.items() if value is not None}
    page.heading("Last values")
    page.facts({name: f"{value:.6g}" for name, value in last.items()})
    if (curves := folder / "pictures" / "curves.png").is_file():
        page.heading("Curves")
        page.picture(curves)


def _add_transfer(page: Page, folder: Path) -> None:
    if (folder / REPORT).is_file():
        page.heading("Weights that it began with")
        add_report(page, read_report(folder))
