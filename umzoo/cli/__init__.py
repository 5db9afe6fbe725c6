"""The ``umzoo`` command. Modules of commands start fast: they import heavy packages inside their functions."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from umzoo import __version__
from umzoo.cli.browse import browse
from umzoo.cli.data import data
from umzoo.cli.embed import embed
from umzoo.cli.evaluate import evaluate
from umzoo.cli.finetune import finetune
from umzoo.cli.hub import bundle, push, search, space, unbundle
from umzoo.cli.launch import slurm as launch_slurm
from umzoo.cli.models import import_, info
from umzoo.cli.nnunet import train as nnunet_train
from umzoo.cli.nnunet_files import convert, plan
from umzoo.cli.output import say
from umzoo.cli.plugin import check as plugin_check
from umzoo.cli.plugin import new as plugin_new
from umzoo.cli.predict import predict
from umzoo.cli.prepare import prepare
from umzoo.cli.pretrain import export, pretrain
from umzoo.cli.quickstart import quickstart
from umzoo.cli.show import show
from umzoo.cli.signing import sign, verify
from umzoo.cli.store import compact as store_compact
from umzoo.cli.store import halve as store_halve
from umzoo.cli.store import pack as store_pack
from umzoo.cli.store import remove as store_remove
from umzoo.cli.store import verify as store_verify
from umzoo.cli.study import study
from umzoo.cli.zoo import list_, plugins
from umzoo.errors import ComponentError, UmzooError, file_error
from umzoo.printable import printable

if TYPE_CHECKING:
    from rich.console import Console

log = logging.getLogger("umzoo")

COMMANDS: dict[str, dict[str, Callable[..., None]]] = {
    "Start": {"quickstart": quickstart},
    "Data": {"prepare": prepare, "data": data},
    "Training": {"pretrain": pretrain, "export": export, "finetune": finetune},
    "Scans": {"embed": embed, "predict": predict},
    "Evidence": {"evaluate": evaluate, "study": study, "browse": browse},
    "Zoo": {"info": info, "list": list_, "show": show, "plugins": plugins, "import": import_},
    "Sharing": {
        "search": search,
        "push": push,
        "space": space,
        "bundle": bundle,
        "unbundle": unbundle,
        "sign": sign,
        "verify": verify,
    },
}
"""Help panel to its commands."""

GROUPS: dict[str, tuple[str, str, dict[str, Callable[..., None]]]] = {
    "nnunet": (
        "nnU-Net",
        "Pre-trained weights in nnU-Net v2.",
        {"plan": plan, "train": nnunet_train, "convert": convert},
    ),
    "launch": ("Training", "Trainings as jobs of a cluster.", {"slurm": launch_slurm}),
    "store": (
        "Data",
        "Maintain a store: remove volumes, find damaged ones, clean up, pack.",
        {
            "remove": store_remove,
            "verify": store_verify,
            "compact": store_compact,
            "pack": store_pack,
            "halve": store_halve,
        },
    ),
    "plugin": ("Zoo", "For plug-in authors.", {"new": plugin_new, "check": plugin_check}),
}
"""Commands with subcommands: help panel, help, and the subcommands."""


def main() -> None:
    """Run the command line. An error that a user can fix ends in one line on stderr and exit code 2.

    So does an error in the code of a plug-in, which its author can fix; ``umzoo -v`` shows the traceback.
    """
    try:
        make_app()()
    except UmzooError as error:
        _fail(str(error), traceback=isinstance(error, ComponentError) and error.__cause__ is not None)
    except Exception as error:
        from umzoo.blame import explained

        line = explained(error)
        if line is None and not isinstance(error, OSError):
            raise
        _fail(line or file_error(error), traceback=line is not None)


def _fail(line: str, traceback: bool) -> None:
    """Print the error, and how to see its *traceback* if there is one, and end the process."""
    log.debug("where it happened", exc_info=True)
    typer.secho("error: ", fg=typer.colors.RED, bold=True, nl=False, err=True)
    say(line, err=True)
    if traceback and not log.isEnabledFor(logging.DEBUG):
        say("the traceback: umzoo -v ...", err=True)
    sys.exit(2)


def make_app() -> typer.Typer:
    """Return the command with all its subcommands."""
    app = typer.Typer(
        name="umzoo",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for panel, commands in COMMANDS.items():
        for name, command in commands.items():
            app.command(name, rich_help_panel=panel)(command)
    for group, (panel, text, commands) in GROUPS.items():
        subcommands = typer.Typer(no_args_is_help=True)
        for name, command in commands.items():
            subcommands.command(name)(command)
        app.add_typer(subcommands, name=group, help=text, rich_help_panel=panel)
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        say(f"umzoo {__version__}")
        raise typer.Exit


def _options(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log details, and tracebacks of errors.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Self-supervised pre-training of 3D networks on unlabeled CT and MR volumes."""
    from umzoo.terminal import Terminal

    if not verbose:
        warnings.simplefilter("ignore", FutureWarning)
    console = Terminal(stderr=True)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[_handler(console, verbose)], force=True)
    log.setLevel(logging.DEBUG if verbose else logging.INFO)


def _handler(console: Console, verbose: bool) -> logging.Handler:
    """The log handler: colored and wrapped on a terminal, otherwise one line per message."""
    from rich.logging import RichHandler

    if console.is_terminal:
        return RichHandler(console=console, show_path=verbose, show_time=verbose)
    handler = logging.StreamHandler(console.file)
    handler.setFormatter(_Printable(f"{'%(asctime)s %(name)s ' * verbose}%(levelname)s %(message)s"))
    return handler


class _Printable(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))
