"""What ``umzoo embed`` needs beside the vectors: device, masks of scans, maps on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from umzoo.backbones.base import Backbone
from umzoo.data.volume import stem_of
from umzoo.downstream.embed.dense import dense_features
from umzoo.errors import ConfigError, DataError, UmzooError, in_one_line
from umzoo.heads.model import Model
from umzoo.scans.labels import load_labels
from umzoo.scans.listing import Listed, Listing
from umzoo.scans.scan import Scan


def default_device(cpu: bool) -> tuple[str, str]:
    """Return the device to run on, and the precision that suits it: bf16 on a GPU that has it."""
    if cpu or not torch.cuda.is_available():
        return "cpu", "fp32"
    return "cuda", "bf16" if torch.cuda.is_bf16_supported() else "fp32"


def numbers(text: str, option: str) -> tuple[int, ...]:
    """Read whole numbers such as ``"64,96,96"``.

    Raises:
        ConfigError: if *text* is something else.
    """
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"{option} expects whole numbers with commas between them, got '{text}'") from None


def mask_reader(pattern: str) -> Callable[[Listed, Scan], Tensor]:
    """Return what finds the mask of a scan at *pattern*, in which ``{name}`` is the scan's file name without suffix."""

    def read(listed: Listed, scan: Scan) -> Tensor:
        stem = stem_of(listed.file) if listed.file else scan.name
        return load_labels(Path(pattern.replace("{name}", stem)), scan)

    return read


def write_dense(
    model: Backbone | Model, listing: Listing, out: Path, progress: Callable[[int, int, int], None]
) -> tuple[tuple[str, str], ...]:
    """Write the feature map of each scan into *out*, on its own grid; return what was left out and why.

    Maps that are there already are kept.

    Raises:
        DataError: if no map could be written.
    """
    skipped = list(listing.refused)
    for done, listed in enumerate(listing.scans):
        progress(done, len(listing.scans), len(skipped))
        file = out / f"{stem_of(listed.name.replace('/', '_'))}_features.nii.gz"
        if file.is_file():
            continue
        try:
            scan = listed.read()
            scan.to_original(dense_features(model, scan)).save(file)
        except ConfigError:
            raise
        except UmzooError as error:
            skipped.append((listed.name, in_one_line(error)))
    if len(skipped) == len(listing.scans) + len(listing.refused):
        raise DataError(f"no map could be written: {skipped[0][0]}: {skipped[0][1]}")
    return tuple(skipped)
