"""Location of the weights of derived plans on this machine, in a file next to the plans that nnU-Net does not copy.

Plans are copied into results, checkpoints and exported models, which are shared; local paths must not be in them.
"""

from __future__ import annotations

import json
from pathlib import Path

from umzoo.config import Config
from umzoo.files import read_json, replace_text


class Where(Config):
    """The reference given by the user, and the folder that it was resolved to."""

    asked: str
    folder: str

    def names(self, reference: str) -> bool:
        """Return whether *reference* means the same weights."""
        return reference == self.asked or str(Path(reference).resolve()) == self.folder


def where_file(plans: Path) -> Path:
    """Return the location file of *plans*."""
    return plans.with_suffix(".where.json")


def write_where(plans: Path, asked: str, folder: Path) -> None:
    """Store for *plans* that the reference *asked* was resolved to *folder*."""
    replace_text(where_file(plans), json.dumps({"asked": asked, "folder": str(folder.resolve())}) + "\n")


def read_where(plans: Path) -> Where | None:
    """Return the stored location for *plans*, or None.

    Raises:
        ConfigError: if the file is damaged.
    """
    file = where_file(plans)
    if not file.is_file():
        return None
    remedy = "remove it, and convert the weights again"
    return Where.parse(read_json(file, remedy=remedy), file.name)
