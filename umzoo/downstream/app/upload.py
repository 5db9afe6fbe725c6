"""A scan that a visitor of the page uploads: small enough, read once, and gone."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from umzoo.data.preparing.resampling import resampled_grid
from umzoo.data.reading.formats import suffix_of
from umzoo.data.reading.geometry import Grid, canonical_grid
from umzoo.data.reading.nibabel_frames import read_nibabel
from umzoo.data.reading.refusal import Refused, guarded
from umzoo.errors import ConfigError, DataError
from umzoo.scans.load import load_scan
from umzoo.scans.orientation import InputAxes
from umzoo.scans.scan import Scan
from umzoo.spec import InputSpec

SUFFIXES = (".nii", ".nii.gz")


@dataclass(frozen=True)
class Limits:
    """What is refused before it takes the page's memory and time.

    Attributes:
        megabytes: of one file, at most.
        voxels: of the scan at the spacing of the weights, at most.
    """

    megabytes: int = 200
    voxels: int = 64_000_000


def read_upload(
    files: Sequence[str | Path], spec: InputSpec, modality: str | Sequence[str] | None, limits: Limits
) -> Scan:
    """Return the uploaded scan as a network that expects *spec* sees it; the files are removed, come what may.

    They are read under other names, so that logs and answers do not tell those that the visitor gave them.

    Args:
        files: one NIfTI file for each channel of *spec*, in their order.
        spec: what the network expects.
        modality: such as "ct", of all channels; or one for each.
        limits: what is refused.

    Raises:
        ConfigError: if no modality was chosen.
        DataError: if a file is missing, too large, or no scan that the network can be given.
    """
    with _taken(files) as taken:
        if len(taken) != spec.in_channels:
            what = "one file" if spec.in_channels == 1 else f"{spec.in_channels} files, one for each channel"
            raise DataError(f"choose {what} first: got {len(taken) or 'none'}")
        if not modality:
            raise ConfigError("choose the modality of the scan first")
        try:
            for file in taken:
                _require_small(file, spec, limits)
        except Refused as why:
            raise DataError(f"the scan cannot be used: {why}") from None
        scans = [str(file) for file in taken]
        return load_scan(scans[0] if len(scans) == 1 else scans, spec, modality=modality)


@contextmanager
def _taken(files: Sequence[str | Path]) -> Iterator[list[Path]]:
    """Move *files* into a folder that is removed in the end, under names that tell nothing."""
    with TemporaryDirectory() as folder:
        taken = []
        for number, file in enumerate(map(Path, files)):
            suffix = suffix_of(file) if suffix_of(file) in SUFFIXES else ""
            taken.append(Path(folder) / f"scan_{number}{suffix}")
            shutil.move(file, taken[-1])
        yield taken


def _require_small(file: Path, spec: InputSpec, limits: Limits) -> None:
    """Refuse a *file* that is no NIfTI, or too large as it is or for the network."""
    if suffix_of(file) not in SUFFIXES:
        raise DataError(f"choose NIfTI files: their names end in {' or '.join(SUFFIXES)}")
    if (megabytes := file.stat().st_size / 2**20) > limits.megabytes:
        raise DataError(f"the file has {megabytes:.0f} MB, and this page takes {limits.megabytes}: cut the scan")
    with guarded((str(file),)):
        frames = read_nibabel(str(file))
        stored = Grid(frames.shape[:3], frames.affine)  # type: ignore[arg-type]
        shape = resampled_grid(canonical_grid(stored), InputAxes(spec, stored).canonical_spacing(spec.spacing)).shape
    if max(math.prod(shape), math.prod(frames.shape)) > limits.voxels:
        size = " x ".join(map(str, shape))
        raise DataError(
            f"the scan has {size} voxels for these weights, and this page takes {limits.voxels:,}: cut the scan"
        )
