"""Checks of importers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from umzoo.errors import WeightsError
from umzoo.testing.promises import ComponentChecks, made_once, promise
from umzoo.weights.importers.base import Importer


def check_importer(component: type[Importer] | str, **options: Any) -> None:
    """What is not a checkpoint is refused in one line and leaves nothing behind; options are described and closed.

    The promises are the rows that ``umzoo plugin check`` prints for an importer. Test yourself that imported weights
    give the outputs of the original network, in its authors' file format.

    Raises:
        ConformanceError: on the first broken promise.
    """
    ImporterChecks(component, options).run()


def _other_tensors(file: Path) -> None:
    torch.save({"state_dict": {"no_such_layer.weight": torch.zeros(3)}}, file)


NO_CHECKPOINTS: dict[str, Callable[[Path], object]] = {
    "a missing file": lambda file: None,
    "an empty file": lambda file: file.write_bytes(b""),
    "a text file": lambda file: file.write_text("This is not a checkpoint."),
    "an empty folder": lambda file: file.mkdir(),
}
"""Invalid inputs of importers, and functions that write them."""


@dataclass(frozen=True)
class Attempt:
    """An import of *what* that must fail: the error, and the names of files that it left."""

    what: str
    error: BaseException | None
    left: list[str]


class ImporterChecks(ComponentChecks):
    """Promises of an importer."""

    kind = "importer"

    @made_once
    def unreadable(self) -> list[Attempt]:
        """The imports of what is not a checkpoint."""
        return [self._attempt(what, write) for what, write in NO_CHECKPOINTS.items()]

    @made_once
    def unknown(self) -> Attempt:
        """The import of other tensors."""
        return self._attempt("a checkpoint of an unknown network", _other_tensors)

    def _attempt(self, what: str, write: Callable[[Path], object]) -> Attempt:
        """Import the file that *write* makes."""
        error: BaseException | None = None
        with TemporaryDirectory() as name:
            folder = Path(name)
            write(folder / "source.pt")
            before = set(folder.iterdir())
            try:
                self.built.run(folder / "source.pt", folder / "out")
            except Exception as raised:  # noqa: BLE001 - which one it is gets checked
                error = raised
            return Attempt(what, error, sorted(path.name for path in set(folder.iterdir()) - before))

    @promise("refuses what is not a checkpoint")
    def _unreadable(self) -> None:
        for attempt in self.unreadable:
            self._require_refused(attempt)

    @promise("refuses other tensors")
    def _unknown(self) -> None:
        self._require_refused(self.unknown)

    @promise("refusals leave nothing behind")
    def _left(self) -> None:
        for attempt in (*self.unreadable, self.unknown):
            self.require(not attempt.left, f"{attempt.what} left {', '.join(attempt.left)} behind")

    def _require_refused(self, attempt: Attempt) -> None:
        error = attempt.error
        got = "nothing" if error is None else f"{type(error).__name__}: {' '.join(str(error).split())}"
        self.require(isinstance(error, WeightsError), f"{attempt.what} must raise a WeightsError, got {got}")
        self.require("\n" not in str(error), f"the error on {attempt.what} must be one line, got {str(error)!r}")
