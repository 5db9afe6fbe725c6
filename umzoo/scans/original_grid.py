"""A result on the original grid of a scan, which can be saved."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umzoo.data.reading.formats import ITK_SUFFIXES, suffix_of
from umzoo.data.reading.geometry import Grid
from umzoo.errors import DataError
from umzoo.files import written_whole

_RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class OriginalImage:
    """Values on a scan's own grid.

    Args:
        values: ``(i, j, k)``, or ``(i, j, k, n)`` for n maps.
        grid: the scan's own grid.
        header: NIfTI header of the scan, None if it has another format.
    """

    values: NDArray[Any]
    grid: Grid
    header: Any = None

    def to_nibabel(self) -> Any:
        """Return a NIfTI image with the codes and units of the scan's own header."""
        import nibabel

        if self.header is None:
            image = nibabel.Nifti1Image(self.values, _RAS_FROM_LPS @ self.grid.affine, dtype=self.values.dtype)
            image.header.set_xyzt_units("mm")
            return image
        header = self.header.copy()
        affine = header.get_best_affine()
        header.set_data_dtype(self.values.dtype)
        header.set_data_shape(self.values.shape)
        header.set_slope_inter(1.0, 0.0)
        header.set_intent("none")
        header["cal_min"] = header["cal_max"] = 0
        kind = nibabel.Nifti2Image if isinstance(header, nibabel.Nifti2Header) else nibabel.Nifti1Image
        return kind(self.values, affine, header)

    def to_sitk(self) -> Any:
        """Return a SimpleITK image; n maps are its components.

        Raises:
            DataError: if the grid is sheared, which SimpleITK does not support.
        """
        import SimpleITK as sitk  # noqa: N813

        spacing = np.linalg.norm(self.grid.affine[:3, :3], axis=0)
        direction = self.grid.affine[:3, :3] / spacing
        if np.abs(direction.T @ direction - np.eye(3)).max() > 1e-3:
            raise DataError("the scan's grid is sheared, which only NIfTI supports: save as .nii.gz")
        maps = self.values.ndim == 4
        image = sitk.GetImageFromArray(self.values.transpose(2, 1, 0, *range(3, self.values.ndim)), isVector=maps)
        image.SetSpacing(spacing.tolist())
        image.SetDirection(direction.ravel().tolist())
        image.SetOrigin(self.grid.affine[:3, 3].tolist())
        return image

    def save(self, path: Path | str) -> Path:
        """Write NIfTI (``.nii``, ``.nii.gz``), NRRD or MetaImage atomically; return the path.

        Raises:
            DataError: if the file has another suffix.
        """
        path = Path(path)
        suffix = suffix_of(path)
        if suffix not in (".nii", ".nii.gz", ".nrrd", ".mha"):
            raise DataError(f"cannot write '{path.name}': expected a name that ends in .nii.gz, .nii, .nrrd or .mha")
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as temporary:
            named = temporary.with_name(f"{temporary.name}{suffix}")
            self._write(named, suffix)
            named.replace(temporary)
        return path

    def _write(self, path: Path, suffix: str) -> None:
        if suffix in ITK_SUFFIXES:
            import SimpleITK as sitk  # noqa: N813

            sitk.WriteImage(self.to_sitk(), str(path), useCompression=True)
        else:
            self.to_nibabel().to_filename(path)
