"""A self-contained HTML file: pictures are embedded, and it needs neither network nor server."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from umzoo.downstream.browse.page_parts import POLICY, SCRIPT, STYLE
from umzoo.printable import printable

TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}


class Page:
    """Collects the content of a page, from top to bottom.

    Args:
        title: heading of the page and title of the browser tab.
    """

    def __init__(self, title: str) -> None:
        self.title, self._parts = title, [f"<h1>{escaped(title)}</h1>"]

    def add(self, html: str) -> None:
        """Add *html*, the texts in which are :func:`escaped`."""
        self._parts.append(html)

    def heading(self, text: str) -> None:
        """Begin a section."""
        self._parts.append(f"<h2>{escaped(text)}</h2>")

    def paragraph(self, text: str) -> None:
        """Add plain text."""
        self._parts.append(f"<p>{escaped(text)}</p>")

    def code(self, text: str) -> None:
        """Add lines of text as they are."""
        lines = "\n".join(escaped(line) for line in text.splitlines())
        self._parts.append(f"<pre>{lines}</pre>")

    def table(self, rows: Sequence[Sequence[Any]], header: Sequence[str] = ()) -> None:
        """Add *rows* of a table, below a *header* if there is one."""
        self._parts.append(table(rows, header))

    def facts(self, known: Mapping[str, Any]) -> None:
        """Add names and values as a table; empty values are left out."""
        self.table([(name, value) for name, value in known.items() if value not in (None, "", (), {}, [])])

    def picture(self, file: Path, caption: str = "") -> None:
        """Add the picture in *file*, PNG or JPEG."""
        image = f'<img src="{data_uri(file.read_bytes(), TYPES[file.suffix.lower()])}" alt="{escaped(file.stem)}">'
        self._parts.append(f"<figure>{image}<figcaption>{escaped(caption)}</figcaption></figure>")

    def stack(self, slices: Sequence[bytes], caption: str, ratio: float) -> None:
        """Add JPEG *slices* with a slider, which starts at the middle slice.

        Args:
            slices: slices of one volume, in order.
            caption: text below the picture.
            ratio: physical width of a slice over its height.
        """
        uris, middle = [data_uri(it, "image/jpeg") for it in slices], len(slices) // 2
        listed = ",".join(f'"{uri}"' for uri in uris)
        self._parts.append(
            f'<figure class="stack"><img src="{uris[middle]}" style="aspect-ratio: {ratio:.4f}" alt="slice">'
            f'<input type="range" min="0" max="{len(uris) - 1}" value="{middle}" aria-label="slice">'
            f'<figcaption>{escaped(caption)}</figcaption><script type="application/json">[{listed}]</script></figure>'
        )

    def markdown(self, text: str, folder: Path) -> None:
        """Add Markdown *text* with pictures from *folder*; HTML in it is escaped."""
        from markdown_it import MarkdownIt

        body = re.sub(r"\A---\n.*?\n---\n|<!--.*?-->\n?", "", text, flags=re.DOTALL)
        html = MarkdownIt("commonmark", {"html": False}).enable("table").render(_printable_lines(body))
        html = html.replace("<table>", '<div class="wide"><table>').replace("</table>", "</table></div>")
        self._parts.append(re.sub(r'<img src="([^"]*)"', lambda found: _embedded(found[1], folder), html))

    def write(self, file: Path) -> None:
        """Write the page to *file*."""
        from umzoo.files import replace_text

        head = (
            f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY}">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{escaped(self.title)}</title><style>{STYLE}</style>"
        )
        body = "\n".join([*self._parts, f"<script>{SCRIPT}</script>"])
        file.parent.mkdir(parents=True, exist_ok=True)
        replace_text(
            file,
            f"<!doctype html><html lang=en><head>{head}</head><body>{body}</body></html>\n",
        )


def data_uri(content: bytes, kind: str) -> str:
    """Return *content* of MIME type *kind* as a data URI."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _embedded(name: str, folder: Path) -> str:
    """Return the start of an ``img`` tag with the embedded picture *name*; empty if *folder* has no such picture."""
    file = folder / name
    if Path(name).name != name or file.suffix.lower() not in TYPES or file.is_symlink() or not file.is_file():
        return '<img src=""'
    return f'<img src="{data_uri(file.read_bytes(), TYPES[file.suffix.lower()])}"'


def table(rows: Sequence[Sequence[Any]], header: Sequence[str] = ()) -> str:
    """Return *rows* of texts as a table, below a *header* if there is one."""
    lines = [_row("th", header)] if header else []
    lines += [_row("td", row) for row in rows]
    return f'<div class="wide"><table>{"".join(lines)}</table></div>'


def _row(tag: str, cells: Sequence[Any]) -> str:
    return f"<tr>{''.join(f'<{tag}>{escaped(cell)}</{tag}>' for cell in cells)}</tr>"


def escaped(value: object) -> str:
    """Return *value* as text in HTML."""
    return escape(printable(value))


def _printable_lines(text: str) -> str:
    return "\n".join(printable(line) for line in text.splitlines())
