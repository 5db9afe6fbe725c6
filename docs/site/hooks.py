"""What the site does beside MkDocs: pages from outside ``docs/``, links that leave it, and the gallery's navigation."""

from __future__ import annotations

import ast
import os
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files, InclusionLevel

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = "repository"
"""Folder of the site for what lies outside ``docs/``."""
PATTERNS = (
    "*.md",
    "plugins/*/README.md",
    "benchmarks/results/**/*.png",
    "benchmarks/results/*.json",
    "CITATION.cff",
    "LICENSE",
)
LINK = re.compile(r"(\]\()([^)\s#]*)([^)]*\))")
API = re.compile(r"(?<=`\n\n)(?:(?!\n## ).)*?<!-- ::: umzoo\.(\w+) -->", re.DOTALL)
"""What stands below the heading of a public name: the site has the whole documentation in its place."""
WIDE = ("gallery/README.md", "methods.md")
"""Pages with a wide table, which takes the place of the table of contents."""


def on_config(config: Any) -> Any:
    """List the pages of the gallery below its index."""
    pages = sorted(file.name for file in (ROOT / "docs" / "gallery").glob("*.md"))
    pages.remove("README.md")
    for item in config.nav:
        if "Gallery" in item:
            item["Gallery"] = ["gallery/README.md", *({name.removesuffix(".md"): f"gallery/{name}"} for name in pages)]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the files outside ``docs/`` that pages link to; they need no place in the navigation."""
    for pattern in PATTERNS:
        for file in sorted(ROOT.glob(pattern)):
            path = f"{OUTSIDE}/{file.relative_to(ROOT).as_posix()}"
            files.append(File.generated(config, path, abs_src_path=str(file), inclusion=InclusionLevel.NOT_IN_NAV))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Turn links as they are in the repository into links of the site, and comments into documentation of the API."""
    source = page.file.src_uri

    def linked(match: re.Match[str]) -> str:
        return match[1] + _target(source, match[2], files) + match[3]

    if source in WIDE:
        page.meta["hide"] = ["toc"]
    return API.sub(lambda match: f"::: {_module(match[1])}.{match[1]}", LINK.sub(linked, markdown))


def _target(source: str, link: str, files: Files) -> str:
    """*link* of the page *source*; unchanged if it leads to nothing that is known, of which MkDocs warns."""
    if not link or ":" in link:
        return link
    path = posixpath.normpath(posixpath.join(posixpath.dirname(_in_repository(source)), link))
    for place in (path, posixpath.join(path, "README.md")):
        uri = place.removeprefix("docs/") if place.startswith("docs/") else f"{OUTSIDE}/{place}"
        if files.get_file_from_path(uri) is not None:
            return os.path.relpath(uri, posixpath.dirname(source) or ".")
    return link


def _in_repository(uri: str) -> str:
    """Path in the repository of a file of the site."""
    return uri.removeprefix(f"{OUTSIDE}/") if uri.startswith(f"{OUTSIDE}/") else f"docs/{uri}"


def _module(name: str) -> str:
    """Module that ``umzoo`` takes the public *name* from."""
    tree = ast.parse((ROOT / "umzoo" / "__init__.py").read_text(encoding="utf-8"))
    exports = next(
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "_EXPORTS"
    )
    return str(ast.literal_eval(exports)[name])
