"""What every pretext task offers: a loss computed without labels."""

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
"""Views of an item that a panel shows, at most."""
UNIVERSAL_MODEL = "Zhang et al., Universal Model for 3D Medical Image Analysis, arXiv:2010.06107v1, 2020"


@dataclass(frozen=True)
class PretextContext:
    """What a task may know of the run it is built for.

    Attributes:
        backbone: what the backbone says of itself.
        patch_size: voxels (D, H, W) of the images.
        scales: the factors of ``data.scales``; the field ``scale`` indexes them.
        modalities: names of the store's known modalities; the field ``modality`` indexes them.
        targets: by name, what else the store knows of its volumes; the field ``target.NAME`` holds it.
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
    """A loss without labels. Its own parameters (heads) are trained with the backbone and kept apart from it.

    Images in views are in [0, 1]; the recipe takes them to the backbone's input space just before the pass.
    """

    kind: ClassVar[str] = "pretext task"
    dense: ClassVar[bool] = False
    """Whether the decoder's dense map is needed."""
    reads: ClassVar[frozenset[str]] = frozenset()
    """Fields of the batch that are needed; checked when the recipe is built."""
    citations: ClassVar[tuple[str, ...]] = ()
    """The works to cite; they go into the weights folder."""

    def __init__(self, config: Any, context: PretextContext) -> None:
        super().__init__()
        self.config = config
        self.context = context
        self.metrics: dict[str, Tensor | float] = {}

    @classmethod
    def obstacle(cls, context: PretextContext) -> str | None:
        """Return why the task makes no sense in *context* (the recipe then says so and drops it), or None."""
        return None

    def bind(self, backbone: Backbone) -> None:
        """Meet the backbone once, before the optimizer is made (teachers copy it here).

        Modules made here are part of the task: they move with it, and are saved and resumed. What is not trained
        (``requires_grad_(False)``) stays out of exported weights.
        """

    def views(self, batch: Fields, rng: Rng) -> Fields | None:
        """Return a view of *batch* of the task's own (``image`` in [0, 1] and what the loss needs).

        None means: ride on the recipe's shared corrupted view and its one forward pass.
        """
        return None

    def features(self, backbone: Backbone, views: Fields) -> Features:
        """Pass the task's own *views* (``input``, in the backbone's input space) through *backbone*.

        Not called for a task that rides on the shared view.
        """
        features: Features = backbone(views["input"], dense=self.dense)
        return features

    @abstractmethod
    def loss(self, features: Features, views: Fields) -> Tensor:
        """Return the raw, unweighted scalar loss; numbers to log may be left in ``self.metrics``."""

    def after_step(self, backbone: Backbone) -> None:
        """Called after each optimizer step that was taken (moving averages)."""

    def exported(self, backbone: Backbone) -> Backbone:
        """Return the network whose weights are exported: *backbone*, or a teacher that does better."""
        return backbone

    def pictures(self, features: Features, views: Fields) -> Fields:
        """Return images to look at, by title: ``(B, C, D, H, W)`` in [0, 1], made from one pass.

        Called now and then, in evaluation mode and without gradients; the run's panels show the middle slice of the
        first channel. By default what the network saw, after ``clean`` where the view has one. Tasks that share a
        pass share a panel.
        """
        seen = views["image"].split(len(views["mean"]))
        titles = ["seen"] if len(seen) == 1 else [f"view {number}" for number in range(1, MOST_VIEWS + 1)]
        clean = {"clean": views["clean"]} if "clean" in views else {}
        return {**clean, **dict(zip(titles, seen, strict=False))}

    def to_unit(self, image: Tensor, views: Fields) -> Tensor:
        """Take *image* ``(k * B, C, D, H, W)``, such as an answer, from the backbone's input space back to [0, 1]."""
        return leave(image.float(), views, self.context.backbone.input_space)
