"""Labeled scans with the references to compare, and the features of these references."""

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
    """Labeled scans, and the references and controls to compare on them.

    Attributes:
        names: references and controls.
        targets: class index ``(n,)``; 0 or 1 per label ``(n, k)``; numbers ``(n, k)``; time, event ``(n, 2)``; for
            segmentation any array ``(n, ...)``.
        subjects: subject of each scan ``(n,)``.
        kind: classification, multilabel, regression, survival or segmentation.
        random: reference to the name of its control, the same network with random weights.
        simple: name of the control with intensities and sizes or positions only; empty if there is none.
        classes: names of the classes, labels or numbers.
        folds: outer fold of each scan ``(n,)``, if the data defines folds.

    Raises:
        DataError: if the lengths of arrays differ, or one subject is in two folds.
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
        """Names of the references without the controls."""
        return tuple(name for name in self.names if name not in self.controls)


class FeatureTable(Compared):
    """Labeled scans as in :class:`Compared`, with a feature vector per reference.

    *features* have shape ``(n, d)``; those of r random initializations may be ``(r, n, d)``.

    Raises:
        DataError: if the lengths of arrays differ, values are not finite, or one subject is in two folds.
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
    """Return the targets of *cases* in the layout of :class:`Compared`; zeros for a segmentation."""
    if task.kind == "segmentation":
        return np.zeros((len(cases), 1))
    targets = np.array([case.targets for case in cases])
    return targets[:, 0].astype(np.int64) if task.kind == "classification" else targets


def refuse_leaks(subjects: NDArray[Any], folds: NDArray[Any]) -> None:
    """Raise DataError if scans of one subject are in two folds."""
    for subject in np.unique(subjects):
        found = np.unique(folds[subjects == subject])
        if len(found) > 1:
            raise DataError(
                f"subject '{subject}' is in folds {', '.join(map(str, found))}:"
                " put all scans of one subject in one fold, else the metrics are too optimistic"
            )
