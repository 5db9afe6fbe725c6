"""The frames of a multi-frame file: position, contrast and rescale of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from umzoo.data.reading.dicom.elements import depth_of, numbers, rescale_of, text
from umzoo.data.reading.dicom.plane import Plane, check
from umzoo.data.reading.refusal import Reason, Refused

_KIND = (
    ("FrameContentSequence", "StackID"),
    ("FrameContentSequence", "TemporalPositionIndex"),
    ("MRImageFrameTypeSequence", "FrameType"),
    ("CTImageFrameTypeSequence", "FrameType"),
    ("PETFrameTypeSequence", "FrameType"),
    ("CTReconstructionSequence", "ConvolutionKernel"),
)
_MORE = (
    ("FrameContentSequence", "FrameAcquisitionNumber"),
    ("TemporalPositionSequence", "TemporalPositionTimeOffset"),
    ("MRModifierSequence", "InversionTimes"),
    ("MRTimingAndRelatedParametersSequence", "FlipAngle"),
    ("CardiacSynchronizationSequence", "NominalPercentageOfCardiacPhase"),
    ("FrameContentSequence", "FrameReferenceDateTime"),
    ("FrameContentSequence", "FrameAcquisitionDateTime"),
)
_VECTORS = (
    "EnergyWindowVector",
    "DetectorVector",
    "PhaseVector",
    "RRIntervalVector",
    "TimeSlotVector",
    "TimeSliceVector",
)
_PROJECTIONS = ("RotationVector", "AngularViewVector")


class _Groups:
    """The functional groups of one frame; missing ones are looked up in the shared groups."""

    def __init__(self, own: Any, shared: Any) -> None:
        self._parts = (own, shared)

    def item(self, sequence: str) -> Any:
        """The first item of *sequence*; empty if there is none."""
        for part in self._parts:
            if part is not None and part.get(sequence):
                return part.get(sequence)[0]
        return {}


def functional_planes(plane: Plane, data: Any, count: int) -> tuple[Plane, ...]:
    """The frames of an enhanced file; *plane* has the properties shared by all frames.

    Raises:
        Refused: if one of its *count* frames is not described, or its position or scaling is missing.
    """
    shared = (data.get("SharedFunctionalGroupsSequence") or [None])[0]
    frames = data.get("PerFrameFunctionalGroupsSequence") or []
    if len(frames) != count:
        raise Refused(Reason.UNREADABLE, f"the header declares {count} frames, but describes {len(frames)}")
    planes = []
    for number, own in enumerate(frames):
        planes.append(_frame(plane, _Groups(own, shared), number))
        check(planes[-1])
    return tuple(planes)


def _frame(plane: Plane, groups: _Groups, number: int) -> Plane:
    measures, content = groups.item("PixelMeasuresSequence"), groups.item("FrameContentSequence")
    scaling, diffusion = groups.item("PixelValueTransformationSequence"), groups.item("MRDiffusionSequence")
    echo, beat = groups.item("MREchoSequence"), groups.item("CardiacSynchronizationSequence")
    gradient = (diffusion.get("DiffusionGradientDirectionSequence") or [{}])[0]
    b_value, echo_time = numbers(diffusion, "DiffusionBValue"), numbers(echo, "EffectiveEchoTime")
    index = text(content, "DimensionIndexValues").split("\\")
    return replace(
        plane,
        frame=number,
        spacing=numbers(measures, "PixelSpacing") or plane.spacing,
        orientation=numbers(groups.item("PlaneOrientationSequence"), "ImageOrientationPatient") or plane.orientation,
        position=numbers(groups.item("PlanePositionSequence"), "ImagePositionPatient"),
        kind=plane.kind + tuple(text(groups.item(sequence), keyword) for sequence, keyword in _KIND),
        contrast=((echo_time or plane.contrast)[0], (b_value or plane.contrast[1:])[0], plane.contrast[2]),
        acquisition=text(content, "FrameAcquisitionNumber"),
        more=(
            text(gradient, "DiffusionGradientOrientation"),
            *(text(groups.item(sequence), keyword) for sequence, keyword in _MORE),
            *index,
        ),
        trigger=(numbers(beat, "NominalCardiacTriggerDelayTime") or (-1.0,))[0],
        order=number,
        rescale=rescale_of(scaling) or plane.rescale,
        depth=depth_of(measures),
    )


def vector_planes(plane: Plane, data: Any, count: int) -> tuple[tuple[Plane, ...], tuple[str, ...]]:
    """The frames of a file that gives one position and the slice spacing, as in nuclear medicine.

    Raises:
        Refused: if one of them is missing, or its frames are projections.
    """
    step = numbers(data, "SpacingBetweenSlices")
    first = (data.get("DetectorInformationSequence") or [{}])[0]
    position = plane.position or numbers(first, "ImagePositionPatient")
    orientation = plane.orientation or numbers(first, "ImageOrientationPatient")
    if any(len(set(_vector(data, name, count))) > 1 for name in _PROJECTIONS):
        raise Refused(Reason.NOT_A_VOLUME, f"{count} projections, not slices")
    if len(position) != 3 or len(orientation) != 6 or not step or step[0] == 0:
        detail = f"{count} frames in one file without their position, orientation or slice spacing"
        raise Refused(Reason.GEOMETRY, detail)
    normal = np.cross(orientation[:3], orientation[3:])
    slices = [float(n) for n in _vector(data, "SliceVector", count, range(1, count + 1))]
    keys = list(zip(*(_vector(data, name, count) for name in _VECTORS), strict=True))
    places = [tuple((np.asarray(position) + (n - 1) * step[0] * normal).tolist()) for n in slices]
    planes = tuple(
        replace(plane, frame=n, order=n, position=places[n], orientation=orientation, more=tuple(map(str, keys[n])))
        for n in range(count)
    )
    return planes, ("frames are assumed to lie along the normal of the slices, SpacingBetweenSlices apart",)


def _vector(data: Any, keyword: str, count: int, default: Sequence[float] | None = None) -> Sequence[float]:
    """One number for each frame."""
    values = numbers(data, keyword)
    return values if len(values) == count else (default or [1.0] * count)
