"""What discovery hands to preparation: one file or one DICOM series, and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass

from umzoo.data.modality import Label


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
    """

    files: tuple[str, ...]
    name: str
    source: str
    subject: str
    labels: tuple[Label, ...] = ()
    dicom: bool = False

    def label(self, frame: int, frames: int) -> Label | None:
        """What is known of one of the *frames*."""
        if len(self.labels) == frames:
            return self.labels[frame]
        return self.labels[0] if len(self.labels) == 1 else None
