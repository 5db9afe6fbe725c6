"""Token dropping for transformers: the encoder processes visible tokens only, a light decoder all tokens."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import nn

import umzoo
from umzoo_mae.masks import enlarge, hidden_blocks, visible_positions


class TokenPass(nn.Module):
    """Encode visible tokens, insert a learned token at masked positions, apply transformer blocks, decode to voxels.

    These transformer blocks belong to the task; the decoder from tokens to voxels is that of the backbone.
    """

    def __init__(self, context: umzoo.PretextContext, blocks: Sequence[int], config: Any) -> None:
        super().__init__()
        level = context.backbone.levels[-1]
        self.grid = tuple(n // s for n, s in zip(context.patch_size, level.stride, strict=True))
        hidden = hidden_blocks(blocks, config.ratio)
        self.visible = prod(self.grid) // prod(blocks) * (prod(blocks) - hidden)
        width = config.decoder_dim
        self.inward, self.outward = nn.Linear(level.channels, width), nn.Linear(width, level.channels)
        self.token = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, 1, width), std=0.02))
        self.position = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, prod(self.grid), width), std=0.02))
        self.blocks = nn.Sequential(*(_block(width) for _ in range(config.decoder_depth)), nn.LayerNorm(width))

    def forward(self, backbone: umzoo.Backbone, views: umzoo.Fields) -> umzoo.Features:
        """Return the features of the visible tokens, and dense features of all tokens."""
        hidden = enlarge(views["masked"], self.grid).flatten(1)
        features: umzoo.Features = backbone(views["input"], visible=visible_positions(hidden, self.visible))
        tokens = self.inward(features.levels[-1].flatten(2).transpose(1, 2))
        tokens = torch.where(hidden.unsqueeze(2), self.token.to(tokens.dtype), tokens) + self.position
        mixed = self.outward(self.blocks(tokens)).transpose(1, 2).unflatten(2, self.grid)
        return umzoo.Features(features.levels, backbone.decode([*features.levels[:-1], mixed]), features.pooled)


def _block(width: int) -> nn.Module:
    return nn.TransformerEncoderLayer(
        width, width // 32, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )
