"""Pages of the site from the notebooks as they are stored, with what they printed and drew. Nothing is run here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files
from nbconvert import MarkdownExporter

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
TEMPLATE = Path(__file__).with_name("notebook.md.j2")


def on_files(files: Files, config: Any) -> Files:
    """Add a page for each notebook, and its pictures; the notebook itself is there to download."""
    exporter = MarkdownExporter(template_file=str(TEMPLATE))
    for notebook in sorted(NOTEBOOKS.glob("*.ipynb")):
        names = {"unique_key": notebook.stem, "output_files_dir": "pictures"}
        text, resources = exporter.from_filename(str(notebook), resources=names)
        made = {f"{notebook.stem}.md": text, **resources["outputs"]}
        for name, content in made.items():
            files.append(File.generated(config, f"{NOTEBOOKS.name}/{name}", content=content))
    return files
