"""Sources of a scan: a file, a DICOM folder, an image in memory, or an array with its affine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from umzoo.data.preparing.discovery import discover
from umzoo.data.reading.dicom import read_headers
from umzoo.data.reading.formats import NIBABEL_SUFFIXES, suffix_of
from umzoo.data.reading.itk import open_itk
from umzoo.data.reading.modality import Label
from umzoo.data.reading.nibabel_frames import open_nibabel
from umzoo.data.reading.refusal import Refused, guarded
from umzoo.data.reading.scan_source import Reading, ScanSource
from umzoo.data.reading.volume import Volume, read_volumes, volumes_of
from umzoo.errors import DataError

EXPECTED = "a file, a DICOM folder, a nibabel or SimpleITK image, or (array, affine)"
_ALL_FRAMES = Reading(max_frames=1 << 16)


@dataclass(frozen=True, eq=False)
class Opened:
    """The volumes of one source with their metadata; *labels* has one item per volume."""

    volumes: tuple[Volume, ...]
    labels: tuple[Label | None, ...]
    name: str
    source: str = ""
    subject: str = ""
    header: Any = None


def open_source(source: Any) -> Opened:
    """Read *source*, which is one of :data:`EXPECTED`.

    Raises:
        DataError: if it is none of them, or has no volume or more than one series.
    """
    if isinstance(source, ScanSource):
        return _of_files(source)
    if isinstance(source, (str, Path)):
        return _of_files(_only(source))
    if isinstance(source, tuple) and len(source) == 2 and isinstance(source[0], np.ndarray):
        return _in_memory(lambda: open_nibabel(_nifti(*source)), "array")
    module = type(source).__module__.partition(".")[0]
    if module == "nibabel":
        opened = _in_memory(lambda: open_nibabel(source), "image")
        return Opened(opened.volumes, opened.labels, opened.name, header=_header(source))
    if module == "SimpleITK":
        components = source.GetNumberOfComponentsPerPixel()
        return _in_memory(lambda: open_itk(source, components, lambda: source), "image")
    raise DataError(f"cannot read a scan from {type(source).__name__}: expected {EXPECTED}")


def _only(path: Path | str) -> ScanSource:
    """The only scan in *path*, found as by ``umzoo prepare``."""
    found = discover([str(path)], (), read_headers)
    if len(found.scans) == 1:
        return found.scans[0]
    if found.scans:
        names = ", ".join(scan.name for scan in found.scans[:3])
        more = ", ..." if len(found.scans) > 3 else ""
        raise DataError(f"'{path}' has {len(found.scans)} scans ({names}{more}): choose one of them, or its folder")
    if found.refused:
        raise DataError(f"'{path}' is not a scan: {found.refused[0].reason}: {found.refused[0].detail}")
    raise DataError(f"no scan in '{path}': expected NIfTI, NRRD, MetaImage, MGH or DICOM")


def _of_files(scan: ScanSource) -> Opened:
    with _readable(scan.name):
        volumes = tuple(read_volumes(scan, _ALL_FRAMES))
    labels = tuple(scan.label(volume.frame, volume.frames) for volume in volumes)
    name = Path(scan.files[0]).parent.name if scan.dicom else Path(scan.files[0]).name
    header = None
    if not scan.dicom and suffix_of(scan.files[0]) in NIBABEL_SUFFIXES:
        import nibabel

        header = _header(nibabel.load(scan.files[0]))
    return Opened(volumes, labels, name, scan.source, scan.subject, header)


def _in_memory(open_frames: Any, name: str) -> Opened:
    with _readable(name):
        with guarded(()):
            frames = open_frames()
        volumes = tuple(volumes_of(frames, (), _ALL_FRAMES))
    return Opened(volumes, (None,) * len(volumes), name)


@contextmanager
def _readable(name: str) -> Iterator[None]:
    """Convert a refusal to an error that names the scan *name*."""
    try:
        yield
    except Refused as why:
        raise DataError(f"'{name}' cannot be used: {why}") from None


def _header(image: Any) -> Any:
    """The header of a NIfTI *image*; None for other formats of nibabel."""
    import nibabel

    return image.header.copy() if isinstance(image, (nibabel.Nifti1Pair, nibabel.Nifti2Pair)) else None


def _nifti(array: Any, affine: Any) -> Any:
    """An image of *array* ``(i, j, k)`` and *affine* ``(4, 4)``, index to mm in nibabel's RAS frame."""
    import nibabel

    matrix = np.asarray(affine, float)
    if matrix.shape != (4, 4):
        raise DataError(f"expected an affine (4, 4), index to mm (RAS), got shape {matrix.shape}")
    if array.dtype == bool:
        array = array.astype(np.uint8)
    elif array.dtype == np.float16:
        array = array.astype(np.float32)
    return nibabel.Nifti1Image(array, matrix, dtype=array.dtype)


def check_frames(opened: Opened, frame: int | None, channels: int) -> Sequence[int]:
    """Numbers of the volumes of *opened* that are the channels of one scan.

    Raises:
        DataError: if it has several volumes, and neither *frame* nor the number of channels determines which to use.
    """
    count = len(opened.volumes)
    if frame is not None:
        if not 0 <= frame < count:
            raise DataError(f"'{opened.name}' has frames 0 to {count - 1}, got frame={frame}")
        return (frame,)
    if count in (1, channels):
        return range(count)
    raise DataError(
        f"'{opened.name}' has {count} volumes, the network expects {channels} channel(s): choose one with"
        " frame=0, 1, ..."
    )
