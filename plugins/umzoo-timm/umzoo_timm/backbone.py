"""timm's feature pyramids, inflated to 3-D, with a light decoder."""

from __future__ import annotations

import copy
import logging
from typing import Annotated, Any

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

import umzoo
from umzoo.backbones.base import BackboneInfo, Level
from umzoo.errors import ConfigError, PluginError, in_one_line
from umzoo.weights.folder.info import BaseModel
from umzoo_timm.inflate import inflate, same_response

log = logging.getLogger(__name__)


class TimmConfig(umzoo.Config):
    """Options of ``timm``."""

    model: str = Field(
        "resnet18", description="a convolutional network of timm with features_only, see timm.list_models"
    )
    in_channels: Annotated[int, Field(ge=1)] = Field(1, description="channels of the input")
    pretrained: bool = Field(
        False, description="start from timm's weights for this model (downloads them); not used for weights folders"
    )
    decoder_channels: Annotated[int, Field(ge=1)] | None = Field(
        32, description="channels of the dense features; None: no decoder"
    )


class TimmBackbone(umzoo.Backbone):
    """A 2-D convolutional network of timm, inflated to 3-D: kernels are repeated along depth and divided (I3D).

    The levels are those of timm's ``features_only``. The decoder is a feature pyramid (Lin et al., CVPR 2017).
    """

    name = "timm"
    Config = TimmConfig

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        flat = _create(self.config)
        self.encoder = _inflated(self.config, flat)
        self.weights_origin = _origin(flat) if self.config.pretrained else None
        self.config = self.config.model_copy(update={"pretrained": False})
        strides = flat.feature_info.reduction()
        levels = tuple(Level(n, (s, s, s)) for n, s in zip(flat.feature_info.channels(), strides, strict=True))
        dense = self.config.decoder_channels
        if dense:
            self.decoder = nn.ModuleDict(
                {
                    "lateral": nn.ModuleList([nn.Conv3d(level.channels, dense, 1) for level in levels]),
                    "smooth": nn.Sequential(
                        nn.Conv3d(dense, dense, 3, padding=1), nn.InstanceNorm3d(dense, affine=True), nn.LeakyReLU()
                    ),
                }
            )
        deepest = strides[-1]
        self.info = BackboneInfo(
            self.config.in_channels, levels, dense, divisor=(deepest, deepest, deepest), least_voxels=2
        )

    def encode(self, image: Tensor) -> list[Tensor]:
        """Return the levels of *image* ``(B, C, D, H, W)``, fine to coarse."""
        self.check_input(image)
        return list(self.encoder(image))

    def decode(self, levels: list[Tensor]) -> Tensor:
        """Return the dense features ``(B, decoder_channels, D, H, W)`` of *levels*.

        Raises:
            ConfigError: if ``decoder_channels`` is None.
        """
        if not self.config.decoder_channels:
            return super().decode(levels)
        laterals: Any = self.decoder["lateral"]
        maps = [lateral(level) for lateral, level in zip(laterals, levels, strict=True)]
        x = maps.pop()
        while maps:
            finer = maps.pop()
            x = finer + functional.interpolate(x, size=finer.shape[2:], mode="trilinear", align_corners=False)
        stride = float(self.info.levels[0].stride[0])
        dense: Tensor = self.decoder["smooth"](x)
        return functional.interpolate(dense, scale_factor=stride, mode="trilinear", align_corners=False)


def _create(config: TimmConfig) -> Any:
    """Return timm's 2-D network with ``features_only``.

    Raises:
        PluginError: if timm cannot be imported, or its weights cannot be downloaded.
        ConfigError: if timm has no such model, or does not support ``features_only`` for it.
    """
    try:
        import timm
    except (ImportError, RuntimeError) as error:
        raise PluginError(
            f"umzoo-timm needs timm ({error}): install torch and torchvision from the same index"
        ) from None
    if not timm.is_model(config.model):
        near = timm.list_models(f"*{config.model}*")[:3]
        raise ConfigError(f"timm has no model '{config.model}'{f' (did you mean {near}?)' if near else ''}")
    options: dict[str, Any] = {"features_only": True, "in_chans": config.in_channels}
    try:
        return timm.create_model(config.model, pretrained=config.pretrained, **options)
    except (RuntimeError, TypeError, AttributeError, AssertionError) as error:
        reason = in_one_line(error, 200)
        raise ConfigError(f"timm cannot build '{config.model}' with features_only: {reason}") from None
    except OSError as error:
        raise PluginError(f"the weights of '{config.model}' cannot be downloaded: {error}") from None


def _origin(flat: Any) -> BaseModel:
    """Return the record of timm's weights as base model, and log their license."""
    known = flat.pretrained_cfg
    name = f"{known['architecture']}.{known['tag']}" if known.get("tag") else known["architecture"]
    log.warning("the weights of timm's %s are under the license %s", name, known.get("license") or "of their origin")
    return BaseModel(name=f"timm {name}", repository=known.get("hf_hub_id") or "")


def _inflated(config: TimmConfig, flat: Any) -> nn.Module:
    """Return the 3-D version of *flat*, after a test that it is equivalent.

    Raises:
        ConfigError: if there is none, or it is not equivalent.
    """
    size = flat.feature_info.reduction()[-1]
    try:
        deep = inflate(copy.deepcopy(flat))
        on_meta = any(value.is_meta for value in flat.parameters())
        same = on_meta or same_response(flat, deep, config.in_channels, size)
    except (ValueError, RuntimeError, TypeError, AssertionError) as error:
        reason = in_one_line(error, 200)
        raise ConfigError(f"'{config.model}' cannot be inflated to 3-D: {reason}") from None
    if not same:
        raise ConfigError(
            f"'{config.model}' cannot be inflated to 3-D: it has 2-D operations besides convolution and pooling"
        )
    return deep
