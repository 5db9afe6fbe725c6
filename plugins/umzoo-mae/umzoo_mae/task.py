"""Masked autoencoding (He et al., CVPR 2022), in 3D as in nnssl (Wald et al., arXiv 2412.17041)."""

from __future__ import annotations

from math import prod
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

import umzoo
from umzoo.errors import ConfigError
from umzoo_mae.masks import draw_mask, enlarge
from umzoo_mae.sparse import SparsePass
from umzoo_mae.tokens import TokenPass

Edge = Annotated[int, Field(ge=1)]


class DensePass(nn.Module):
    """Forward pass of the whole masked image."""

    def forward(self, backbone: umzoo.Backbone, views: umzoo.Fields) -> umzoo.Features:
        """Return the features of the masked input."""
        features: umzoo.Features = backbone(views["input"], dense=True)
        return features


class MaskedAutoencoding(umzoo.PretextTask):
    """Restoration of masked blocks of voxels, with a loss over masked voxels only.

    Masked voxels are set to the mean of their volume, which is 0 in z-score space. Metrics: ``baseline``, the loss of
    predicting the mean of nearby visible blocks (:func:`nearby_mean`); ``mean``, the loss of predicting the mean of the
    masked voxels; and ``explained``, the explained variance of masked voxels.
    """

    name = "mae"
    dense: ClassVar[bool] = True
    reads: ClassVar[frozenset[str]] = frozenset({"mean"})
    citations = ("He et al., Masked Autoencoders Are Scalable Vision Learners, CVPR 2022",)

    class Config(umzoo.Config):
        """Options of ``mae``."""

        ratio: float = Field(0.75, gt=0, lt=1, description="fraction of masked blocks")
        block: tuple[Edge, Edge, Edge] | None = Field(
            None, description="voxels (D, H, W) of a block; by default the stride of the coarsest level"
        )
        mode: Literal["auto", "dense", "tokens", "sparse"] = Field(
            "auto",
            description="'tokens': masked tokens are dropped before the transformer; 'sparse': convolutions and norms"
            " of visible voxels only (SparK); 'dense': the input is the masked image; 'auto': 'tokens' if the backbone"
            " can drop tokens, else 'dense'",
        )
        decoder_dim: int = Field(
            192, ge=32, multiple_of=32, description="channels of the transformer decoder, for mode 'tokens'"
        )
        decoder_depth: int = Field(2, ge=1, description="blocks of the transformer decoder, for mode 'tokens'")

    config: Config

    def __init__(self, config: Any, context: umzoo.PretextContext) -> None:
        super().__init__(config, context)
        info = context.backbone
        self.block = self.config.block or info.levels[-1].stride
        self.grid = tuple(n // edge for n, edge in zip(context.patch_size, self.block, strict=True))
        self.mode = self.config.mode
        if self.mode == "auto":
            self.mode = "tokens" if info.drops_tokens else "dense"
        self._check()
        self.route = self._make_route()
        self.head = nn.Conv3d(info.decoder_channels or 0, info.in_channels, 1)

    def _check(self) -> None:
        size, info, stride = self.context.patch_size, self.context.backbone, self.context.backbone.levels[-1].stride
        if any(n % edge for n, edge in zip(size, self.block, strict=True)) or prod(self.grid) < 2:
            raise ConfigError(
                f"mae needs data.patch_size to be two or more blocks, got {size} and block {self.block}:"
                " set pretext.tasks.mae.block to a divisor of the patch size"
            )
        if self.mode != "dense" and any(edge % s for edge, s in zip(self.block, stride, strict=True)):
            raise ConfigError(
                f"mae with mode '{self.mode}' needs a block that is a multiple of the coarsest stride {stride},"
                f" got {self.block}"
            )
        if (self.mode == "tokens") > info.drops_tokens or (self.mode == "sparse" and info.drops_tokens):
            other = "sparse" if self.mode == "tokens" else "tokens"
            raise ConfigError(f"mae with mode '{self.mode}' does not suit this backbone: use 'dense' or '{other}'")

    def _make_route(self) -> nn.Module:
        if self.mode == "dense":
            return DensePass()
        if self.mode == "sparse":
            return SparsePass(self.context.backbone)
        return TokenPass(self.context, self.grid, self.config)

    def bind(self, backbone: umzoo.Backbone) -> None:
        """Check that mode ``sparse`` supports the layers of the backbone.

        Raises:
            ConfigError: if not; the message names the layers.
        """
        if isinstance(self.route, SparsePass):
            self.route.check(backbone)

    def views(self, batch: umzoo.Fields, rng: umzoo.Rng) -> umzoo.Fields:
        """Return the masked ``image``, ``clean``, and ``masked``, bool ``(B, *grid)``."""
        clean = batch["image"]
        masked = draw_mask(len(clean), self.grid, self.config.ratio, rng)
        mean = batch["mean"].to(clean.dtype).view(-1, 1, 1, 1, 1)
        return {"image": torch.where(enlarge(masked, clean.shape[2:]), mean, clean), "clean": clean, "masked": masked}

    def features(self, backbone: umzoo.Backbone, views: umzoo.Fields) -> umzoo.Features:
        """Return the features of the masked view, by the mode's forward pass."""
        features: umzoo.Features = self.route(backbone, views)
        return features

    def predict(self, features: umzoo.Features) -> Tensor:
        """Return the restored image ``(B, C, D, H, W)`` in the backbone's input space."""
        answer: Tensor = self.head(features.dense).float()
        return answer.sigmoid() if self.context.backbone.input_space == "unit" else answer

    def pictures(self, features: umzoo.Features, views: umzoo.Fields) -> umzoo.Fields:
        """Return clean, masked and restored images."""
        return {**super().pictures(features, views), "restored": self.to_unit(self.predict(features), views)}

    def loss(self, features: umzoo.Features, views: umzoo.Fields) -> Tensor:
        """Return the mean squared error over the masked voxels, in the backbone's input space."""
        target = views["clean_input"].float()
        hidden = enlarge(views["masked"], target.shape[2:]).expand_as(target)
        loss = masked_error(self.predict(features), target, hidden)
        with torch.no_grad():
            mean = masked_error(visible_mean(target, ~hidden), target, hidden)
            nearby = nearby_mean(target, views["masked"])
            self.metrics |= {
                "mean": mean,
                "baseline": masked_error(nearby, target, hidden),
                "explained": 1 - loss / mean,
            }
        return loss


def masked_error(answer: Tensor, target: Tensor, hidden: Tensor) -> Tensor:
    """Return the mean squared error over voxels where *hidden* is True."""
    return ((answer - target).square() * hidden).sum() / hidden.sum()


def nearby_mean(target: Tensor, masked: Tensor) -> Tensor:
    """Return the smoothed mean of visible blocks in each neighborhood of 27 blocks, of the shape of *target*.

    If none of the 27 blocks is visible, it is the mean of all visible blocks.
    """
    grid = masked.shape[1:]
    visible = (~masked).unsqueeze(1).to(target.dtype)
    blocks = functional.adaptive_avg_pool3d(target, grid) * visible
    total, count = _sum_of_neighbors(blocks), _sum_of_neighbors(visible)
    everywhere = blocks.sum((2, 3, 4), keepdim=True) / visible.sum((2, 3, 4), keepdim=True)
    means = torch.where(count > 0.5, total / count.clamp_min(1), everywhere)
    return functional.interpolate(means, target.shape[2:], mode="trilinear")


def _sum_of_neighbors(blocks: Tensor) -> Tensor:
    """Return the sum of each of *blocks* ``(B, C, d, h, w)`` and its 26 neighbors."""
    kernel = blocks.new_ones(1, 1, 3, 3, 3)
    return functional.conv3d(blocks.flatten(0, 1).unsqueeze(1), kernel, padding=1).view_as(blocks)


def visible_mean(target: Tensor, hidden: Tensor) -> Tensor:
    """Return the mean of each item's visible voxels ``(B, 1, 1, 1, 1)``."""
    axes = (1, 2, 3, 4)
    return (target * ~hidden).sum(axes, keepdim=True) / (~hidden).sum(axes, keepdim=True)
