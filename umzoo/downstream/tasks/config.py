"""Options of a labeled task: the table ``[task]`` of a TOML file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator
from typing_extensions import Self

from umzoo.config import Config

Kind = Literal["segmentation", "classification", "multilabel", "regression", "survival"]
Names = Annotated[tuple[str, ...], BeforeValidator(lambda given: (given,) if isinstance(given, str) else given)]


def _values(given: Any) -> Any:
    """Classes by the value they have in the table; a list names the values themselves."""
    if isinstance(given, Mapping):
        return {str(value): str(name) for value, name in given.items()}
    return {str(value): str(value) for value in given} if isinstance(given, list | tuple) else given


class TaskConfig(Config):
    """What is to be learned, and from which table or folder."""

    name: str = Field("", description="name of the task; by default that of the TOML file")
    kind: Kind = Field(description="segmentation, classification, multilabel, regression or survival (time, event)")
    data: Path = Field(
        description="folder with dataset.json (nnU-Net raw, Decathlon), or a table (.csv, .jsonl); relative to the TOML"
    )
    table: Path | None = Field(None, description="table (.csv, .jsonl) that is joined to a folder; relative to data")
    key: str = Field("case", description="column of the table that names the case")
    image: Names = Field(("image",), description="column of the image, or one column per channel")
    images: Names = Field((), description="pattern of image files, such as 'imagesTr/{case}.nii.gz'; one per channel")
    label: str = Field("label", description="column of the label map, or a pattern such as 'masks/{case}.nii.gz'")
    mask: str | None = Field(None, description="column or pattern of a mask that crops are centered on")
    targets: Names = Field((), description="columns of the answers; of survival: time, event (1: seen, 0: censored)")
    classes: Annotated[dict[str, str], BeforeValidator(_values)] = Field(
        {}, description='classes in order, as in the table: ["no", "yes"], or with names: { 0 = "no", 1 = "yes" }'
    )
    subject: str | None = Field(None, description="column of the person; by default 'subject', or each case is one")
    split: str | None = Field(None, description="column with train, validation or test; by default 'split', if any")
    fold: str | None = Field(None, description="column with the fold of each case; by default 'fold', if any")
    modality: Names = Field((), description="modality, or one per channel; by default that of the data")
    folds: int = Field(5, ge=2, le=100, description="folds of cross-validation")
    test: float = Field(
        0.0, ge=0, lt=1, description="share of the persons that are judged once, in the end, where the data names none"
    )
    validation: float = Field(0.2, gt=0, le=0.5, description="share of the persons to validate on, without folds")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.kind != "segmentation" and not self.targets:
            raise ValueError(f"a {self.kind} task needs 'targets', the columns of its answers")
        if self.kind == "segmentation" and self.targets:
            raise ValueError("a segmentation task has label maps ('label'), not 'targets'")
        if self.kind == "classification" and len(self.targets) != 1:
            raise ValueError("classification has one column of targets; several yes-or-no columns are 'multilabel'")
        if self.kind == "survival" and len(self.targets) != 2:
            raise ValueError(f"survival has two columns of targets, time and event, got {len(self.targets)}")
        return self
