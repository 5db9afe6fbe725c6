"""Runs the notebooks and stores their outputs: ``make notebooks``. ``tests/test_notebooks.py`` compares both."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

NOTEBOOKS = Path(__file__).parent / "notebooks"
MADE_FROM = "made_from"
"""Key of the metadata with the digest of the code that the outputs are of."""


ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
"""Colors of a terminal."""


def main() -> None:
    """Run each notebook in a kernel and a folder of its own; the first cell that fails ends it all."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    os.environ |= {"OMP_NUM_THREADS": "1", "PATH": path}  # equal sums; umzoo of this environment
    for file in sorted(NOTEBOOKS.glob("*.ipynb")):
        execute(file)


def execute(file: Path) -> None:
    """Run the notebook *file*, and write it with its outputs."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(file, as_version=4)
    with TemporaryDirectory() as folder:
        where = {"metadata": {"path": folder}}
        options: dict[str, Any] = {"resources": where, "record_timing": False, "coalesce_streams": True}
        NotebookClient(notebook, kernel_name="python3", **options).execute()
    for cell in notebook.cells:
        tidy(cell)
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        MADE_FROM: digest(code(notebook)),
    }
    nbformat.write(notebook, file)


def tidy(cell: Any) -> None:
    """Leave out the log of *cell*, which tells how fast this machine is, and what an editor noted."""
    cell.metadata = {}
    if cell.cell_type == "code":
        cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
        for output in cell.outputs:
            if output.output_type == "stream":
                output.text = ESCAPES.sub("", output.text)


def code(notebook: Any) -> list[str]:
    """The code cells of *notebook*, a table as nbformat or JSON reads it."""
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def digest(cells: Iterable[str]) -> str:
    """Sum of the code cells."""
    return hashlib.sha256("\0".join(cells).encode()).hexdigest()


if __name__ == "__main__":
    main()
