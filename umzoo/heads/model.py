"""A backbone and a head in one module."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

import umzoo
from umzoo.backbones.base import Backbone, BackboneInfo
from umzoo.heads.answer import Answer
from umzoo.heads.base import Head


class Model(nn.Module):
    """Answers images: ``head(backbone(image))``. Parameters lie under ``backbone.*`` and ``head.*``.

    Attributes:
        backbone: the network; save or train it alone where only features are wanted.
        head: what turns its features into an answer.
        answer: what the numbers mean, if the head was loaded with its weights or trained; else None.
    """

    def __init__(self, backbone: Backbone, head: Head, answer: Answer | None = None) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.answer = answer

    def forward(self, image: Tensor) -> Tensor:
        """Return the head's answer to *image* ``(B, C, D, H, W)``, given in the backbone's input space."""
        answer: Tensor = self.head(self.backbone(image, dense=self.head.dense))
        return answer

    def push_to_hub(self, repo_id: str, **options: Any) -> str:
        """Upload this network; see :func:`umzoo.push_to_hub`, whose options these are."""
        url: str = umzoo.push_to_hub(self, repo_id, **options)
        return url

    @property
    def info(self) -> BackboneInfo:
        """What the backbone says of itself."""
        return self.backbone.info

    @property
    def weights_info(self) -> Any:
        """What the weights folder said that the backbone was loaded from, None with random weights."""
        return self.backbone.weights_info
