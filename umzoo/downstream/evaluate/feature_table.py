"""What is compared on labeled scans, and the features of several references for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from umzoo.downstream.tasks import Case, Task
from umzoo.errors import DataError

Kind = Literal["classification", "multilabel", "regression", "survival", "segmentation"]


@dataclass(frozen=True)
class Compared:
    """Labeled scans, and what is compared on them.

    Attributes:
        names: references and controls.
        targets: index of the class ``(n,)``; 0 or 1 per label ``(n, k)``; numbers ``(n, k)``; time, event ``(n, 2)``;
            of segmentation anything ``(n, ...)``.
        subjects: person of each scan ``(n,)``.
        kind: classification, multilabel, regression, survival or segmentation.
        random: reference to the name of its control, random weights of the same network, drawn several times.
        simple: name of the control that knows intensities and sizes or places; empty if there is none.
        classes: names of the classes, labels or numbers.
        folds: outer fold of each scan ``(n,)``, where the data brings its own.

    Raises:
        DataError: if arrays do not fit together, or one person is in two folds.
    """

    names: tuple[str, ...]
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
        if unknown := self.controls - set(self.names):
            raise DataError(f"controls without features: {', '.join(sorted(unknown))}")
        if self.folds is not None:
            refuse_leaks(self.subjects, self.folds)

    @property
    def controls(self) -> frozenset[str]:
        """Names of the controls."""
        return frozenset({*self.random.values(), *filter(None, [self.simple])})

    @property
    def references(self) -> tuple[str, ...]:
        """Names of the references that are not controls."""
        return tuple(name for name in self.names if name not in self.controls)


class FeatureTable(Compared):
    """Labeled scans, each with a vector per reference; the rest as in :class:`Compared`.

    *features* are ``(n, d)``; those of random weights may be ``(r, n, d)``, of r drawings.

    Raises:
        DataError: if arrays do not fit together or are not finite, or one person is in two folds.
    """

    features: Mapping[str, NDArray[Any]]

    def __init__(
        self,
        features: Mapping[str, NDArray[Any]],
        targets: NDArray[Any],
        subjects: NDArray[Any],
        kind: Kind,
        random: Mapping[str, str] | None = None,
        simple: str = "",
        classes: tuple[str, ...] = (),
        folds: NDArray[Any] | None = None,
    ) -> None:
        object.__setattr__(self, "features", features)
        for name, array in features.items():
            if array.ndim not in (2, 3) or array.shape[-2] != len(subjects):
                raise DataError(f"features of '{name}' have shape {array.shape}, expected ({len(subjects)}, d)")
            if not np.isfinite(array).all():
                raise DataError(f"features of '{name}' are not finite: embed the scans again")
        super().__init__(tuple(features), targets, subjects, kind, random or {}, simple, classes, folds)


def targets_of(task: Task, cases: Sequence[Case]) -> NDArray[Any]:
    """Return the answers of *cases* as :class:`Compared` has them; zeros of a segmentation."""
    if task.kind == "segmentation":
        return np.zeros((len(cases), 1))
    targets = np.array([case.targets for case in cases])
    return targets[:, 0].astype(np.int64) if task.kind == "classification" else targets


def refuse_leaks(subjects: NDArray[Any], folds: NDArray[Any]) -> None:
    """Raise DataError if scans of one person are in two folds."""
    for subject in np.unique(subjects):
        found = np.unique(folds[subjects == subject])
        if len(found) > 1:
            raise DataError(
                f"subject '{subject}' is in folds {', '.join(map(str, found))}:"
                " all scans of one person belong in one fold, or the numbers are too good"
            )
