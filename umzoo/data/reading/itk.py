"""Reads NRRD and MetaImage with SimpleITK."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umzoo.data.reading.detached_headers import data_files, refuse_long_lines
from umzoo.data.reading.detached_sizes import require_sizes
from umzoo.data.reading.frames import Frames, refuse_flat
from umzoo.data.reading.header_affine import UNKNOWN_AXES
from umzoo.data.reading.refusal import Reason, Refused
from umzoo.data.reading.size_limits import require_claim

_SEGMENT_KEYS = ("Segment0_", "Segmentation_")


def read_itk(path: str, labels: bool) -> Frames:
    """Read the file *path*; label maps are allowed with *labels*.

    Raises:
        Refused: if it is not a volume of numbers, or its header declares more voxels than the file can have.
        RuntimeError: if it cannot be read.
    """
    import SimpleITK as sitk  # noqa: N813

    reader = _reader(path)
    files = [Path(path), *data_files(Path(path))]
    refuse_long_lines(files[0])
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        if "Unknown PixelType" in str(error):
            raise Refused(Reason.VECTOR, "voxels are vectors or tensors of an unsupported type") from None
        raise
    if not labels and any(key.startswith(_SEGMENT_KEYS) for key in reader.GetMetaDataKeys()):
        raise Refused(Reason.LABELS, "the header defines segments of a segmentation")
    bits = re.search(r"(\d+)-bit", sitk.GetPixelIDValueAsString(reader.GetPixelID()))
    values = math.prod(reader.GetSize()) * reader.GetNumberOfComponents()
    claimed = values * (int(bits[1]) // 8 if bits else 8)
    require_claim(claimed, files)

    def execute() -> Any:
        require_sizes(files[0], files[1:], claimed)
        return reader.Execute()

    frames = open_itk(reader, reader.GetNumberOfComponents(), execute)
    return frames if _says_axes(path) else replace(frames, notes=(*frames.notes, UNKNOWN_AXES))


def itk_axes(path: str) -> NDArray[np.float64] | None:
    """The axes of the file *path* according to ITK, columns ``(3, 3)`` in mm (LPS); None if it cannot be read."""
    reader = _reader(path)
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return None
    return _itk_affine(reader.GetDirection(), reader.GetSpacing(), reader.GetOrigin())[:3, :3]


def _reader(path: str) -> Any:
    import SimpleITK as sitk  # noqa: N813

    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    reader = sitk.ImageFileReader()
    reader.SetFileName(path)
    return reader


def _says_axes(path: str) -> bool:
    """Whether the header of an NRRD has an orientation; other formats of ITK always do."""
    if not path.lower().endswith((".nrrd", ".nhdr")):
        return True
    with Path(path).open("rb") as file:
        header = file.read(1 << 16).partition(b"\n\n")[0]
    return any(line.startswith((b"space:", b"space dimension:")) for line in header.splitlines())


def open_itk(described: Any, components: int, execute: Callable[[], Any]) -> Frames:
    """The voxels of a SimpleITK image with *components*; *described* is it or its reader, *execute* returns it.

    Raises:
        Refused: if it is not a volume of numbers.
    """
    import SimpleITK as sitk  # noqa: N813

    size, kind = tuple(described.GetSize()), sitk.GetPixelIDValueAsString(described.GetPixelID())
    if "complex" in kind:
        raise Refused(Reason.COMPLEX, f"voxels are of type '{kind}'")
    if components in (3, 4) and "8-bit" in kind:
        raise Refused(Reason.COLOR, f"{components} color components")
    if components == 3:
        raise Refused(Reason.VECTOR, "3 components per voxel: save channels as separate files")
    if len(size) > 4 or (len(size) == 4 and components > 1):
        raise Refused(Reason.VECTOR, f"{len(size)} dimensions with {components} components per voxel")
    refuse_flat(size)
    affine = _itk_affine(described.GetDirection(), described.GetSpacing(), described.GetOrigin())
    voxels = sitk.GetArrayFromImage(execute())
    axes = (2, 1, 0, 3) if components > 1 else range(len(size))[::-1]
    return Frames.of_array(voxels.transpose(axes), affine)


def _itk_affine(
    direction: tuple[float, ...], spacing: tuple[float, ...], origin: tuple[float, ...]
) -> NDArray[np.float64]:
    """``(4, 4)`` index to mm (LPS)."""
    affine, dims = np.eye(4), len(spacing)
    affine[:3, :3] = np.reshape(direction, (dims, dims))[:3, :3] * np.asarray(spacing[:3])
    affine[:3, 3] = origin[:3]
    return affine
