"""Meaning of a trained head's outputs, which is stored with the weights."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator
from typing_extensions import Self

from umzoo.config import Config

Task = Literal["segmentation", "classification", "multilabel", "regression", "survival"]
Number = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Answer(Config):
    """Description of a head's outputs. Fields of later minor versions are accepted and kept.

    Segmentation and classification output logits for a softmax over ``classes``, multilabel one logit per class for a
    sigmoid, regression the ``targets``, and survival one log-risk.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    task: Task = Field(description="segmentation, classification, multilabel, regression or survival")
    classes: tuple[str, ...] = Field((), description="names in the order of the logits")
    targets: tuple[str, ...] = Field((), description="names of the predicted numbers")
    mean: tuple[Number, ...] = Field(
        (), description="mean of each target, if the network predicts (value - mean) / std"
    )
    std: tuple[Positive, ...] = Field((), description="standard deviation of each target, if there is a mean")
    thresholds: dict[str, Number] = Field({}, description="minimum probability of each class for a positive prediction")
    labels: dict[str, int] = Field({}, description="value of each class in label maps, including the background")
    view: Literal["center", "windows"] = Field("windows", description="input: a center crop, or sliding windows")
    channels: tuple[str, ...] = Field((), description="name of each input channel, such as flair and t1")
    modalities: tuple[str, ...] = Field((), description="modality of each input channel, such as ct or mr")
    metrics: dict[str, Number] = Field({}, description="validation metrics of the training")

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        pairs = {"mean": "targets", "std": "targets", "modalities": "channels"}
        for one, other in pairs.items():
            found, expected = len(getattr(self, one)), len(getattr(self, other))
            if found and found != expected:
                raise ValueError(f"{one} has {found} entries for {expected} {other}: give one each")
        if bool(self.mean) != bool(self.std):
            raise ValueError("mean and std come together: give both or neither")
        if unknown := sorted({*self.thresholds, *self.labels} - {*self.classes}):
            raise ValueError(f"thresholds or labels of unknown classes {unknown[:4]} (known: {self.classes})")
        return self
