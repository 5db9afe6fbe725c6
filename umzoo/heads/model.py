"""A backbone and a head in one module."""

from __future__ import annotations

from torch import Tensor, nn

from umzoo.backbones.base import Backbone, BackboneInfo
from umzoo.heads.base import Head


class Model(nn.Module):
    """Answers images: ``head(backbone(image))``. Parameters lie under ``backbone.*`` and ``head.*``."""

    def __init__(self, backbone: Backbone, head: Head) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, image: Tensor) -> Tensor:
        """Return the head's answer to *image* ``(B, C, D, H, W)``, given in the backbone's input space."""
        answer: Tensor = self.head(self.backbone(image, dense=self.head.dense))
        return answer

    @property
    def info(self) -> BackboneInfo:
        """What the backbone says of itself."""
        return self.backbone.info
