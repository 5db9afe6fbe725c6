"""A backbone and a head in one module."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

import umzoo
from umzoo.backbones.base import Backbone, BackboneInfo
from umzoo.heads.answer import Answer
from umzoo.heads.base import Head


class Model(nn.Module):
    """Computes ``head(backbone(image))``. Parameters are under ``backbone.*`` and ``head.*``.

    Attributes:
        backbone: the backbone, which can be saved or trained separately.
        head: the head.
        answer: meaning of the outputs, if the head was trained or loaded with its weights; else None.
    """

    def __init__(self, backbone: Backbone, head: Head, answer: Answer | None = None) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.answer = answer

    def forward(self, image: Tensor) -> Tensor:
        """Return the head's output for *image* ``(B, C, D, H, W)`` in the backbone's input space."""
        answer: Tensor = self.head(self.backbone(image, dense=self.head.dense))
        return answer

    def push_to_hub(self, repo_id: str, **options: Any) -> str:
        """Upload this network; options are those of :func:`umzoo.push_to_hub`."""
        url: str = umzoo.push_to_hub(self, repo_id, **options)
        return url

    @property
    def info(self) -> BackboneInfo:
        """Description of the backbone."""
        return self.backbone.info

    @property
    def weights_info(self) -> Any:
        """Description of the weights folder of the backbone, None with random weights."""
        return self.backbone.weights_info
