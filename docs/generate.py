"""Writes the pages that are made from the code: ``python docs/generate.py``. ``tests/test_docs.py`` compares them."""

from __future__ import annotations

from pathlib import Path

from reference import api, gallery, recipes, zoo

PAGES = {"api.md": api.render, "recipes.md": recipes.render, "zoo.md": zoo.render}
DOCS = Path(__file__).parent
GALLERY = DOCS / "gallery"


def main() -> None:
    """Write all pages.

    Raises:
        SystemExit: if a package under ``plugins/`` is not installed, which the page on the zoo needs.
    """
    if missing := zoo.missing_packages():
        raise SystemExit(f"not installed: {', '.join(missing)}; 'make' installs all packages under plugins/")
    for name, render in PAGES.items():
        (DOCS / name).write_text(render(), encoding="utf-8")
    pages = gallery.render()
    GALLERY.mkdir(exist_ok=True)
    for file in GALLERY.glob("*.md"):
        if file.name not in pages:
            file.unlink()
    for name, text in pages.items():
        (GALLERY / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
