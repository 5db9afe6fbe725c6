"""Formats of scans by the suffixes of their files."""

from __future__ import annotations

from pathlib import Path

NIBABEL_SUFFIXES = (".nii", ".nii.gz", ".nii.bz2", ".hdr", ".hdr.gz", ".mgz", ".mgh")
ITK_SUFFIXES = (".nrrd", ".nhdr", ".mha", ".mhd")
SUFFIXES = NIBABEL_SUFFIXES + ITK_SUFFIXES

_ARCHIVES = (".zip", ".tar", ".tgz", ".7z", ".rar")
_PACKERS = (".gz", ".bz2", ".xz", ".zst", ".z")
_DOUBLE_SUFFIXES = (".nii.gz", ".nii.bz2", ".hdr.gz", ".img.gz")


def suffix_of(path: Path | str) -> str:
    """The lower-case suffix of a file name, ``.nii.gz`` in one piece."""
    name = str(path).lower()
    return next((suffix for suffix in _DOUBLE_SUFFIXES if name.endswith(suffix)), Path(name).suffix)


def packed_kind(path: Path) -> str:
    """The suffix of a packed file that may hold scans, such as ``.dcm.gz`` or ``.zip``; empty for others."""
    suffix, inner = path.suffix.lower(), Path(path.stem).suffix.lower()
    if suffix in _ARCHIVES:
        return suffix
    return inner + suffix if suffix in _PACKERS and inner in (*SUFFIXES, ".dcm", ".ima", ".tar") else ""


def stem_of(path: Path | str) -> str:
    """The file name without its suffix, ``.nii.gz`` in one piece."""
    name = Path(path).name
    return name[: len(name) - len(suffix_of(name))] or name
