"""A labeled task in memory: its cases and what their answers mean."""

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
        label: label map of segmentation.
        mask: region that crops are centered on.
        targets: index of the class; 0 or 1 per label; numbers; or time and event.
        subject: the person; equal names are one person.
        split: ``"train"``, ``"validation"``, ``"test"``, or empty where the data says nothing.
        fold: name of the fold in the table, or empty.
        modality: one per channel, or one for all; empty where unknown.
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
        """What :func:`umzoo.load_scan` takes: a path, or one per channel."""
        return self.images[0] if len(self.images) == 1 else list(self.images)


@dataclass(frozen=True)
class Task:
    """A labeled task.

    Attributes:
        config: its options.
        cases: sorted by id.
        classes: names of the classes (segmentation: background first), of the labels, or of the numbers.
        left_out: cases without an answer.
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
        """Numbers a network answers with, per scan or voxel; survival has one, the log of the hazard."""
        return 1 if self.kind == "survival" else len(self.classes)

    @property
    def subjects(self) -> tuple[str, ...]:
        """The person of each case."""
        return tuple(case.subject for case in self.cases)

    def folds(self, seed: int = 0) -> tuple[Split, ...]:
        """Return the folds of cross-validation: those of the data, else drawn by *seed* alone, grouped by person.

        Cases whose split is test are in ``test`` of every fold; where there is none, the share ``test`` of the persons.

        Raises:
            DataError: if a class has too few persons for that many folds.
        """
        return split_cases(self._with_test(seed), self.kind, self.classes, self.config.folds, seed)

    def split(self, seed: int = 0) -> Split:
        """Return one split: that of the data, else a share ``validation`` of the persons, drawn by *seed* alone.

        Raises:
            DataError: if a class has too few persons.
        """
        cases = self._with_test(seed)
        if any(case.split == "validation" for case in cases):
            return Split.of(cases)
        return split_cases(cases, self.kind, self.classes, round(1 / self.config.validation), seed)[0]

    def _with_test(self, seed: int) -> tuple[Case, ...]:
        """The cases, with a share of the persons drawn for the test if the options ask for it and the data has none."""
        if not self.config.test or any(case.split == "test" for case in self.cases):
            return self.cases
        held = draw_subjects(self.cases, self.kind, self.config.test, seed)
        return tuple(replace(case, split="test") if case.subject in held else case for case in self.cases)
