"""What discovery hands to preparation: one file or one DICOM series, and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from umzoo.data.reading.modality import Label

MAX_FRAMES = 16


@dataclass(frozen=True)
class Reading:
    """How scans are read, where there is a choice.

    Args:
        max_frames: volumes taken from one 4-D file, at most, evenly spaced.
        uneven: whether slices at uneven distances are refused, or resampled to even ones.
        nan: whether volumes with voxels that are not finite are refused, or these are filled with the least value.
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
        name: how the local report calls it: relative to the source on the command line.
        source: name of the data set.
        subject: name of the person within its scope; only its keyed hash enters the store.
        labels: what its surroundings say of it. One label holds for every frame, several are one per frame.
        dicom: whether the files are slices of a DICOM series.
        frames: of one multi-frame DICOM file, the numbers of the frames that form the volume, in order.
        notes: what the report says of the scan, found when its files were sorted.
        named: whether the user gave the name of the data set; all others stay on the machine.
        targets: names and texts of what is to be learned of it, from the columns of a manifest.
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
        """What is known of one of the *frames*."""
        if len(self.labels) == frames:
            return self.labels[frame]
        return self.labels[0] if len(self.labels) == 1 else None
