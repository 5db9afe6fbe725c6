"""Logs of a run: ``metrics.jsonl``, TensorBoard events, and a progress bar or log lines."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from typing_extensions import Self

from umzoo.errors import ConfigError
from umzoo.files import json_table, read_text, refuse_links, replace_text
from umzoo.terminal import Terminal

log = logging.getLogger(__name__)

MAX_METRICS = 1 << 30
"""Maximum size of ``metrics.jsonl`` in bytes."""


class RunLog:
    """Writes metrics on the main process; does nothing on others.

    Args:
        folder: the run's folder.
        steps: optimizer steps of the run, for the progress bar.
        start: first step; lines of later steps, written before an interruption, are dropped.
        active: False on all processes except the main one.
        also: called with the step and the finite metrics, named as in TensorBoard.
    """

    def __init__(
        self,
        folder: Path,
        steps: int,
        start: int,
        active: bool,
        also: Callable[[int, dict[str, float]], None] | None = None,
    ) -> None:
        self.also = also
        self.folder, self.steps, self.start, self.active = folder, steps, start, active
        self.console = Terminal(stderr=True)
        self.file = folder / "metrics.jsonl"
        self._bar: Progress | None = None

    def __enter__(self) -> Self:
        if not self.active:
            return self
        from torch.utils.tensorboard import SummaryWriter

        refuse_links(self.folder)
        _drop_after(self.file, self.start)
        self._events: Any = SummaryWriter(self.folder / "tensorboard", purge_step=self.start)
        if self.console.is_interactive:
            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
            )
            self._bar = Progress(*columns, console=self.console)
            self._task = self._bar.add_task("starting", total=self.steps, completed=self.start)
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()
        if self.active:
            self._events.close()

    def write(self, step: int, metrics: dict[str, float]) -> None:
        """Record *metrics* at *step*; non-finite numbers are written as null."""
        if not self.active:
            return
        line = {"step": step} | {k: (round(v, 6) if math.isfinite(v) else None) for k, v in metrics.items()}
        with self.file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
        finite = {name.replace(".", "/"): value for name, value in metrics.items() if math.isfinite(value)}
        for name, value in finite.items():
            self._events.add_scalar(name, value, step)
        if self.also is not None:
            self.also(step, finite)
        if "loss" in metrics:
            self._show(step, metrics)

    def _show(self, step: int, metrics: dict[str, float]) -> None:
        speed, wait = metrics["patches_per_second"], metrics["wait"]
        text = f"loss {metrics['loss']:.4f}  {speed:.1f} patches/s  data wait {wait:.0%}"
        if self._bar is not None:
            self._bar.update(self._task, completed=step, description=text)
        else:
            log.info("step %d/%d  %s", step, self.steps, text)


def read_metrics(file: Path) -> list[dict[str, Any]]:
    """Return the lines of a ``metrics.jsonl``; an incomplete last line is left out.

    Raises:
        ConfigError: if another line is damaged.
    """
    lines = read_text(file, MAX_METRICS).split("\n")[:-1] if file.is_file() else []
    return [_metrics(line, f"line {number} of {file}") for number, line in enumerate(lines, 1)]


def _metrics(line: str, where: str) -> dict[str, Any]:
    content = json_table(line, where)
    numbers = all(value is None or isinstance(value, (int, float)) for value in content.values())
    if not numbers or type(content.get("step")) is not int:
        raise ConfigError(f"{where} is damaged: expected numbers, and a step among them")
    return content


def _drop_after(file: Path, step: int) -> None:
    """Keep only the lines up to *step*, so that a resumed run does not write lines twice."""
    kept = [line for line in read_metrics(file) if line["step"] <= step]
    replace_text(file, "".join(json.dumps(line) + "\n" for line in kept))
