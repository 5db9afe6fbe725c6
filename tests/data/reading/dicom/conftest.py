"""Multi-frame files written by the tests, and reading whatever a folder holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from umzoo.data.reading.dicom import Stack, group, is_dicom, read_headers
from umzoo.data.reading.scan_source import Reading, ScanSource
from umzoo.data.reading.volume import Volume, read_volumes


def stacks_in(folder: Path, uneven: bool = False) -> list[Stack]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and is_dicom(path))
    return group(read_headers([str(path) for path in files]), uneven)


def read(stack: Stack, reading: Reading | None = None) -> Volume:
    assert stack.refused is None
    scan = ScanSource(stack.files, "series", "set", "someone", dicom=True, frames=stack.frames, notes=stack.notes)
    (volume,) = read_volumes(scan, reading or Reading())
    return volume


def volumes_in(folder: Path) -> list[Volume]:
    return [read(stack) for stack in stacks_in(folder) if not stack.refused and not stack.copies]


def same_volumes(found: list[Volume], expected: list[NDArray]) -> bool:
    """Whether *found* are the *expected* ones, in any order."""
    left = list(expected)
    for volume in found:
        match = next((n for n, one in enumerate(left) if np.array_equal(one, volume.voxels)), None)
        if match is None:
            return False
        left.pop(match)
    return not left


def write_enhanced(
    path: Path,
    planes: NDArray,
    positions: list[tuple[float, float, float]],
    orientation: tuple[float, ...] = (1, 0, 0, 0, 1, 0),
    spacing: tuple[float, float] = (1, 1),
    each: Callable[[int, object, object], None] = lambda k, frame, content: None,
) -> Path:
    """Write an enhanced MR file of *planes* ``(frames, rows, columns)``; *each* changes the groups of frame k."""
    from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
    from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, generate_uid

    def within(**elements: object) -> Dataset:
        item = Dataset()
        for name, value in elements.items():
            setattr(item, name, value)
        return item

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = EnhancedMRImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.StudyInstanceUID, data.SeriesInstanceUID, data.PatientID, data.Modality = "1.2", generate_uid(), "a", "MR"
    data.NumberOfFrames, data.Rows, data.Columns = planes.shape
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, "MONOCHROME2", 0
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
    measures = within(PixelSpacing=list(spacing), SliceThickness=9)
    plane = within(ImageOrientationPatient=list(orientation))
    shared = within(PixelMeasuresSequence=[measures], PlaneOrientationSequence=[plane])
    data.SharedFunctionalGroupsSequence = [shared]
    frames = []
    for k, position in enumerate(positions):
        content = within(StackID="1", InStackPositionNumber=k + 1)
        frame = within(PlanePositionSequence=[within(ImagePositionPatient=list(position))])
        each(k, frame, content)
        frame.FrameContentSequence = [content]
        frames.append(frame)
    data.PerFrameFunctionalGroupsSequence = frames
    data.PixelData = planes.astype(np.uint16).tobytes()
    data.save_as(path, enforce_file_format=True)
    return path


@pytest.fixture(name="tools")
def _tools() -> object:
    from types import SimpleNamespace

    return SimpleNamespace(
        stacks_in=stacks_in, read=read, volumes_in=volumes_in, same=same_volumes, write_enhanced=write_enhanced
    )
