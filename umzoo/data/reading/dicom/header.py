"""Reads the header elements that assign an image to a volume, without pixels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from umzoo.data.reading.dicom.elements import lenient, numbers, text
from umzoo.data.reading.dicom.file_planes import USED, planes_of
from umzoo.data.reading.dicom.plane import Header
from umzoo.data.reading.dicom.size_limits import read_bounded, require_bounded
from umzoo.data.reading.refusal import Reason, Refused, one_line

VOLUME_MODALITIES = {"CT": "ct", "MR": "mr", "PT": "pt", "NM": "nm", "OT": "", "": ""}

_DIRECTORY = "1.2.840.10008.1.3.10"
_STORAGE = "1.2.840.10008.5.1.4.1.1"
_SEGMENTATION = f"{_STORAGE}.66.4"
_NO_IMAGES = tuple(f"{_STORAGE}.{number}" for number in ("4.2", "9.", "11.", "66", "88.", "104.", "481."))
"""Spectra, curves, presentation states, registrations, reports, documents and objects of radiotherapy."""
_IMAGES_IN_MOSAIC = 0x0019100A
_TAGS = (
    "SOPClassUID",
    "SeriesInstanceUID",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "SpecificCharacterSet",
    "BitsAllocated",
)


def read_headers(files: Sequence[str]) -> list[Header]:
    """The headers of *files*, without pixels."""
    return [read_header(file) for file in files]


def read_header(file: str) -> Header:
    """The header of one *file*."""
    with lenient():
        try:
            data = read_bounded(file, stop_before_pixels=True, specific_tags=[*_TAGS, *USED, _IMAGES_IN_MOSAIC])
            return describe(file, data)
        except Refused as why:
            return Header(file, problem=why)
        except Exception as error:  # noqa: BLE001 - damaged files raise anything
            return Header(file, problem=Refused(Reason.UNREADABLE, f"corrupted DICOM file ({one_line(error, file)})"))


def describe(file: str, data: Any) -> Header:
    """The header of *file*, whose elements are in *data*.

    Raises:
        Refused: if it declares more data than the file can have.
    """
    require_bounded(file, data, [*_TAGS, *USED])
    modality, patient = text(data, "Modality"), text(data, "PatientID")
    series = text(data, "SeriesInstanceUID") or Path(file).parent.as_posix()
    why = _unfit(data, modality)
    if why is None:
        try:
            planes, notes = planes_of(file, data, series)
            return Header(file, modality, patient, series, planes, notes=notes)
        except Refused as refusal:
            why = refusal
    return Header(file, modality, patient, series, problem=why)


def _unfit(data: Any, modality: str) -> Refused | None:
    """The reason why the file cannot be part of a volume, if there is one."""
    import pydicom

    kind = str(data.file_meta.get("MediaStorageSOPClassUID", "")) if hasattr(data, "file_meta") else ""
    kind = text(data, "SOPClassUID") or kind
    if not kind and "Rows" not in data:
        return Refused(Reason.UNREADABLE, "corrupted, or not a DICOM file")
    if modality == "SEG" or kind == _SEGMENTATION:
        return Refused(Reason.LABELS, "a DICOM segmentation")
    other = kind == _DIRECTORY or kind.startswith(_NO_IMAGES) or "Rows" not in data
    if other or modality not in VOLUME_MODALITIES:
        name = pydicom.uid.UID(kind).name if kind else "no image"
        return Refused(Reason.NOT_A_VOLUME, f"DICOM {modality} ({name})" if modality else f"DICOM: {name}")
    if "MOSAIC" in text(data, "ImageType").split("\\") or _IMAGES_IN_MOSAIC in data:
        detail = "a Siemens mosaic (many slices in one image): convert it first, for example with dcm2niix"
        return Refused(Reason.NOT_A_VOLUME, detail)
    samples = int((numbers(data, "SamplesPerPixel") or (1,))[0])
    if samples > 1 or text(data, "PhotometricInterpretation").startswith("PALETTE"):
        return Refused(Reason.COLOR, f"{max(samples, 3)} color components")
    return None
