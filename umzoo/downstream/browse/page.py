"""A self-contained HTML file: pictures are embedded, and it needs neither network nor server."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from umzoo.printable import printable

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1rem; color: #222; }
h1, h2, h3 { line-height: 1.2; overflow-wrap: anywhere; }
img { max-width: 100%; height: auto; }
figure { margin: 1rem 0; display: inline-block; vertical-align: top; max-width: 100%; }
figure.stack { width: 18rem; margin-right: 1rem; }
figure.stack img { width: 100%; background: #000; }
figure input { width: 100%; }
figcaption { color: #555; font-size: 0.85rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.9rem; }
th, td { text-align: left; padding: 0.25rem 0.75rem 0.25rem 0; border-bottom: 1px solid #ddd; vertical-align: top; }
pre { background: #f5f5f5; padding: 0.75rem; overflow-x: auto; font-size: 0.85rem; }
@media (max-width: 40rem) { figure.stack { width: 100%; } }
"""
SCRIPT = """
for (const figure of document.querySelectorAll("figure.stack")) {
  const slices = JSON.parse(figure.querySelector("script").textContent);
  const image = figure.querySelector("img"), slider = figure.querySelector("input");
  slider.addEventListener("input", () => { image.src = slices[slider.value]; });
  image.addEventListener("wheel", (event) => {
    event.preventDefault();
    slider.value = Number(slider.value) + Math.sign(event.deltaY);
    image.src = slices[slider.value];
  }, { passive: false });
}
"""
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}


class Page:
    """Collects the content of a page, from top to bottom.

    Args:
        title: heading of the page and title of the browser tab.
    """

    def __init__(self, title: str) -> None:
        self.title, self._parts = title, [f"<h1>{_text(title)}</h1>"]

    def heading(self, text: str) -> None:
        """Begin a section."""
        self._parts.append(f"<h2>{_text(text)}</h2>")

    def paragraph(self, text: str) -> None:
        """Add plain text."""
        self._parts.append(f"<p>{_text(text)}</p>")

    def code(self, text: str) -> None:
        """Add preformatted text."""
        lines = "\n".join(_text(line) for line in text.splitlines())
        self._parts.append(f"<pre>{lines}</pre>")

    def table(self, rows: Sequence[Sequence[Any]], header: Sequence[str] = ()) -> None:
        """Add a table of *rows*, with an optional *header*."""
        lines = [_row("th", header)] if header else []
        lines += [_row("td", row) for row in rows]
        self._parts.append(f'<div class="wide"><table>{"".join(lines)}</table></div>')

    def facts(self, known: Mapping[str, Any]) -> None:
        """Add names and values as a table; empty values are left out."""
        self.table([(name, value) for name, value in known.items() if value not in (None, "", (), {}, [])])

    def picture(self, file: Path, caption: str = "") -> None:
        """Add the picture in *file*, PNG or JPEG."""
        image = f'<img src="{data_uri(file.read_bytes(), TYPES[file.suffix.lower()])}" alt="{_text(file.stem)}">'
        self._parts.append(f"<figure>{image}<figcaption>{_text(caption)}</figcaption></figure>")

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
            f'<figcaption>{_text(caption)}</figcaption><script type="application/json">[{listed}]</script></figure>'
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
            f"<title>{_text(self.title)}</title><style>{STYLE}</style>"
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


def _row(tag: str, cells: Sequence[Any]) -> str:
    return f"<tr>{''.join(f'<{tag}>{_text(cell)}</{tag}>' for cell in cells)}</tr>"


def _text(value: object) -> str:
    return escape(printable(value))


def _printable_lines(text: str) -> str:
    return "\n".join(printable(line) for line in text.splitlines())
