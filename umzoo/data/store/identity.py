"""Identifiers of volumes and of persons in a store: hashes, which identify nobody outside of it."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray


def content_id(voxels: NDArray[Any], spacing: tuple[float, ...], modality: str) -> str:
    """Hash of physical values ``(D, H, W)``, shape and spacing; then the modality, which decides the encoding."""
    digest = blake2b(repr((voxels.shape, [round(s, 3) for s in spacing])).encode(), digest_size=12)
    for plane in voxels:
        digest.update(np.ascontiguousarray(plane, "<f4").data)
    return f"{digest.hexdigest()}-{modality or 'unknown'}"


def content_of(name: str) -> str:
    """The part of a volume's id that identifies voxels and geometry."""
    return name.partition("-")[0]


def subject_hash(name: str, salt: bytes) -> str:
    """Keyed hash of a person's name: equal for one person, meaningless without the store's key."""
    return blake2b(name.encode("utf-8", "surrogatepass"), key=salt, digest_size=8).hexdigest()
