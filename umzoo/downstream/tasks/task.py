"""A labeled task in memory: its cases, classes and splits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from umzoo.downstream.tasks.config import TaskConfig
from umzoo.downstream.tasks.folds import Split, draw_subjects, split_cases


@dataclass(frozen=True)
class Case:
    """One labeled scan.

    Attributes:
        id: unique name.
        images: one file or DICOM folder per channel, or one file that holds all channels.
        label: label map, for segmentation.
        mask: mask on which crops are centered.
        targets: class index; 0 or 1 per label; numbers; or time and event.
        subject: subject of the scan; cases with equal names belong to one subject.
        split: ``"train"``, ``"validation"``, ``"test"``, or empty if the data has no split.
        fold: name of the fold in the table, or empty.
        modality: one per channel, or one for all; empty if unknown.
    """

    id: str
    images: tuple[Path, ...]
    label: Path | None
    mask: Path | None
    targets: tuple[float, ...]
    subject: str
    split: str
    fold: str
    modality: tuple[str, ...]

    @property
    def image(self) -> Path | list[Path]:
        """Input of :func:`umzoo.load_scan`: a path, or one per channel."""
        return self.images[0] if len(self.images) == 1 else list(self.images)


@dataclass(frozen=True)
class Task:
    """A labeled task.

    Attributes:
        config: its options.
        cases: sorted by id.
        classes: names of the classes (segmentation: background first), of the labels, or of the targets.
        left_out: number of cases without a target.
    """

    config: TaskConfig
    cases: tuple[Case, ...]
    classes: tuple[str, ...]
    left_out: int

    @property
    def name(self) -> str:
        """Name of the task."""
        return self.config.name

    @property
    def kind(self) -> str:
        """Kind of the task."""
        return self.config.kind

    @property
    def outputs(self) -> int:
        """Number of network outputs per scan or voxel; survival has one, the log hazard."""
        return 1 if self.kind == "survival" else len(self.classes)

    @property
    def subjects(self) -> tuple[str, ...]:
        """Subject of each case."""
        return tuple(case.subject for case in self.cases)

    def folds(self, seed: int = 0) -> tuple[Split, ...]:
        """Return the folds of cross-validation: those of the data, else random folds by *seed*, grouped by subject.

        Every fold has the same ``test`` cases: those of the data's split, else a fraction ``test`` of the subjects.

        Raises:
            DataError: if a class has fewer subjects than there are folds.
        """
        return split_cases(self._with_test(seed), self.kind, self.classes, self.config.folds, seed)

    def split(self, seed: int = 0) -> Split:
        """Return one split: that of the data, else a random one by *seed* with a fraction ``validation`` of subjects.

        Raises:
            DataError: if a class has too few subjects.
        """
        cases = self._with_test(seed)
        if any(case.split == "validation" for case in cases):
            return Split.of(cases)
        return split_cases(cases, self.kind, self.classes, round(1 / self.config.validation), seed)[0]

    def _with_test(self, seed: int) -> tuple[Case, ...]:
        """Return the cases; hold out random test subjects if the options require it and the data has no test split."""
        if not self.config.test or any(case.split == "test" for case in self.cases):
            return self.cases
        held = draw_subjects(self.cases, self.kind, self.config.test, seed)
        return tuple(replace(case, split="test") if case.subject in held else case for case in self.cases)
