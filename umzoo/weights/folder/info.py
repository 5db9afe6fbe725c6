"""``config.json`` of a weights folder: architecture, input contract, recipe, provenance and license."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from umzoo.config import Config
from umzoo.heads.answer import Answer
from umzoo.spec import ComponentSpec, InputSpec

FORMAT = 1
"""Format number this version writes; a greater one is refused."""

FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$")]
"""A name without a folder, so that it leads nowhere else."""
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Tolerant(Config):
    """Accepts fields of later minor versions and keeps them."""

    model_config = ConfigDict(extra="allow", frozen=True)


class BaseModel(Tolerant):
    """The weights that these were trained on from."""

    name: str = Field("", description="architecture.tag")
    repository: str = Field("", description="org/name on the Hub, where they came from there")
    revision: str = Field("", description="commit of the repository")
    sha256: str = Field("", description="sum of their tensors")
    license: str = Field("", description="their SPDX identifier, which binds what is trained from them")
    license_link: str = Field("", description="text of a license that has no SPDX identifier")


class Origin(Tolerant):
    """What another project released, which these weights were imported from."""

    location: str = Field("", description="org/name on the Hub, or a web address")
    revision: str = Field("", description="commit of the repository")
    files: tuple[str, ...] = Field((), description="files of the repository, or path in the archive")


class Result(Tolerant):
    """One number of an evaluation."""

    task: str = Field("image-segmentation", description="task, in the Hub's spelling")
    dataset: str = Field(description="data set that it was measured on")
    metric: str = Field(description="such as dice")
    value: float = Field(description="the number", allow_inf_nan=False)
    note: str = Field("", description="how it was measured: split, folds, epochs")


class Provenance(Tolerant):
    """Where the weights come from. Holds no path and nothing that identifies a person."""

    datasets: dict[str, int] = Field({}, description="volumes per data set")
    modalities: dict[str, int] = Field({}, description="volumes per modality")
    regions: tuple[str, ...] = Field((), description="regions of the body, where known")
    volumes: int = Field(0, description="volumes in the store")
    steps: int = Field(0, description="optimizer steps")
    samples: int = Field(0, description="patches seen")
    hours: float = Field(0.0, description="hours of training, summed over processes")
    kwh: float = Field(0.0, description="energy of the GPUs in kWh, as their driver counted it; 0 if it did not")
    device: str = Field("", description="type of device")
    versions: dict[str, str] = Field({}, description="versions of umzoo, torch and others")
    seed: int | None = Field(None, description="seed of the run")
    commit: str | None = Field(None, description="git commit of umzoo, where known")
    metrics: dict[str, float] = Field({}, description="last metrics of the run")


class WeightsInfo(Tolerant):
    """What a weights folder says of itself."""

    format: int = Field(FORMAT, description="format number")
    name: str = Field(description="architecture.tag")
    backbone: ComponentSpec = Field(description="name and options that rebuild the backbone")
    head: ComponentSpec | None = Field(None, description="name and options that rebuild the head, if there is one")
    answer: Answer | None = Field(None, description="what the head's numbers mean")
    parts: tuple[str, ...] = Field(("encoder", "decoder"), description="trained parts, which the file holds")
    input: InputSpec = Field(description="what the network expects")
    token_order: str = Field("dhw", description="order in which a transformer's tokens run over the axes (D, H, W)")
    pretext: dict[str, Any] = Field({}, description="the recipe's pretext table")
    provenance: Provenance = Field(Provenance(), description="where the weights come from")
    base_model: BaseModel | None = Field(None, description="the weights that these were trained on from")
    imported_from: Origin | None = Field(None, description="where another project released them")
    results: tuple[Result, ...] = Field((), description="evaluations of these weights")
    license: str = Field("unknown", description="SPDX identifier")
    license_link: str = Field("", description="text of a license that has no SPDX identifier")
    citations: tuple[str, ...] = Field((), description="what to cite")
    plugin: str = Field("", description="distribution that brings the architecture; empty if it is umzoo's own")
    head_plugin: str = Field("", description="distribution that brings the head; empty if it is umzoo's own")
    files: dict[FileName, Sha256] = Field({}, description="sha256 of each file of tensors")

    @property
    def task(self) -> str:
        """What the head is for, such as segmentation; empty without a head."""
        return self.answer.task if self.answer else self.head.name if self.head else ""

    @property
    def pretext_tasks(self) -> tuple[str, ...]:
        """Names of the pretext tasks."""
        tasks = self.pretext.get("tasks")
        named = (
            [task.get("name") for task in tasks if isinstance(task, dict)] if isinstance(tasks, list | tuple) else []
        )
        return tuple(name for name in named if isinstance(name, str))
