import resource
import subprocess
import sys
from pathlib import Path

import pytest

from umzoo import __version__
from umzoo.cli import main
from umzoo.errors import ComponentError

ROOT = Path(__file__).resolve().parents[2]
UMZOO = [sys.executable, "-m", "umzoo"]


def run(*arguments, **options):
    return subprocess.run([*UMZOO, *arguments], capture_output=True, text=True, cwd=ROOT, timeout=120, **options)


def test_version():
    assert run("--version").stdout == f"umzoo {__version__}\n"


def test_help_names_every_command():
    text = run("--help").stdout
    for command in (
        "quickstart",
        "prepare",
        "data",
        "pretrain",
        "export",
        "info",
        "list",
        "plugins",
        "import",
        "nnunet",
    ):
        assert f" {command} " in text


def test_errors_are_one_line_and_exit_code_2():
    done = run("data", "nowhere")
    assert done.returncode == 2
    assert done.stderr.startswith("error: nowhere is neither a store") and done.stderr.count("\n") == 1


def test_verbose_adds_the_traceback():
    done = run("--verbose", "data", "nowhere")
    assert done.returncode == 2 and "Traceback" in done.stderr


def test_the_log_is_a_line_per_message_in_a_pipe():
    program = (
        "import logging, sys, umzoo.cli, umzoo.data.loading.open_store\n"
        "def fail(*a): logging.getLogger('umzoo').warning('word ' * 50); sys.exit(0)\n"
        "umzoo.data.loading.open_store.open_store = fail\n"
        "sys.argv = ['umzoo', 'data', 'x']\n"
        "umzoo.cli.main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == f"WARNING {'word ' * 50}\n"


def test_a_failing_component_is_one_line_with_a_way_to_the_traceback(monkeypatch, capsys):
    def fail():
        raise ComponentError("pretext task 'mine' failed in loss, mine.py line 3: KeyError: 'x'") from KeyError("x")

    monkeypatch.setattr("umzoo.cli.make_app", lambda: fail)
    with pytest.raises(SystemExit):
        main()
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith("error: pretext task 'mine' failed") and hint == "the traceback: umzoo -v ..."


def test_an_unknown_command_is_a_usage_error():
    done = run("pretain")
    assert done.returncode == 2 and "pretain" in done.stderr and "Traceback" not in done.stderr


def test_a_closed_pipe_is_no_error():
    done = subprocess.run(
        f"'{sys.executable}' -m umzoo list recipes | true",
        shell=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert "Traceback" not in done.stderr and "Error" not in done.stderr


@pytest.mark.parametrize("error, code", [("KeyboardInterrupt", 130), ("PermissionError(13, 'no', 'x')", 2)])
def test_interruption_and_system_errors(error, code):
    program = (
        "import umzoo.cli, umzoo.data.loading.open_store, sys\n"
        f"def fail(*a): raise {error}\n"
        "umzoo.data.loading.open_store.open_store = fail\n"
        "sys.argv = ['umzoo', 'data', 'x']\n"
        "umzoo.cli.main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == code and "Traceback" not in done.stderr


def test_starts_quickly():
    """In CPU time beside what typer's help takes by itself: ``import umzoo`` a third, ``umzoo --help`` twice of it."""

    def shares():
        """Of one round, so that a machine that becomes slower in between makes no difference."""
        bare, peer, package, command = (
            _cpu_seconds(sys.executable, *options)
            for options in (
                ("-c", "pass"),
                ("-c", "import typer.rich_utils"),
                ("-c", "import umzoo"),
                ("-m", "umzoo", "--help"),
            )
        )
        return (package - bare) / (peer - bare), (command - bare) / (peer - bare)

    packages, commands = zip(*(shares() for _ in range(5)), strict=True)
    assert min(packages) < 1 / 3
    assert min(commands) < 2


def _cpu_seconds(*command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, capture_output=True, check=True, cwd=ROOT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
