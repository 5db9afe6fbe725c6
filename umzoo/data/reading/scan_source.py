"""A scan found by discovery: one file or one DICOM series, with its metadata."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from umzoo.data.reading.modality import Label

MAX_FRAMES = 16


@dataclass(frozen=True)
class Reading:
    """Options of reading scans.

    Args:
        max_frames: maximum number of volumes taken from one 4-D file, evenly spaced.
        uneven: whether unevenly spaced slices are refused, or resampled to even spacing.
        nan: whether volumes with non-finite voxels are refused, or these are filled with the smallest value.
    """

    max_frames: int = MAX_FRAMES
    uneven: Literal["refuse", "resample"] = "refuse"
    nan: Literal["refuse", "fill"] = "refuse"


DEFAULT_READING = Reading()


@dataclass(frozen=True)
class ScanSource:
    """One file, or one stack of a DICOM series.

    Args:
        files: absolute paths; the slices in order if ``dicom``.
        name: its name in the local report, relative to the source on the command line.
        source: name of the data set.
        subject: name of the person within its scope; only its keyed hash enters the store.
        labels: modality labels from its data set. One label applies to every frame, several are one per frame.
        dicom: whether the files are slices of a DICOM series.
        frames: of one multi-frame DICOM file, the numbers of the frames that form the volume, in order.
        notes: notes for the report, found when its files were sorted.
        named: whether the user gave the name of the data set; other names stay on the machine.
        targets: names and values of its targets, from the columns of a manifest.
    """

    files: tuple[str, ...]
    name: str
    source: str
    subject: str
    labels: tuple[Label, ...] = ()
    dicom: bool = False
    frames: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    named: bool = False
    targets: tuple[tuple[str, str], ...] = ()

    def label(self, frame: int, frames: int) -> Label | None:
        """The label of one of the *frames*."""
        if len(self.labels) == frames:
            return self.labels[frame]
        return self.labels[0] if len(self.labels) == 1 else None
