"""The input scans of a command: files, folders, manifests and prepared stores; each scan is read when it is needed."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from umzoo.data.loading.intensity import enter, to_unit
from umzoo.data.loading.open_store import open_store
from umzoo.data.preparing.discovery import discover
from umzoo.data.reading.dicom import read_headers
from umzoo.data.reading.formats import stem_of
from umzoo.data.reading.geometry import Grid
from umzoo.data.reading.modality import parse_options
from umzoo.data.reading.scan_source import ScanSource
from umzoo.data.store.reader import Store
from umzoo.errors import ConfigError, DataError, UmzooError, in_one_line
from umzoo.scans.load import load_scan, parse_modality
from umzoo.scans.scan import Scan
from umzoo.spec import InputSpec

CHANNEL = re.compile(r"_\d{4}(?=$|\.)")
"""The channel in the name of a file, in the layout of nnU-Net."""
Progress = Callable[[int, int, int], None]
"""Called with the numbers of scans done, in total, and left out."""


def no_progress(done: int, total: int, left_out: int) -> None:
    """Show no progress."""


@dataclass(frozen=True)
class Listed:
    """A scan that can be read by calling ``read()``.

    Args:
        name: unique name: the path relative to the given source, or the id in a store.
        subject: the person it shows, if known.
        read: function that reads it.
        file: the scan's file; None for DICOM and stores.
    """

    name: str
    subject: str
    read: Callable[[], Scan]
    file: Path | None = None


@dataclass(frozen=True)
class Listing:
    """Scans, and refused files with the reason."""

    scans: tuple[Listed, ...]
    refused: tuple[tuple[str, str], ...] = ()

    @property
    def found(self) -> int:
        """Number of scans, including refused ones."""
        return len(self.scans) + len(self.refused)


def for_each_scan(
    listing: Listing, work: Callable[[Listed, Scan], object], progress: Progress, is_done: Callable[[Listed], bool]
) -> tuple[tuple[str, str], ...]:
    """Read the scans of *listing* one after the other and call *work* for each; return skipped scans with the reason.

    Args:
        listing: the scans; those already refused are returned too.
        work: called with each scan; scans for which it raises an error are skipped.
        progress: called with the numbers of scans done, in total, and skipped.
        is_done: whether a scan need not be read.

    Raises:
        ConfigError: if an option is wrong, because all other scans would fail too.
    """
    skipped = list(listing.refused)
    for done, listed in enumerate(listing.scans):
        progress(done, len(listing.scans), len(skipped))
        if is_done(listed):
            continue
        try:
            work(listed, listed.read())
        except ConfigError:
            raise
        except UmzooError as error:
            skipped.append((listed.name, in_one_line(error)))
    progress(len(listing.scans), len(listing.scans), len(skipped))
    return tuple(skipped)


def list_scans(
    sources: Sequence[str | Path], spec: InputSpec, modality: Sequence[str] = (), assumed: Sequence[str] = ()
) -> Listing:
    """Find the scans in *sources*, for a network that expects *spec*.

    Args:
        sources: files, DICOM folders, folders of any nesting, manifests (.csv, .jsonl), or stores of ``umzoo prepare``.
        spec: the expected input of the network.
        modality: ``"mr"`` for all scans, or ``"mr=PATTERN"`` for some, as for ``umzoo prepare``.
        assumed: modality of each channel, for scans of unknown modality.

    Raises:
        DataError: if there is no scan, a source does not exist, or a store has other settings than *spec*.
        ConfigError: if *modality* is malformed.
    """
    scans: list[Listed] = []
    refused: list[tuple[str, str]] = []
    options = parse_options([one if "=" in one else f"{parse_modality(one)}=*" for one in modality])
    files = [str(source) for source in sources if not _is_store(source)]
    for source in sources:
        if _is_store(source):
            scans += _of_store(open_store(source), spec)
    if files:
        found = discover(files, options, read_headers)
        scans += [_of_files(channels, spec, assumed) for channels in _patients(found.scans, spec.in_channels)]
        refused += [(outcome.name, f"{outcome.reason}: {outcome.detail}") for outcome in found.refused]
    if not scans and not refused:
        raise DataError(f"no scan in {', '.join(map(str, sources))}: expected NIfTI, NRRD, MetaImage, DICOM or a store")
    return Listing(tuple(_unique(scans)), tuple(refused))


def _is_store(source: str | Path) -> bool:
    return (Path(source) / "store.json").is_file()


def _patients(scans: Sequence[ScanSource], channels: int) -> list[list[ScanSource]]:
    """The files of each scan: one, or one per channel, by nnU-Net's file names: ``case_0000``, ``case_0001``, ..."""
    groups: dict[str, list[ScanSource]] = {}
    for scan in scans:
        stem = stem_of(Path(scan.files[0]))
        numbered = channels > 1 and not scan.dicom and CHANNEL.search(stem)
        key = str(Path(scan.files[0]).with_name(CHANNEL.sub("", stem))) if numbered else scan.files[0]
        groups.setdefault(key, []).append(scan)
    return [sorted(group, key=lambda scan: scan.files[0]) for group in groups.values()]


def _of_files(channels: list[ScanSource], spec: InputSpec, assumed: Sequence[str]) -> Listed:
    first = channels[0]
    file = None if first.dicom else Path(first.files[0])
    if file is None or len(channels) == 1:
        return Listed(first.name, first.subject, partial(load_scan, first, spec, assumed=assumed), file)
    read = partial(load_scan, channels, spec, assumed=assumed)
    return Listed(CHANNEL.sub("", first.name), first.subject, read, file.with_name(CHANNEL.sub("", file.name)))


def _of_store(store: Store, spec: InputSpec) -> list[Listed]:
    made, wanted = store.info.input, spec.model_copy(update={"space": "zscore", "patch_size": None, "in_channels": 1})
    if spec.in_channels != 1:
        raise DataError(
            f"volumes of a store have one channel, the network expects {spec.in_channels}: give the files instead"
        )
    if made.model_copy(update={"space": "zscore", "patch_size": None}) != wanted:
        raise DataError(
            f"store {store.path} was prepared with other settings (spacing {made.spacing}, the weights expect"
            f" {spec.spacing} mm, or other axes or intensity rules): give the scans instead"
        )
    return [
        Listed(name, subject, partial(_read_stored, store, number, spec))
        for number, (name, subject) in enumerate(zip(store.records.ids, store.records.values("subject"), strict=True))
    ]


def _read_stored(store: Store, number: int, spec: InputSpec) -> Scan:
    record = store.records[number]
    voxels = torch.from_numpy(np.ascontiguousarray(store.read(number, (0, 0, 0), record.shape)))
    fields = to_unit({"voxels": voxels[None, None], "window": torch.tensor([record.stored_window])})
    fields |= {"mean": torch.tensor([record.mean]), "std": torch.tensor([record.std])}
    grid = Grid(record.shape, np.diag([*record.spacing, 1.0])[[2, 1, 0, 3]])
    image = enter(fields["image"], fields, spec.space)[0]
    return Scan(image, grid, grid, (record.modality or "unknown",), record.id, record.source, record.subject)


def _unique(scans: Sequence[Listed]) -> list[Listed]:
    """Refuse scans with the same name, because outputs are named after them.

    Raises:
        ConfigError: if there are any; the error names the first one.
    """
    seen: set[str] = set()
    for scan in scans:
        if scan.name in seen:
            raise ConfigError(f"two scans have the same name '{scan.name}': give their common parent folder instead")
        seen.add(scan.name)
    return list(scans)
