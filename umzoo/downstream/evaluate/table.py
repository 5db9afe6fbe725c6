"""Features of several references for the same labeled scans."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from umzoo.errors import DataError

Kind = Literal["classification", "multilabel", "regression", "survival"]


@dataclass(frozen=True)
class FeatureTable:
    """Labeled scans, each with a vector per reference.

    Attributes:
        features: reference to its vectors ``(n, d)``.
        targets: index of the class ``(n,)``; 0 or 1 per label ``(n, k)``; numbers ``(n, k)``; time, event ``(n, 2)``.
        subjects: person of each scan ``(n,)``.
        kind: classification, multilabel, regression or survival.
        random: reference to the name of its control, features of random weights of the same network.
        simple: name of the control that holds intensities and sizes; empty if there is none.
        classes: names of the classes, labels or numbers.
        folds: outer fold of each scan ``(n,)``, where the data brings its own.

    Raises:
        DataError: if arrays do not fit together, or one person is in two folds.
    """

    features: Mapping[str, NDArray[Any]]
    targets: NDArray[Any]
    subjects: NDArray[Any]
    kind: Kind
    random: Mapping[str, str] = field(default_factory=dict)
    simple: str = ""
    classes: tuple[str, ...] = ()
    folds: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        count = len(self.subjects)
        if len(self.targets) != count:
            raise DataError(f"expected a target for each of {count} scans, got {len(self.targets)}")
        for name, array in self.features.items():
            if array.ndim != 2 or len(array) != count:
                raise DataError(f"features of '{name}' have shape {array.shape}, expected ({count}, d)")
            if not np.isfinite(array).all():
                raise DataError(f"features of '{name}' are not finite: embed the scans again")
        unknown = {*self.random.values(), *filter(None, [self.simple])} - self.features.keys()
        if unknown:
            raise DataError(f"controls without features: {', '.join(sorted(unknown))}")
        if self.folds is not None:
            refuse_leaks(self.subjects, self.folds)

    @property
    def controls(self) -> frozenset[str]:
        """Names of the controls."""
        return frozenset({*self.random.values(), *filter(None, [self.simple])})

    @property
    def references(self) -> tuple[str, ...]:
        """Names of the references that are no controls."""
        return tuple(name for name in self.features if name not in self.controls)


def refuse_leaks(subjects: NDArray[Any], folds: NDArray[Any]) -> None:
    """Raise DataError if scans of one person are in two folds."""
    for subject in np.unique(subjects):
        found = np.unique(folds[subjects == subject])
        if len(found) > 1:
            raise DataError(
                f"subject '{subject}' is in folds {', '.join(map(str, found))}:"
                " all scans of one person belong in one fold, or the numbers are too good"
            )
