"""Whether slices form one stack: evenly spaced, none missing, none shifted sideways."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from umzoo.data.reading.dicom.plane import Plane
from umzoo.data.reading.refusal import Reason, Refused

OFF_PLACE = 0.1
"""Maximum distance of a slice from its place in an even stack, as a fraction of the spacing."""
_SIDEWAYS = 0.25
_LEAST_MM = 0.05
_FEW = 0.1


def along_normal(planes: Sequence[Plane]) -> NDArray[np.float64]:
    """Distance of each of *planes* from the origin along the normal of the first, in mm."""
    orientation = np.asarray(planes[0].orientation)
    normal = np.cross(orientation[:3], orientation[3:])
    places: NDArray[np.float64] = np.asarray([plane.position for plane in planes]) @ normal
    return places


def in_order(planes: Sequence[Plane]) -> list[Plane]:
    """The *planes* sorted by position along the normal."""
    return [planes[n] for n in np.argsort(along_normal(planes), kind="stable")]


def judge(planes: Sequence[Plane]) -> Refused | None:
    """The reason why *planes*, in order, are not one evenly spaced stack; None if they are."""
    if len(planes) < 2:
        return Refused(Reason.TWO_D, "a single slice")
    places = along_normal(planes)
    if shift := _sideways(planes, places):
        return Refused(Reason.GEOMETRY, f"slices are shifted sideways by up to {shift:.1f} mm: no straight stack")
    if is_even(places):
        return None
    gaps = np.diff(places)
    usual = float(np.median(gaps))
    counts = gaps / usual if usual > 0 else gaps
    whole = np.abs(counts - np.rint(counts)).max() < OFF_PLACE and np.rint(counts).min() >= 1
    if whole and (counts > 1.5).mean() <= 0.25:
        missing = int((np.rint(counts) - 1).sum())
        detail = f"{missing} of {len(planes) + missing} slices; their spacing is {usual:.2f} mm, with gaps from"
        return Refused(Reason.SLICES, f"{detail} {gaps.min():.2f} to {gaps.max():.2f} mm")
    detail = f"slice spacing varies from {gaps.min():.2f} to {gaps.max():.2f} mm: use --uneven resample"
    return Refused(Reason.UNEVEN, detail)


def is_even(places: NDArray[np.float64]) -> bool:
    """Whether every slice is within a tenth of the spacing of its position in the best-fitting even stack."""
    numbers = np.arange(len(places))
    ideal = np.polyval(np.polyfit(numbers, places, 1), numbers)
    step = float(places[-1] - places[0]) / (len(places) - 1)
    return bool(np.abs(places - ideal).max() <= max(OFF_PLACE * step, min(_LEAST_MM, 0.3 * step)))


def without_strangers(planes: Sequence[Plane]) -> tuple[list[Plane], list[Plane]]:
    """Split *planes*, in order, into an even stack and the few slices between; all and none if that is impossible."""
    places = along_normal(planes)
    gaps = np.diff(places)
    usual = float(np.median(gaps)) if len(gaps) else 0.0
    if usual <= 0:
        return list(planes), []
    offsets = (places[:, None] - places[None, :]) / usual
    fits = np.abs(offsets - np.rint(offsets)) < OFF_PLACE
    member = fits[int(fits.sum(axis=1).argmax())]
    row = [plane for plane, fit in zip(planes, member, strict=True) if fit]
    strangers = [plane for plane, fit in zip(planes, member, strict=True) if not fit]
    if not strangers or len(strangers) > max(1, _FEW * len(planes)) or judge(row) is not None:
        return list(planes), []
    return row, strangers


def _sideways(planes: Sequence[Plane], places: NDArray[np.float64]) -> float:
    """Maximum distance in mm of a slice from the line from first to last slice; 0 if within a quarter of a pixel."""
    positions = np.asarray([plane.position for plane in planes])
    extent = float(places[-1] - places[0])
    if extent <= 0:
        return 0.0
    line = positions[0] + ((places - places[0]) / extent)[:, None] * (positions[-1] - positions[0])
    orientation = np.asarray(planes[0].orientation).reshape(2, 3)
    off = float(np.abs((positions - line) @ orientation.T).max())
    return off if off > max(_SIDEWAYS * min(planes[0].spacing), _LEAST_MM) else 0.0
