"""Base class of pretext tasks: losses without labels."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor, nn

from umzoo.backbones.base import Backbone, BackboneInfo, Features
from umzoo.data.loading.intensity import leave
from umzoo.data.store.targets import Target
from umzoo.fields import BATCH_FIELDS, Fields, Rng
from umzoo.registry import Component

MOST_VIEWS = 6
"""Maximum number of views of an item in a panel."""
UNIVERSAL_MODEL = "Zhang et al., Universal Model for 3D Medical Image Analysis, arXiv:2010.06107v1, 2020"


@dataclass(frozen=True)
class PretextContext:
    """Properties of the run for which a task is built.

    Attributes:
        backbone: description of the backbone.
        patch_size: voxels (D, H, W) of the images.
        scales: the factors of ``data.scales``; the field ``scale`` indexes them.
        modalities: names of the store's known modalities; the field ``modality`` indexes them.
        targets: targets of the store's volumes by name; the field ``target.NAME`` holds their values.
    """

    backbone: BackboneInfo
    patch_size: tuple[int, int, int]
    scales: tuple[float, ...] = (1.0,)
    modalities: tuple[str, ...] = ()
    targets: Mapping[str, Target] = field(default_factory=dict)

    @property
    def fields(self) -> frozenset[str]:
        """Names of the fields that every batch has."""
        return BATCH_FIELDS | {f"target.{name}" for name in self.targets}


class PretextTask(Component, nn.Module):
    """A loss without labels. Its own parameters (heads) are trained with the backbone and stored separately.

    Images in views are in [0, 1]; they are converted to the backbone's input space just before the forward pass.
    """

    kind: ClassVar[str] = "pretext task"
    dense: ClassVar[bool] = False
    """Whether the task needs the decoder's dense features."""
    reads: ClassVar[frozenset[str]] = frozenset()
    """Required fields of the batch; checked when the recipe is built."""
    citations: ClassVar[tuple[str, ...]] = ()
    """Works to cite, which are written to the weights folder."""

    def __init__(self, config: Any, context: PretextContext) -> None:
        super().__init__()
        self.config = config
        self.context = context
        self.metrics: dict[str, Tensor | float] = {}

    @classmethod
    def obstacle(cls, context: PretextContext) -> str | None:
        """Return the reason why the task is unsuitable in *context*, or None; unsuitable tasks are dropped."""
        return None

    def bind(self, backbone: Backbone) -> None:
        """Set up the task with the backbone, once, before the optimizer is built (teachers copy it here).

        Modules made here are part of the task: they move with it, and are saved and resumed. Untrained ones
        (``requires_grad_(False)``) are not exported.
        """

    def views(self, batch: Fields, rng: Rng) -> Fields | None:
        """Return the task's own view of *batch*: ``image`` in [0, 1], and further fields for the loss.

        None means that the task uses the shared corrupted view and its forward pass.
        """
        return None

    def features(self, backbone: Backbone, views: Fields) -> Features:
        """Pass the task's own *views* (``input``, in the backbone's input space) through *backbone*.

        It is not called for tasks that use the shared view.
        """
        features: Features = backbone(views["input"], dense=self.dense)
        return features

    @abstractmethod
    def loss(self, features: Features, views: Fields) -> Tensor:
        """Return the unweighted scalar loss; metrics to log may be stored in ``self.metrics``."""

    def after_step(self, backbone: Backbone) -> None:
        """Called after each optimizer step that was not skipped, for example to update moving averages."""

    def exported(self, backbone: Backbone) -> Backbone:
        """Return the network whose weights are exported: *backbone*, or a teacher."""
        return backbone

    def pictures(self, features: Features, views: Fields) -> Fields:
        """Return images for panels by title: ``(B, C, D, H, W)`` in [0, 1], from one forward pass.

        Called at intervals, in eval mode and without gradients; panels show the middle slice of the first channel. By
        default, the images are ``clean``, if the view has it, and the network's input. Tasks with a common forward pass
        have a common panel.
        """
        seen = views["image"].split(len(views["mean"]))
        titles = ["seen"] if len(seen) == 1 else [f"view {number}" for number in range(1, MOST_VIEWS + 1)]
        clean = {"clean": views["clean"]} if "clean" in views else {}
        return {**clean, **dict(zip(titles, seen, strict=False))}

    def to_unit(self, image: Tensor, views: Fields) -> Tensor:
        """Convert *image* ``(k * B, C, D, H, W)``, such as a prediction, from the backbone's input space to [0, 1]."""
        return leave(image.float(), views, self.context.backbone.input_space)
