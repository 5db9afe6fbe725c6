"""The images of one file, as described by its header."""

from __future__ import annotations

from typing import Any

from umzoo.data.reading.dicom.elements import depth_of, numbers, rescale_of, text
from umzoo.data.reading.dicom.multiframe import functional_planes, vector_planes
from umzoo.data.reading.dicom.plane import Plane, check
from umzoo.data.reading.refusal import Reason, Refused

KIND = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "PatientAge", "StudyInstanceUID",
    "FrameOfReferenceUID", "Modality", "ImageType", "SeriesNumber", "SeriesDescription", "ConvolutionKernel",
    "EchoNumbers", "TemporalPositionIdentifier",
)  # fmt: skip
CONTRAST = ("EchoTime", "DiffusionBValue", "KVP")
MORE = (
    "AcquisitionNumber", "DiffusionGradientOrientation", "InversionTime", "FlipAngle", "SequenceName", "SliceThickness",
    "NominalPercentageOfCardiacPhase", "ProtocolName", "ContrastBolusAgent", "AcquisitionTime", "ContentTime",
)  # fmt: skip
_B_VALUES = (0x0019100C, 0x20011003, 0x00431039)
_GEOMETRY = ("Rows", "Columns", "PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient")
_FRAMES = (
    "NumberOfFrames", "SpacingBetweenSlices", "FrameIncrementPointer", "EnergyWindowVector", "DetectorVector",
    "PhaseVector", "RotationVector", "RRIntervalVector", "TimeSlotVector", "SliceVector", "AngularViewVector",
    "TimeSliceVector", "DetectorInformationSequence", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence", "InConcatenationTotalNumber",
)  # fmt: skip
USED = (
    *KIND, *CONTRAST, *MORE, *_B_VALUES, *_GEOMETRY, *_FRAMES, "InstanceNumber", "TriggerTime", "RescaleSlope",
    "RescaleIntercept",
)  # fmt: skip
"""Elements that are read."""


def planes_of(file: str, data: Any, series: str) -> tuple[tuple[Plane, ...], tuple[str, ...]]:
    """The images of *file*, and notes for the report.

    Raises:
        Refused: if their position, pixel size or scaling is missing.
    """
    plane = _plane(file, data, series)
    count = int((numbers(data, "NumberOfFrames") or (1,))[0])
    parts = int((numbers(data, "InConcatenationTotalNumber") or (1,))[0])
    if parts > 1:
        detail = f"one of {parts} files that form one image (a concatenation): merge them into one file first"
        raise Refused(Reason.NOT_A_VOLUME, detail)
    notes: tuple[str, ...] = ()
    if "PerFrameFunctionalGroupsSequence" in data:
        planes = functional_planes(plane, data, count)
    elif count > 1:
        planes, notes = vector_planes(plane, data, count)
        check(planes[0])
    else:
        planes = (plane,)
        check(planes[0])
    return planes, notes


def _plane(file: str, data: Any, series: str) -> Plane:
    """The properties shared by all images of *file*."""
    kind = tuple(text(data, keyword).strip("^ ") for keyword in KIND)
    b_value = numbers(data, "DiffusionBValue") or _private_b_value(data)
    values = [numbers(data, "EchoTime"), b_value, numbers(data, "KVP")]
    return Plane(
        file=file,
        frame=0,
        size=(int((numbers(data, "Rows") or (0,))[0]), int((numbers(data, "Columns") or (0,))[0])),
        spacing=numbers(data, "PixelSpacing"),
        orientation=numbers(data, "ImageOrientationPatient"),
        position=numbers(data, "ImagePositionPatient"),
        kind=(*kind, series),
        contrast=tuple((value or (-1.0,))[0] for value in values),
        acquisition=text(data, "AcquisitionNumber"),
        more=tuple(text(data, keyword) for keyword in MORE),
        trigger=(numbers(data, "TriggerTime") or (-1.0,))[0],
        order=int((numbers(data, "InstanceNumber") or (0,))[0]),
        rescale=rescale_of(data),
        depth=depth_of(data),
    )


def _private_b_value(data: Any) -> tuple[float, ...]:
    """The b-value in the private elements of Siemens, Philips or GE."""
    for tag in _B_VALUES:
        if tag in data:
            value = data[tag].value
            value = value.decode("ascii", "ignore").split("\\")[0] if isinstance(value, bytes) else value
            value = value[0] if not isinstance(value, (str, int, float)) and len(value) else value
            try:
                return (float(value),)
            except (TypeError, ValueError):
                continue
    return ()
