"""Volume fusion (Wang et al., MIS-FM, arXiv 2306.16925): segments the coefficients by which two volumes were fused."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

import umzoo
from umzoo.errors import ConfigError

Share = Annotated[float, Field(gt=0, le=1)]
Count = Annotated[int, Field(ge=1)]


class VolumeFusion(umzoo.PretextTask):
    """Segmentation of the coefficients with which blocks of a second volume were fused into the first.

    The background is an item of the batch, and the foreground the item before it. Blocks get coefficients 1/K, ..., 1,
    later blocks replace earlier ones, and elsewhere the coefficient is 0: K + 1 classes. Images are fused in [0, 1] and
    normalized by the background's statistics. Metrics: ``dice``, the mean soft Dice of the classes, and ``baseline``,
    the loss of predicting the class frequencies of the batch everywhere, whose Dice is 1 / (K + 1).
    """

    name = "volume_fusion"
    dense: ClassVar[bool] = True
    citations = ("Wang et al., MIS-FM: 3D Medical Image Segmentation using Foundation Models, arXiv:2306.16925, 2023",)

    class Config(umzoo.Config):
        """Options of ``volume_fusion``."""

        coefficients: int = Field(4, ge=1, le=255, description="number K of coefficients above 0: 1/K, 2/K, ..., 1")
        blocks: tuple[Count, Count] = Field((10, 40), description="minimum and maximum number of blocks per volume")
        edge: tuple[Share, Share] = Field(
            (0.1, 0.6), description="minimum and maximum edge of a block, as a fraction of the patch"
        )

    config: Config

    def __init__(self, config: Any, context: umzoo.PretextContext) -> None:
        super().__init__(config, context)
        for option in ("blocks", "edge"):
            low, high = getattr(self.config, option)
            if low > high:
                raise ConfigError(
                    f"volume_fusion.{option} must be a minimum and a maximum, got {low}, {high}: swap them"
                )
        self.head = nn.Conv3d(context.backbone.decoder_channels or 0, self.config.coefficients + 1, 1)

    def views(self, batch: umzoo.Fields, rng: umzoo.Rng) -> umzoo.Fields:
        """Return the fused ``image`` and ``label``, int64 ``(B, D, H, W)``: K times the coefficient.

        Raises:
            ConfigError: if the batch has only one item.
        """
        background = batch["image"]
        if len(background) < 2:
            raise ConfigError("volume_fusion fuses two items of a batch and got 1: set data.batch_size to 2 or more")
        label = self.draw_labels(background, rng)
        share = (label.to(background.dtype) / self.config.coefficients).unsqueeze(1)
        return {"image": torch.lerp(background, background.roll(1, dims=0), share), "label": label}

    def draw_labels(self, image: Tensor, rng: umzoo.Rng) -> Tensor:
        """Draw the classes of the voxels of *image* ``(B, C, D, H, W)``, int64 ``(B, D, H, W)``."""
        host, size = rng.host(), torch.tensor(image.shape[2:])
        most = self.config.blocks[1]
        counts = host.integers((len(image),), *self.config.blocks).tolist()
        classes = host.integers((len(image), most), 1, self.config.coefficients).tolist()
        edges = (host.uniform((len(image), most, 3), *self.config.edge) * size).round().clamp_min(1)
        starts = (host.uniform((len(image), most, 3)) * size - edges / 2).round()
        stops = (starts + edges).long().tolist()
        starts = starts.clamp_min(0).long().tolist()
        label = torch.zeros((len(image), *image.shape[2:]), dtype=torch.int64, device=image.device)
        for item, count in enumerate(counts):
            for (z, y, x), (end_z, end_y, end_x), value in zip(
                starts[item][:count], stops[item][:count], classes[item][:count], strict=True
            ):
                label[item, z:end_z, y:end_y, x:end_x] = value
        return label

    def loss(self, features: umzoo.Features, views: umzoo.Fields) -> Tensor:
        """Return cross entropy plus one minus the mean soft Dice over classes, for the batch."""
        logits, label = self.head(features.dense).float(), views["label"]
        dice = soft_dice(logits.softmax(1), label).mean()
        self.metrics |= {"dice": dice, "baseline": baseline(label, logits.shape[1])}
        return functional.cross_entropy(logits, label) + 1 - dice

    def pictures(self, features: umzoo.Features, views: umzoo.Fields) -> umzoo.Fields:
        """Return the input, its coefficients, and the predicted coefficients."""
        found = self.head(features.dense).argmax(1)
        maps = {"coefficients": views["label"], "found": found}
        shares = {name: (value / self.config.coefficients).unsqueeze(1) for name, value in maps.items()}
        return {**super().pictures(features, views), **shares}


def baseline(label: Tensor, classes: int) -> Tensor:
    """Return the loss of the best constant prediction: the frequency of each class in *label*."""
    shares = functional.one_hot(label.flatten(), classes).float().mean(0)
    return torch.special.entr(shares).sum() + 1 - 1 / classes


def soft_dice(shares: Tensor, label: Tensor) -> Tensor:
    """Return the Dice per class ``(n,)`` of probabilities *shares* ``(B, n, D, H, W)`` and *label* ``(B, D, H, W)``."""
    truth = functional.one_hot(label, shares.shape[1]).movedim(-1, 1).to(shares.dtype)
    axes = (0, 2, 3, 4)
    return (2 * (shares * truth).sum(axes) + 1) / (shares.sum(axes) + truth.sum(axes) + 1)


@umzoo.hookimpl
def register_pretext_tasks(register: Any) -> None:
    """Register ``volume_fusion``."""
    register(VolumeFusion)
