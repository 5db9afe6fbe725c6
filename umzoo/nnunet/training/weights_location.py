"""Where the weights of derived plans are on this machine: a file beside the plans, which nnU-Net does not copy.

Plans go into results, checkpoints and exported models, and with them to others; a path is nobody else's business.
"""

from __future__ import annotations

import json
from pathlib import Path

from umzoo.config import Config
from umzoo.files import read_json, replace_text


class Where(Config):
    """The reference as the user gave it, and the folder that it named then."""

    asked: str
    folder: str

    def names(self, reference: str) -> bool:
        """Whether *reference* means the same."""
        return reference == self.asked or str(Path(reference).resolve()) == self.folder


def where_file(plans: Path) -> Path:
    """Return the file that belongs to *plans*."""
    return plans.with_suffix(".where.json")


def write_where(plans: Path, asked: str, folder: Path) -> None:
    """Note for *plans* that *asked* named *folder*."""
    replace_text(where_file(plans), json.dumps({"asked": asked, "folder": str(folder.resolve())}) + "\n")


def read_where(plans: Path) -> Where | None:
    """Return what is noted for *plans*; None if there is nothing.

    Raises:
        ConfigError: if it is damaged.
    """
    file = where_file(plans)
    if not file.is_file():
        return None
    remedy = "remove it, and convert the weights again"
    return Where.parse(read_json(file, remedy=remedy), file.name)
