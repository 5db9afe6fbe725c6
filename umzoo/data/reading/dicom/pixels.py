"""The values of one image: decoded, with padding as background, rescaled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umzoo.data.reading.dicom.elements import lenient, numbers, text
from umzoo.data.reading.dicom.plane import Plane
from umzoo.data.reading.dicom.size_limits import read_bounded
from umzoo.data.reading.refusal import Reason, Refused, one_line

_INT16 = np.iinfo(np.int16)


@dataclass(frozen=True)
class Pixels:
    """Physical values ``(rows, columns)`` of one image, and a mask of padding, if there is any."""

    values: NDArray[Any]
    padding: NDArray[np.bool_] | None = None


def read_frames(file: str, data: Any, planes: Sequence[Plane]) -> Iterator[Pixels]:
    """Yield the pixels of *planes* of *file*, whose elements are in *data*.

    Raises:
        Refused: if they cannot be decoded.
    """
    try:
        for plane, stored in zip(planes, _decoded(data, planes), strict=True):
            if stored.shape != plane.size:
                raise Refused(Reason.UNREADABLE, f"pixels decode to {stored.shape}, the header has {plane.size}")
            yield Pixels(_rescaled(stored, plane.rescale, data), _padding(stored, data))
    except Refused:
        raise
    except (NotImplementedError, RuntimeError, KeyError) as error:
        yield _by_gdcm(file, data, planes, error)
    except Exception as error:  # noqa: BLE001 - decoders raise anything on damaged data
        raise _undecodable(file, data, error) from None


def hash_of_pixels(file: str) -> str:
    """A hash of the stored pixels of *file*, unpacked.

    Raises:
        Exception: any exception of the reader and decoders if it is corrupted.
    """
    with lenient():
        data = read_bounded(file)
        packed = data.file_meta.get("TransferSyntaxUID", "")
        stored = data.pixel_array.tobytes() if packed and packed.is_compressed else data.PixelData
    return blake2b(stored, digest_size=16).hexdigest()


def _decoded(data: Any, planes: Sequence[Plane]) -> Iterator[NDArray[Any]]:
    from pydicom.pixels import iter_pixels

    if len(planes) == 1 and planes[0].frame == 0 and int((numbers(data, "NumberOfFrames") or (1,))[0]) <= 1:
        yield data.pixel_array
    else:
        yield from iter_pixels(data, indices=[plane.frame for plane in planes], raw=True)


def _undecodable(file: str, data: Any, error: BaseException) -> Refused:
    name = file.replace("\\", "/").rsplit("/", 1)[-1]
    size = [int((numbers(data, part) or (1,))[0]) for part in ("Rows", "Columns", "NumberOfFrames", "BitsAllocated")]
    wanted, there = int(np.prod(size)) // 8, len(data.get("PixelData") or b"")
    if there < wanted and not data.file_meta.TransferSyntaxUID.is_compressed:
        return Refused(Reason.UNREADABLE, f"{name} is truncated: {there} of {wanted} bytes of pixels")
    if isinstance(error, (NotImplementedError, RuntimeError)):
        syntax = data.file_meta.TransferSyntaxUID.name
        detail = f"{name} ({syntax}) is corrupted, or a pydicom plug-in is missing (pip install pylibjpeg-libjpeg)"
        return Refused(Reason.UNREADABLE, detail)
    return Refused(Reason.UNREADABLE, f"the pixels of {name} cannot be decoded ({one_line(error, file)})")


def _by_gdcm(file: str, data: Any, planes: Sequence[Plane], error: BaseException) -> Pixels:
    """One image read by SimpleITK (GDCM), which supports compressions that pydicom needs plug-ins for."""
    import SimpleITK as sitk  # noqa: N813

    inverted = text(data, "PhotometricInterpretation") == "MONOCHROME1"
    if len(planes) != 1 or planes[0].frame or inverted:
        raise _undecodable(file, data, error) from None
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(file)
    try:
        values = sitk.GetArrayFromImage(reader.Execute())
    except RuntimeError:
        raise _undecodable(file, data, error) from None
    if values.size != planes[0].size[0] * planes[0].size[1]:
        raise _undecodable(file, data, error) from None
    padding = numbers(data, "PixelPaddingValue")
    slope, intercept = planes[0].rescale or (1.0, 0.0)
    values = values.reshape(planes[0].size)
    return Pixels(values, values == padding[0] * slope + intercept if padding else None)


def _rescaled(stored: NDArray[Any], rescale: tuple[float, ...], data: Any) -> NDArray[Any]:
    """Physical values: integers in the smallest type that can represent them, others as float32."""
    if "ModalityLUTSequence" in data and not rescale:
        from pydicom.pixels import apply_modality_lut

        return np.asarray(apply_modality_lut(stored, data))
    slope, intercept = rescale or (1.0, 0.0)
    if stored.dtype.kind == "f" or slope != 1 or intercept != int(intercept):
        return np.asarray(stored * np.float64(slope) + intercept, np.float32)
    low, high = int(stored.min()) + int(intercept), int(stored.max()) + int(intercept)
    if low >= _INT16.min and high <= _INT16.max:
        values: NDArray[np.int16] = stored.astype(np.int16)
        values += np.int16(intercept)
        return values
    return stored.astype(np.int64) + int(intercept)


def _padding(stored: NDArray[Any], data: Any) -> NDArray[np.bool_] | None:
    """Mask of the padding value, or of values between it and its limit, in *stored*; None if there are none."""
    value, limit = (numbers(data, name) for name in ("PixelPaddingValue", "PixelPaddingRangeLimit"))
    if not value or stored.dtype.kind == "f":
        return None
    bits = 8 * stored.dtype.itemsize
    ends = [int(number) & ((1 << bits) - 1) for number in (value[0], (limit or value)[0])]
    if stored.dtype.kind == "i":
        ends = [end - (1 << bits) if end >> (bits - 1) else end for end in ends]
    found = stored == ends[0] if ends[0] == ends[1] else (stored >= min(ends)) & (stored <= max(ends))
    return found if found.any() else None
