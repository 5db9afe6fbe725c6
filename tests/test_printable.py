"""What others wrote is shown, and does nothing: in lines, tables, logs and errors, on a terminal or not."""

import ast
import io
import logging
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text

from umzoo.cli import _Printable
from umzoo.cli.output import say
from umzoo.cli.tables import fact_table
from umzoo.errors import WeightsError, in_one_line
from umzoo.printable import printable
from umzoo.terminal import Terminal

PACKAGE = Path(__file__).resolve().parents[1] / "umzoo"
HOSTILE = {
    "a title of the window": "\x1b]0;owned\x07",
    "the clipboard": "\x1b]52;c;ZWNobyBoaQ==\x07",
    "a link": "\x1b]8;;http://evil\x1b\\text\x1b]8;;\x1b\\",
    "a cleared screen": "\x1b[2J\x1b[H",
    "C1": "\x9b2J\x9d0;x\x9c",
    "carriage return and backspace": "safe\r\x08\x08evil",
    "text that runs backward": "gpj.\u202eexe",
    "what cannot be seen": "a\u200bb\ufeffc\U000e0041",
    "half a character": "\ud800",
}
ALLOWED = {"\n", "\t"}
each = pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())


def acts(text):
    """Whether anything in *text* is neither a character that can be seen nor white space."""
    return [it for it in text if it not in ALLOWED and not it.isprintable()]


@each
def test_text_is_shown_as_codes(text):
    assert acts(text) and not acts(printable(text)) and "evil" not in text or "evil" in printable(text)


def test_words_stay_as_they_are():
    for text in ("Schädel-MR, 3 T", "脳の画像", "a\tb\nc", "[bold]x[/]", "😀 é ḯ"):
        assert printable(text) == text


@each
def test_errors_and_lines(text, capsys):
    assert not acts(str(WeightsError(f"no weights {text}")))
    assert not acts(in_one_line(text)) and not acts(in_one_line(ValueError(text)))
    say(text)
    say(text, err=True, color="yellow")
    captured = capsys.readouterr()
    assert not acts(captured.out) and not acts(captured.err)


@each
@pytest.mark.parametrize("is_terminal", [True, False])
def test_tables_titles_and_text(text, is_terminal):
    """Nothing of it is markup either: ``[link=...]`` would make it a link, and ``[/]`` an error."""
    stream = io.StringIO()
    terminal = Terminal(file=stream, force_terminal=is_terminal, color_system=None, width=200)
    table = Table(text, title=f"{text}[link=http://evil]x[/link]")
    table.add_row(f"{text}[/nothing]")
    terminal.print(text, table, Text(text), f"[red]{text}[/x]")
    assert not acts(stream.getvalue()) and "[link=http" in stream.getvalue() and "[red]" in stream.getvalue()


@each
def test_facts(text, capsys):
    fact_table(f"weights {text}", {"license": text, "cite": f"{text}\n{text}"}).show()
    assert not acts(capsys.readouterr().out)


@each
def test_logs(text):
    record = logging.LogRecord("umzoo", logging.WARNING, __file__, 1, "weights %s", (text,), None)
    assert not acts(_Printable("%(levelname)s %(message)s").format(record))


def test_colors_are_kept():
    stream = io.StringIO()
    Terminal(file=stream, force_terminal=True, color_system="standard").print("x", style="red")
    assert stream.getvalue().startswith("\x1b[31mx")


def calls(file):
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


def test_there_is_one_way_to_the_terminal():
    """Consoles are :class:`Terminal`, lines of commands are :func:`say`."""
    direct = {"typer.echo", "click.echo", "print", "Console", "sys.stdout.write", "sys.stderr.write"}
    wrong = [(str(file), call) for file in PACKAGE.rglob("*.py") for call in calls(file) if call in direct]
    assert not wrong
    assert {str(file.name) for file in PACKAGE.rglob("*.py") if "typer.secho" in calls(file)} == {
        "output.py",
        "__init__.py",
    }
