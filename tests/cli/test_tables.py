"""Listings: whole names on a terminal of any width, one line per row in a pipe."""

import re

import pytest
from rich.text import Text

from umzoo.cli.tables import LEAST_ROOM, Listing, fact_table

LONG = "one two three " * 20


@pytest.fixture
def shown(monkeypatch, capsys):
    """What a listing prints on a terminal of a width, or without one into a pipe."""

    def call(listing, width=None):
        for name, value in (("FORCE_COLOR", "1"), ("COLUMNS", str(width))):
            monkeypatch.setenv(name, value) if width else monkeypatch.delenv(name, raising=False)
        listing.show()
        return [line.rstrip() for line in re.sub(r"\x1b\[\d*m", "", capsys.readouterr().out).splitlines()]

    return call


def listing(**options):
    rows = Listing("name", "size", "", **options)
    rows.add_row("a_rather_long_name", "", "first\n\nline")
    rows.add_row("b", "", Text(LONG, style="red"))
    return rows


def test_a_pipe_gets_one_line_per_row(shown):
    assert shown(listing(group="kind")) == ["kind\ta_rather_long_name\t\tfirst\tline", f"kind\tb\t\t{LONG.strip()}"]
    assert shown(listing(title="Title"))[:2] == ["Title", "a_rather_long_name\t\tfirst\tline"]


@pytest.mark.parametrize("width", [20, 40, 80, 400])
def test_a_terminal_gets_whole_names(shown, width):
    lines = shown(listing(group="kind"), width)
    assert lines[0].strip() == "kind" and any(line.startswith(" a_rather_long_name  ") for line in lines)
    assert max(map(len, lines)) <= max(width, len(" a_rather_long_name   ") + LEAST_ROOM + 1)
    assert " ".join(" ".join(lines).split()).count("one two three") == 20


def test_columns_without_text_are_left_out(shown):
    assert not any("size" in line for line in shown(listing(), 80))


def test_the_last_column_can_be_cut(shown):
    lines = shown(listing(cut=True), 80)
    (row,) = [line for line in lines if "one two" in line]
    assert row.endswith("…") and len(lines) == len(shown(listing(cut=True), 400))


def test_facts_leave_out_what_is_empty(shown):
    facts = fact_table("thing", {"none": None, "empty": "", "no": (), "zero": 0, "lines": "a\nb"})
    assert shown(facts) == ["thing", "zero\t0", "lines\ta\tb"]
    assert "b" in [line.strip() for line in shown(facts, 80)]
