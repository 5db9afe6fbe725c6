"""Scans written by the tests: small, with noise, and different along every axis."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

Scan = NDArray[np.int16]


def make_scan(seed: int = 0, shape: tuple[int, int, int] = (20, 24, 28), ct: bool = False) -> Scan:
    """An int16 volume in canonical (D, H, W): a ball off the center, with noise; in HU if *ct*, else 0..1000."""
    rng = np.random.default_rng(seed)
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    inside = (z - 0.1) ** 2 + (y + 0.15) ** 2 + (x - 0.2) ** 2 < 0.6
    low, high = (-1000, 60) if ct else (0, 600)
    body = np.where(inside, high + 60 * x + 40 * y + 20 * z, low)
    noise = rng.normal(0, 15, shape)
    return (body + (noise if ct else np.abs(noise))).round().astype(np.int16)


def write_nifti(path: Path, canonical: NDArray, spacing: tuple[float, float, float] = (1, 1, 1), **header: int) -> Path:
    """Write a canonical (D, H, W) LPS volume as NIfTI with spacing in mm (D, H, W)."""
    import nibabel

    path.parent.mkdir(parents=True, exist_ok=True)
    affine = np.diag([-spacing[2], -spacing[1], spacing[0], 1.0])
    image = nibabel.Nifti1Image(canonical.transpose(2, 1, 0), affine)
    for name, value in header.items():
        image.header[name] = value
    nibabel.save(image, path)
    return path


def write_dicom(
    folder: Path,
    canonical: Scan,
    modality: str = "CT",
    series: str = "1.2.3",
    patient: str = "Doe^Jane",
    spacing: tuple[float, float, float] = (2, 1, 1),
    tilt: float = 0.0,
    first: int = 0,
    each: Callable[[int], dict[str, object]] = lambda k: {},
    **tags: object,
) -> Path:
    """Write an axial series, one file a slice, names unrelated to the order; *tilt* shears slices along y (mm each).

    *tags* replace what is written; *each* gives more for slice k. ``raw`` is the stored pixels, None deletes a tag.
    """
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    folder.mkdir(parents=True, exist_ok=True)
    for k, plane in enumerate(canonical):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
        meta.MediaStorageSOPInstanceUID = generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        item = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        item.SOPClassUID, item.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
        item.Modality, item.PatientName, item.PatientID = modality, patient, patient
        item.StudyInstanceUID, item.SeriesInstanceUID, item.InstanceNumber = "1.2", series, k + 1
        item.Rows, item.Columns, item.SamplesPerPixel = *plane.shape, 1
        item.PhotometricInterpretation, item.PixelRepresentation = "MONOCHROME2", 1
        item.BitsAllocated, item.BitsStored, item.HighBit = 16, 16, 15
        item.PixelSpacing, item.ImageOrientationPatient = [spacing[1], spacing[2]], [1, 0, 0, 0, 1, 0]
        item.ImagePositionPatient = [0, tilt * k, spacing[0] * k]
        item.RescaleSlope, item.RescaleIntercept = 1, -1000
        item.PixelData = (plane.astype(np.int16) + 1000).astype("<i2").tobytes()
        for name, value in {**tags, **each(k)}.items():
            if name == "raw":
                item.PixelData = value.tobytes()
            elif value is None:
                delattr(item, name)
            else:
                setattr(item, name, value)
        item.save_as(folder / f"{(k * 7) % 101 + first:03d}.dcm", enforce_file_format=True)
    return folder


@pytest.fixture(name="make_scan")
def _make_scan() -> Callable[..., Scan]:
    return make_scan


@pytest.fixture(name="write_nifti")
def _write_nifti() -> Callable[..., Path]:
    return write_nifti


@pytest.fixture(name="write_dicom")
def _write_dicom() -> Callable[..., Path]:
    return write_dicom
