"""NIfTI, Analyze and MGH by nibabel: which images are volumes, and the physical values of their voxels."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umzoo.data.reading.detached_headers import data_files
from umzoo.data.reading.frames import Frames, refuse_flat
from umzoo.data.reading.header_affine import affine_of
from umzoo.data.reading.nifti import load
from umzoo.data.reading.refusal import Reason, Refused
from umzoo.data.reading.size_limits import require_claim

_VECTOR_INTENTS = ("vector", "displacement vector", "symmetric matrix", "general matrix", "point set", "quaternion")
_LABEL_INTENTS = ("label", "neuroname")
_STATISTICS = range(2, 25)


def read_nibabel(path: str, labels: bool = False) -> Frames:
    """Open the file *path* by nibabel; see :func:`open_nibabel`."""
    files = [Path(path), *data_files(Path(path))]
    image = load(path)
    frames = open_nibabel(image, labels, path)
    require_claim(math.prod(frames.shape[:3]) * image.get_data_dtype().itemsize, files)
    return frames


def open_nibabel(image: Any, labels: bool = False, path: str = "") -> Frames:
    """Open a nibabel *image*; *labels* allows headers that declare labels, *path* is its file.

    Raises:
        Refused: if it is not a volume of numbers.
    """
    header, shape = image.header, tuple(image.shape)
    _refuse_voxel_type(image.get_data_dtype())
    intent = header.get_intent()[0] if hasattr(header, "get_intent") else ""
    if intent in _VECTOR_INTENTS:
        raise Refused(Reason.VECTOR, f"the header's intent is '{intent}'")
    if hasattr(header, "get_intent") and int(header["intent_code"]) in _STATISTICS:
        raise Refused(Reason.NOT_A_VOLUME, f"the header's intent is '{intent}': a statistical map")
    if intent in _LABEL_INTENTS and not labels:
        raise Refused(Reason.LABELS, f"the header's intent is '{intent}'")
    if len(shape) > 4:
        shape = shape[:3] + tuple(n for n in shape[3:] if n > 1)
    if len(shape) > 4:
        raise Refused(Reason.VECTOR, f"{len(shape)} dimensions ({' x '.join(map(str, shape))}), expected 3 or 4")
    refuse_flat(shape)
    affine, notes = affine_of(image, path)

    def read(index: int) -> NDArray[Any]:
        whole = image.dataobj
        extra = len(image.shape) - 3
        if not extra:
            return _physical(whole)
        place = tuple(index if n > 1 else 0 for n in image.shape[3:])
        return _physical(whole, (..., *place))

    return Frames(shape, affine, read, notes)


def _physical(proxy: Any, where: Any = None) -> NDArray[Any]:
    """Voxels of a nibabel array proxy: the stored type if there is no scaling, else float."""
    if where is not None:
        return np.asarray(proxy[where])
    if not hasattr(proxy, "get_unscaled") or (proxy.slope, proxy.inter) == (1.0, 0.0):
        return np.asanyarray(proxy)
    values: NDArray[np.float32] = np.array(proxy.get_unscaled(), np.float32)
    values *= np.float32(proxy.slope)
    values += np.float32(proxy.inter)
    return values


def _refuse_voxel_type(dtype: np.dtype[Any]) -> None:
    if dtype.names:
        raise Refused(Reason.COLOR, f"voxels are colors ({', '.join(dtype.names)})")
    if dtype.kind == "c":
        raise Refused(Reason.COMPLEX, f"voxels are of type {dtype}")
