"""The vectors that an evaluation probed, kept beside its page for who wants to look at them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from umzoo.downstream.embed.vector_cache import save_arrays
from umzoo.downstream.evaluate.feature_table import FeatureTable
from umzoo.errors import DataError, in_one_line

VECTORS = "vectors.npz"


@dataclass(frozen=True)
class SavedVectors:
    """What :func:`save_vectors` kept.

    Attributes:
        features: float32 ``(n, d)`` by reference, controls among them; of random weights the first drawing.
        controls: names of the controls.
        targets: as in :class:`umzoo.downstream.evaluate.feature_table.Compared`.
        kind: of the task.
        classes: names of the classes, labels or numbers.
        scans: id of each case.
        subjects: person of each case.
    """

    features: dict[str, NDArray[np.float32]]
    controls: tuple[str, ...]
    targets: NDArray[np.float64]
    kind: str
    classes: tuple[str, ...]
    scans: tuple[str, ...]
    subjects: tuple[str, ...]


def save_vectors(table: FeatureTable, scans: Sequence[str], folder: Path) -> None:
    """Write the vectors of *table*, whose cases have the ids *scans*, to ``vectors.npz`` in *folder*."""
    first = {name: array if array.ndim == 2 else array[0] for name, array in table.features.items()}
    arrays = {f"features_{number}": array.astype(np.float32) for number, array in enumerate(first.values())}
    texts = {
        "names": list(first),
        "controls": sorted(table.controls),
        "kind": [table.kind],
        "classes": table.classes,
        "scans": scans,
        "subjects": table.subjects.tolist(),
    }
    arrays |= {name: np.array(list(values), dtype=str) for name, values in texts.items()}
    folder.mkdir(parents=True, exist_ok=True)
    save_arrays(folder / VECTORS, {**arrays, "targets": table.targets.astype(np.float64)})


def read_vectors(folder: Path) -> SavedVectors:
    """Return what :func:`save_vectors` wrote into *folder*.

    Raises:
        DataError: if it is damaged.
    """
    file = folder / VECTORS
    try:
        with np.load(file) as kept:
            features = {str(name): kept[f"features_{number}"] for number, name in enumerate(kept["names"])}
            texts = {name: tuple(map(str, kept[name])) for name in ("controls", "classes", "scans", "subjects")}
            found = SavedVectors(features, targets=kept["targets"], kind=str(kept["kind"][0]), **texts)
    except (OSError, ValueError, LookupError) as error:
        raise DataError(f"{file} is damaged ({in_one_line(error, 120)}): evaluate again") from None
    counts = {len(found.targets), len(found.subjects), *map(len, found.features.values())}
    if counts != {len(found.scans)}:
        raise DataError(f"{file} is damaged: it has not a row for each of {len(found.scans)} scans; evaluate again")
    return found
