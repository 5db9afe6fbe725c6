"""The report of a transfer, saved in the folder of the training run that starts from it."""

from __future__ import annotations

from pathlib import Path

from umzoo.errors import WeightsError, in_one_line
from umzoo.weights.transfer.report import TransferReport

REPORT = "umzoo_transfer.json"
"""File name of the report in run folders of umzoo and fold folders of nnU-Net."""


def save_report(report: TransferReport, folder: Path) -> None:
    """Write *report* into *folder*."""
    (folder / REPORT).write_text(report.to_json() + "\n", encoding="utf-8")


def read_report(folder: Path) -> TransferReport:
    """Return the report in *folder*.

    Raises:
        WeightsError: if there is none, or it is corrupted.
    """
    try:
        return TransferReport.model_validate_json((folder / REPORT).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{folder / REPORT} cannot be read: {in_one_line(error, 200)}") from None
