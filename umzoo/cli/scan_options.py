"""Shared options of commands that take scans: arguments, lists of numbers, and the device."""

from __future__ import annotations

from typing import Annotated

import typer

from umzoo.cli.output import say

Scans = Annotated[list[str], typer.Argument(help="files, DICOM folders, folders, manifests or a prepared store")]
Modality = Annotated[
    list[str] | None, typer.Option(help="ct, mr, ... for all scans, or MODALITY=PATTERN for some; repeatable")
]
Levels = Annotated[str, typer.Option(help="levels of features to concatenate: 0 is the finest, -1 the coarsest")]
Pooling = Annotated[str, typer.Option(help="mean, max or mean+max")]
Cpu = Annotated[bool, typer.Option("--cpu", help="stay on the CPU")]


def default_device(cpu: bool) -> tuple[str, str]:
    """Return the device to run on, and its precision: bf16 on a GPU that supports it."""
    import torch

    if cpu or not torch.cuda.is_available():
        return "cpu", "fp32"
    return "cuda", "bf16" if torch.cuda.is_bf16_supported() else "fp32"


def numbers(text: str, option: str) -> tuple[int, ...]:
    """Read whole numbers such as ``"64,96,96"``.

    Raises:
        ConfigError: if *text* is something else.
    """
    from umzoo.errors import ConfigError

    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"{option} expects whole numbers with commas between them, got '{text}'") from None


def say_left_out(skipped: tuple[tuple[str, str], ...]) -> None:
    """List skipped scans and the reasons on stderr."""
    for name, reason in skipped:
        say(f"left out {name}: {reason}", err=True)
