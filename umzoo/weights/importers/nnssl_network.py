"""Finds the backbone for the network of an nnssl checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from torch import Tensor

from umzoo.errors import ConfigError, WeightsError
from umzoo.plugins import zoo
from umzoo.spec import ComponentSpec
from umzoo.weights.importers.nnssl_files import Release
from umzoo.weights.networks.nnunet_architecture import backbone_of_plan
from umzoo.weights.transfer.adapt import Size

RESENC_L = ("ResEncL", "NoSkipResEncL")
PRIMUS = {"PrimusS": "primus_s", "PrimusB": "primus_b", "PrimusM": "primus_m", "PrimusL": "primus_l"}
_WIDTHS = {396: "PrimusS", 792: "PrimusB", 864: "PrimusM", 1056: "PrimusL"}
_STEMS = ("encoder.stem.convs.0.conv.weight", "encoder.stages.0.0.convs.0.conv.weight", "down_projection.proj.weight")
LAYER_SCALE = 0.1
"""Initial layer scale of nnU-Net's presets, which trained values replace."""


def find_backbone(release: Release, architecture: str | None = None, patch_size: Size | None = None) -> ComponentSpec:
    """Return the backbone of *release*, from its plan or from its tensors.

    Raises:
        WeightsError: if umzoo has no such network, or no patch size matches the number of tokens.
    """
    described = release.plan.get("architecture_plans") or {}
    name = str(architecture or described.get("arch_class_name") or _guess(release.tensors)).rpartition(".")[2]
    arguments = dict(described.get("arch_kwargs") or {})
    stem = next((release.tensors[stem] for stem in _STEMS if stem in release.tensors), None)
    channels = 1 if stem is None else int(stem.shape[1])
    if name in RESENC_L:
        return ComponentSpec.parse({"name": "resenc_unet_l", "in_channels": channels})
    if name.startswith("Primus"):
        return _primus(release, name, arguments, channels, patch_size)
    return backbone_of_plan({"network_class_name": name, "arch_kwargs": arguments}, channels)


def token_grid(backbone: ComponentSpec) -> Size:
    """Return the token grid (D, H, W) of a Primus."""
    pairs = zip(backbone.options["input_shape"], backbone.options["token_size"], strict=True)
    depth, height, width = (int(voxels) // int(edge) for voxels, edge in pairs)
    return depth, height, width


def _guess(tensors: Mapping[str, Tensor]) -> str:
    """The architecture of a file without a plan, inferred from its tensors."""
    if any(name.startswith("encoder.stages.") for name in tensors):
        return "ResEncL"
    width = int(tensors["down_projection.proj.weight"].shape[0]) if "down_projection.proj.weight" in tensors else 0
    if width not in _WIDTHS:
        raise WeightsError(
            f"the file has no plan, and its network is unknown (a Primus of width {width}): set architecture=..."
        )
    return _WIDTHS[width]


def _primus(
    release: Release, name: str, arguments: Mapping[str, Any], channels: int, patch_size: Size | None
) -> ComponentSpec:
    if name not in PRIMUS and not arguments:
        raise WeightsError(
            f"the plan's network is a {name} without 'arch_kwargs': without them, umzoo supports {', '.join(PRIMUS)}"
        )
    options = {
        "embed_dim": arguments.get("embed_dim"),
        "depth": arguments.get("encoder_eva_depth", arguments.get("eva_depth")),
        "heads": arguments.get("encoder_eva_numheads", arguments.get("eva_numheads")),
        "token_size": arguments.get("patch_embed_size"),
    }
    options = {key: value for key, value in options.items() if value is not None}
    names = release.tensors
    spec = {
        "name": PRIMUS[_WIDTHS.get(int(options.get("embed_dim", 0)), "PrimusM") if name not in PRIMUS else name],
        "in_channels": channels,
        "layer_scale": LAYER_SCALE if any(key.endswith(".gamma_1") for key in names) else None,
        "inner_norm": "eva.blocks.0.attn.norm.weight" in names,
        **options,
    }
    spec["input_shape"] = _patch_size(release, tuple(spec.get("token_size") or (8, 8, 8)), patch_size)
    try:
        kind, config = zoo().backbones.options(spec)
    except ConfigError as error:
        raise WeightsError(f"umzoo does not support the checkpoint's network: {error}") from None
    return ComponentSpec.parse({"name": kind.name, **config.model_dump(mode="json")})


def _patch_size(release: Release, token: Size, asked: Size | None) -> list[int]:
    """Patch size (D, H, W) of the position embedding: the known size that matches its number of tokens."""
    embedding = release.tensors.get("eva.pos_embed")
    if embedding is None:
        raise WeightsError("the file has no 'eva.pos_embed': umzoo's Primus needs a learned position embedding")
    count = int(embedding.shape[1])
    edge = round(count ** (1 / 3))
    planned = (release.plan.get("pretrain_patch_size"), release.configuration.get("patch_size"))
    cube = [edge * voxels for voxels in token]
    for patch in (asked,) if asked else (*planned, cube):
        if patch and prod(int(n) // e for n, e in zip(patch, token, strict=True)) == count:
            return [int(n) for n in patch]
    said = asked or next(filter(None, planned), None)
    raise WeightsError(
        f"the position embedding has {count} tokens of {token} voxels, which does not match patch size {said}:"
        " set the patch size of training with patch_size=[D, H, W]"
    )
