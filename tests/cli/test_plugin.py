"""``umzoo plugin`` as an author meets it."""

import re

import pytest

from umzoo.authoring import check
from umzoo.authoring.check import Result
from umzoo.cli import plugin

ROWS = (
    Result("head", "mine", "builds", "yes", seconds=0.26),
    Result("head", "mine", "finite", "no", "the result must be [finite]"),
    Result("backbone", "mine", "batch of 1", "refused", "give it two"),
    Result("backbone", "mine", "CUDA", "n/a", "no CUDA device"),
)


@pytest.fixture
def found(monkeypatch):
    """Sets what the check finds; an exception is raised where it stands."""

    def find(*rows):
        def check_plugins(name, announce):
            assert name == "umzoo-mine"
            for row in rows:
                announce("mine", "something")
                if isinstance(row, BaseException):
                    raise row
                yield row

        monkeypatch.setattr(check, "check_plugins", check_plugins)

    return find


def test_check_prints_a_line_for_each_promise(found, run):
    found(*ROWS)
    lines = run("plugin", "check", "umzoo-mine", code=1).splitlines()
    assert lines[0].split("\t") == ["head", "mine", "builds", "yes", "0.3 s", ""]
    assert lines[1].split("\t") == ["head", "mine", "finite", "no", "0.0 s", "the result must be [finite]"]
    assert lines[-1] == "4 checks in 0 s: 1 yes, 1 no, 1 refused, 1 n/a"


def test_check_on_a_terminal(found, run, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    found(*ROWS)
    text = re.sub(r"\x1b\[[\d;?]*\w", "", run("plugin", "check", "umzoo-mine", code=1))
    lines = [line.rstrip() for line in text.splitlines()]
    assert lines.index("mine (head)") < lines.index("mine (backbone)")
    assert re.search(r"^  finite +no +0\.0 s the result must be \[finite\]$", "\n".join(lines), re.MULTILINE)


@pytest.mark.parametrize(("outcome", "code"), [("yes", 0), ("refused", 0), ("n/a", 0), ("no", 1), ("unknown", 1)])
def test_exit_codes_of_check(outcome, code, found, run):
    found(ROWS[0], Result("head", "mine", "finite", outcome))
    run("plugin", "check", "umzoo-mine", code=code)


def test_an_interrupted_check_keeps_what_is_known(found, run):
    found(ROWS[0], KeyboardInterrupt(), ROWS[1])
    output = run("plugin", "check", "umzoo-mine", code=130)
    assert "builds\tyes" in output and output.endswith("interrupted; 1 checks in 0 s: 1 yes\n")


def test_nothing_to_check(found, run):
    found()
    assert "nothing was checked" in run("plugin", "check", "umzoo-mine")


def test_new_says_what_to_do_next(tmp_path, capsys):
    plugin.new("my_thing", "head", tmp_path)
    made = tmp_path / "umzoo-my-thing"
    assert capsys.readouterr().out == f"wrote {made}; next: pip install -e '{made}[dev]', then pytest {made}\n"
