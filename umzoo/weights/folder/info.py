"""``config.json`` of a weights folder: architecture, input contract, recipe, provenance and license."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from umzoo.config import Config
from umzoo.heads.answer import Answer
from umzoo.spec import ComponentSpec, InputSpec

FORMAT = 1
"""Format number that this version writes; folders with a higher number are refused."""

FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$")]
"""A plain file name. Path separators are not allowed, so a name cannot point outside the weights folder."""
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Tolerant(Config):
    """Accepts and keeps unknown fields, such as those of later minor versions."""

    model_config = ConfigDict(extra="allow", frozen=True)


class BaseModel(Tolerant):
    """The weights that training started from."""

    name: str = Field("", description="architecture.tag")
    repository: str = Field("", description="org/name on the Hub; empty if they are not from the Hub")
    revision: str = Field("", description="commit of the repository")
    sha256: str = Field("", description="sha256 of their tensor file")
    license: str = Field(
        "", description="their license (SPDX identifier), which also applies to weights trained from them"
    )
    license_link: str = Field("", description="link to the text of a license that has no SPDX identifier")


class Origin(Tolerant):
    """The released files of another project from which these weights were imported."""

    location: str = Field("", description="org/name on the Hub, or a URL")
    revision: str = Field("", description="commit of the repository")
    files: tuple[str, ...] = Field((), description="imported files of the repository, or path in the archive")


class Result(Tolerant):
    """One metric value of an evaluation."""

    task: str = Field("image-segmentation", description="task type, as named on the Hub")
    dataset: str = Field(description="data set of the evaluation")
    metric: str = Field(description="name of the metric, such as dice")
    value: float = Field(description="value of the metric", allow_inf_nan=False)
    note: str = Field("", description="evaluation protocol: split, folds, epochs")


class Provenance(Tolerant):
    """Training data, cost and software. Contains no local paths and no personal data."""

    datasets: dict[str, int] = Field({}, description="number of volumes per data set")
    modalities: dict[str, int] = Field({}, description="number of volumes per modality")
    regions: tuple[str, ...] = Field((), description="body regions, if known")
    volumes: int = Field(0, description="number of volumes in the store")
    steps: int = Field(0, description="number of optimizer steps")
    samples: int = Field(0, description="number of training patches")
    hours: float = Field(0.0, description="training time in hours, summed over processes")
    kwh: float = Field(0.0, description="GPU energy in kWh, as reported by the driver; 0 if not reported")
    device: str = Field("", description="device type")
    versions: dict[str, str] = Field({}, description="versions of umzoo, torch and other packages")
    seed: int | None = Field(None, description="random seed of the run")
    commit: str | None = Field(None, description="git commit of umzoo, if known")
    metrics: dict[str, float] = Field({}, description="final training metrics")


class WeightsInfo(Tolerant):
    """The contents of ``config.json`` in a weights folder."""

    format: int = Field(FORMAT, description="format number of the weights folder")
    name: str = Field(description="architecture.tag")
    backbone: ComponentSpec = Field(description="name and options to rebuild the backbone")
    head: ComponentSpec | None = Field(None, description="name and options to rebuild the head, if there is one")
    answer: Answer | None = Field(None, description="meaning of the head's output")
    parts: tuple[str, ...] = Field(("encoder", "decoder"), description="trained parts that the weights file contains")
    input: InputSpec = Field(description="input that the network expects")
    token_order: str = Field("dhw", description="axis order of a transformer's tokens; dhw is D, H, W")
    pretext: dict[str, Any] = Field({}, description="the recipe's pretext table")
    provenance: Provenance = Field(Provenance(), description="training data, cost and software")
    base_model: BaseModel | None = Field(None, description="weights that training started from")
    imported_from: Origin | None = Field(None, description="released files of another project, if imported")
    results: tuple[Result, ...] = Field((), description="evaluation results")
    license: str = Field("unknown", description="SPDX identifier")
    license_link: str = Field("", description="link to the text of a license that has no SPDX identifier")
    citations: tuple[str, ...] = Field((), description="publications to cite")
    plugin: str = Field("", description="distribution that provides the architecture; empty if umzoo does")
    head_plugin: str = Field("", description="distribution that provides the head; empty if umzoo does")
    files: dict[FileName, Sha256] = Field({}, description="sha256 of each tensor file")

    @property
    def task(self) -> str:
        """Task of the head, such as segmentation; empty without a head."""
        return self.answer.task if self.answer else self.head.name if self.head else ""

    @property
    def pretext_tasks(self) -> tuple[str, ...]:
        """Names of the pretext tasks."""
        tasks = self.pretext.get("tasks")
        named = (
            [task.get("name") for task in tasks if isinstance(task, dict)] if isinstance(tasks, list | tuple) else []
        )
        return tuple(name for name in named if isinstance(name, str))
