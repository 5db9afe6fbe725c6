"""Who is judged on and who is trained on: a hash of each subject's name says it, for pre-training and studies alike."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

TEST, DEVELOPMENT = 0.3, 0.5
"""Shares of the hash below which a subject is judged on in the end, and while choices are made."""


def place(folder: str, subject: str) -> float:
    """Return where *subject* lies in [0, 1)."""
    digest = hashlib.sha256(f"umzoo-evidence:{folder}:{subject}".encode()).hexdigest()
    return float(int(digest[:8], 16) / 2**32)


def part(folder: str, subject: str) -> str:
    """Return what *subject* is for: ``test``, ``dev`` or ``train``."""
    where = place(folder, subject)
    return "test" if where < TEST else "dev" if where < DEVELOPMENT else "train"


def read_manifest(data: Path) -> list[dict[str, str]]:
    """Return the rows of ``manifest.csv`` in *data*."""
    with (data / "manifest.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
