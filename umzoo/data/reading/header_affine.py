"""The affine of a header: which of its matrices is used, and in which unit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from umzoo.data.reading.geometry import is_skewed, spans_space
from umzoo.data.reading.reader_client import axes_apart
from umzoo.data.reading.refusal import Reason, Refused

_LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_UNITS_IN_MM = {"meter": 1000.0, "micron": 0.001}
UNKNOWN_AXES = "the header has no orientation: nibabel's default is assumed"


def affine_of(image: Any, path: str = "") -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Index to mm in LPS, and a note if the header has no orientation, or two that disagree.

    The sform is used, as by nibabel; the qform is used if the sform is sheared or singular.

    Raises:
        Refused: if the header gives an impossible unit.
    """
    import nibabel

    header = image.header
    affine = np.array(image.affine, float)
    notes: tuple[str, ...] = ()
    if hasattr(header, "get_qform"):
        affine, notes = _nifti_affine(image, path)
    elif isinstance(image, nibabel.AnalyzeImage):
        notes = (UNKNOWN_AXES,)
    if hasattr(header, "get_xyzt_units"):
        unit = header.get_xyzt_units()[0]
        affine[:3] *= _UNITS_IN_MM.get(unit, 1.0)
        _check_unit(affine, unit)
    return _LPS_FROM_RAS @ affine, notes


def _nifti_affine(image: Any, path: str) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    header = image.header
    codes = int(header["sform_code"]), int(header["qform_code"])
    affine = np.array(image.affine, float)
    if codes == (0, 0):
        return affine, (UNKNOWN_AXES,)
    if not codes[1]:
        return affine, ()
    try:
        qform = np.array(header.get_qform(), float)
    except ValueError:
        return affine, ()
    if not codes[0] or not spans_space(qform):
        return affine, ()
    if not spans_space(affine):
        return qform, ("the sform is singular: the qform is used",)
    if is_skewed(affine) and not is_skewed(qform):
        return qform, ("the sform is sheared: the qform is used",)
    if _same(affine, qform):
        return affine, ()
    other = _itk_takes(path, affine, qform)
    return affine, (f"sform and qform disagree: the sform is used{other}",)


def _same(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    """Whether axes agree within 1 % of their length, and the origin within a tenth of a voxel."""
    size = np.linalg.norm(one[:3, :3], axis=0).min()
    return bool(np.abs(one - other)[:3, :3].max() < 0.01 * size and np.abs(one - other)[:3, 3].max() < 0.1 * size)


def _itk_takes(path: str, sform: NDArray[np.float64], qform: NDArray[np.float64]) -> str:
    """The matrix used by SimpleITK, nnU-Net's reader, for a file in which both differ; empty if unknown."""
    if not path:
        return ""
    axes = axes_apart(path)
    if axes is None:
        return "; nnU-Net's reader refuses the file"
    theirs = _LPS_FROM_RAS[:3, :3] @ axes
    takes = "qform" if np.abs(theirs - qform[:3, :3]).max() < np.abs(theirs - sform[:3, :3]).max() else "sform"
    return f"; nnU-Net's reader uses the {takes}"


def _check_unit(affine: NDArray[np.float64], unit: str) -> None:
    """Refuse a unit that makes voxels larger than a hand.

    Raises:
        Refused: naming the unit.
    """
    sizes = np.linalg.norm(affine[:3, :3], axis=0)
    if unit in _UNITS_IN_MM and (sizes.max() > 100 or sizes.min() < 1e-3):
        shown = " x ".join(f"{size / _UNITS_IN_MM[unit]:.4g}" for size in sizes)
        detail = f"the header gives a voxel size of {shown} in '{unit}', probably mm: correct its xyzt_units"
        raise Refused(Reason.GEOMETRY, detail)
