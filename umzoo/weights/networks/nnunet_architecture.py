"""Converts between nnU-Net's plans and umzoo's backbones, without requiring nnU-Net.

A configuration of a plans file describes its network under ``architecture``: a class of
dynamic_network_architectures and its arguments. Options of umzoo's U-Nets have the same names, see
:mod:`umzoo.backbones.nnunet_config`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from umzoo.backbones.nnunet_config import PlainConvConfig, ResEncConfig, UNetConfig
from umzoo.errors import ConfigError, WeightsError, in_one_line
from umzoo.plugins import zoo
from umzoo.spec import ComponentSpec

RESENC, PLAINCONV = "ResidualEncoderUNet", "PlainConvUNet"
_MODULE = "dynamic_network_architectures.architectures.unet"
_SHARED = ("n_stages", "features_per_stage", "kernel_sizes", "strides", "n_conv_per_stage_decoder")
_COUNTS = {RESENC: "n_blocks_per_stage", PLAINCONV: "n_conv_per_stage"}
_LADDER = {4: "resenc_unet_s", 5: "resenc_unet_m", 6: "resenc_unet_l", 7: "resenc_unet_xl"}
_NORMS = {"instance": "torch.nn.modules.instancenorm.InstanceNorm3d", "batch": "torch.nn.modules.batchnorm.BatchNorm3d"}
_IMPORTED = ("conv_op", "norm_op", "dropout_op", "nonlin")
_LAYERS = {
    "conv_op": "torch.nn.modules.conv.Conv3d",
    "conv_bias": True,
    "norm_op_kwargs": {"eps": 1e-5, "affine": True},
    "dropout_op": None,
    "dropout_op_kwargs": None,
    "nonlin": "torch.nn.LeakyReLU",
    "nonlin_kwargs": {"inplace": True},
}
"""Arguments that are the same in all of umzoo's U-Nets, as nnU-Net's planners write them."""
_MALFORMED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""Exceptions for malformed entries."""
_MOST_STAGES = 32


def backbone_of_plan(architecture: Mapping[str, Any], in_channels: int = 1) -> ComponentSpec:
    """Return the backbone with the same network as a plan.

    Args:
        architecture: entry ``architecture`` of a configuration, see :func:`architecture_of`.
        in_channels: channels of the input, which the entry does not contain.

    Raises:
        WeightsError: if umzoo has no such backbone, because class, dimensions or layers differ.
    """
    try:
        spec = _spec(architecture, in_channels)
    except _MALFORMED as error:
        reason = in_one_line(f"{type(error).__name__}: {error}", 200)
        raise WeightsError(f"the plan's entry 'architecture' is incomplete or corrupted: {reason}") from None
    try:
        zoo().backbones.options(spec)
    except ConfigError as error:
        raise WeightsError(f"umzoo does not support the plan's network: {error}") from None
    return spec


def _spec(architecture: Mapping[str, Any], in_channels: int) -> ComponentSpec:
    kind = str(architecture["network_class_name"]).rpartition(".")[2]
    arguments = dict(architecture["arch_kwargs"])
    if kind not in _COUNTS:
        raise WeightsError(
            f"the plan's network is a {in_one_line(kind, 80)}, but umzoo supports only {RESENC} and {PLAINCONV}"
        )
    options = {name: arguments.pop(name) for name in (*_SHARED, _COUNTS[kind])}
    norm = _short(arguments.get("norm_op"))
    if others := list(_other_layers(arguments)):
        raise WeightsError(
            in_one_line(f"umzoo does not support the plan's network; unsupported settings: {'; '.join(others)}")
        )
    stages = int(options["n_stages"])
    if not 0 < stages <= _MOST_STAGES:
        raise WeightsError(f"the plan's network has {stages} stages, expected 1 to {_MOST_STAGES}")
    if isinstance(options["features_per_stage"], int):
        options["features_per_stage"] = [options["features_per_stage"]] * stages
    name = _LADDER[min(max(stages, 4), 7)] if kind == RESENC else "plainconv_unet"
    norms = {_short(it): key for key, it in _NORMS.items()}
    return ComponentSpec.parse({"name": name, "in_channels": in_channels, "norm": norms[norm]} | options)


def plan_of_backbone(backbone: ComponentSpec) -> dict[str, Any]:
    """Return the entry ``architecture`` of a plan for the network of *backbone*, one of nnU-Net's U-Nets.

    Raises:
        WeightsError: if *backbone* is not one of nnU-Net's U-Nets.
    """
    options = unet_options(backbone)
    kind = RESENC if isinstance(options, ResEncConfig) else PLAINCONV
    values = options.resolved().model_dump(mode="json")
    arguments = {name: values[name] for name in (*_SHARED, _COUNTS[kind])}
    return {
        "network_class_name": f"{_MODULE}.{kind}",
        "arch_kwargs": {**arguments, "norm_op": _NORMS[options.norm], **_LAYERS},
        "_kw_requires_import": list(_IMPORTED),
    }


def unet_options(backbone: ComponentSpec) -> ResEncConfig | PlainConvConfig:
    """Return the options of *backbone*, one of nnU-Net's U-Nets.

    Raises:
        WeightsError: if *backbone* is not one of nnU-Net's U-Nets.
    """
    _, options = zoo().backbones.options(backbone)
    if not isinstance(options, (ResEncConfig, PlainConvConfig)):
        raise WeightsError(
            f"the weights are of {backbone.name}, but nnU-Net's plans support only resenc_unet_* and plainconv_unet"
        )
    return options


def configuration_of(plans: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return configuration *name* of *plans*, with inherited entries.

    Raises:
        WeightsError: if there is no such configuration, or it inherits from itself.
    """
    merged: dict[str, Any] = {}
    visited: list[str] = []
    while name:
        known = plans.get("configurations")
        known = known if isinstance(known, Mapping) else {}
        if not isinstance(name, str) or name in visited or not isinstance(known.get(name), Mapping):
            listed = in_one_line(", ".join(map(str, known)) or "none", 200)
            raise WeightsError(
                f"the plans have no usable configuration {in_one_line(repr(name), 80)}: use one of {listed}"
            )
        visited.append(name)
        merged = {**known[name], **merged}
        name = known[name].get("inherits_from", "")
    return merged


def architecture_of(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entry ``architecture`` of a *configuration*; it is reconstructed for plans from before nnU-Net 2.5.

    Raises:
        WeightsError: if that is not possible.
    """
    if "architecture" in configuration:
        if not isinstance(configuration["architecture"], Mapping):
            raise WeightsError("the plans' entry 'architecture' is not a JSON object")
        return dict(configuration["architecture"])
    try:
        kind = str(configuration["UNet_class_name"])
        counts = list(configuration["n_conv_per_stage_encoder"])
        base, most = configuration["UNet_base_num_features"], configuration["unet_max_num_features"]
        arguments = {
            "n_stages": len(counts),
            "features_per_stage": [min(base * 2**stage, most) for stage in range(len(counts))],
            "kernel_sizes": configuration["conv_kernel_sizes"],
            "strides": configuration["pool_op_kernel_sizes"],
            _COUNTS.get(kind, "n_conv_per_stage"): counts,
            "n_conv_per_stage_decoder": configuration["n_conv_per_stage_decoder"],
        }
        flat = len(configuration["patch_size"]) == 2
    except KeyError as error:
        raise WeightsError(f"the plans describe no network: both 'architecture' and {error} are missing") from None
    except _MALFORMED as error:
        raise WeightsError(f"the plans describe no network: {in_one_line(error, 200)}") from None
    layers = {"norm_op": _NORMS["instance"], **_LAYERS, **({"conv_op": "torch.nn.modules.conv.Conv2d"} if flat else {})}
    return {
        "network_class_name": f"{_MODULE}.{kind}",
        "arch_kwargs": {**arguments, **layers},
        "_kw_requires_import": list(_IMPORTED),
    }


def first_stages(options: UNetConfig, count: int) -> dict[str, Any]:
    """Return the options of the first *count* stages of a U-Net, under nnU-Net's names."""
    values = options.resolved().model_dump(mode="json")
    per_stage = ("features_per_stage", "kernel_sizes", "strides", *_COUNTS.values())
    cut: dict[str, Any] = {name: list(values[name][:count]) for name in per_stage if name in values}
    decoder = values["n_conv_per_stage_decoder"]
    return {"n_stages": count, **cut, "n_conv_per_stage_decoder": list(decoder[len(decoder) - count + 1 :])}


def _other_layers(arguments: Mapping[str, Any]) -> Iterator[str]:
    """Yield a description of each setting that umzoo's networks do not support."""
    conv = _short(arguments.get("conv_op"))
    if conv != "Conv3d":
        yield f"dimensions (conv_op {conv}, not Conv3d)"
        return
    if _short(arguments.get("norm_op")) not in map(_short, _NORMS.values()):
        yield f"norm_op {arguments.get('norm_op')} (not instance or batch norm)"
    if (norm := {"eps": 1e-5, "affine": False} | (arguments.get("norm_op_kwargs") or {})) != _LAYERS["norm_op_kwargs"]:
        yield f"norm_op_kwargs {norm}"
    if not arguments.get("conv_bias", False):
        yield "convolutions without bias"
    if arguments.get("dropout_op") is not None:
        yield f"dropout_op {arguments['dropout_op']}"
    slope = (arguments.get("nonlin_kwargs") or {}).get("negative_slope", 0.01)
    if _short(arguments.get("nonlin")) != "LeakyReLU" or slope != 0.01:
        yield f"nonlin {arguments.get('nonlin')} with negative slope {slope}"
    known = {*_LAYERS, "norm_op", "deep_supervision"}
    for name, value in arguments.items():
        if name not in known and value not in (None, False, ()):
            yield f"{name} {value}"


def _short(name: Any) -> str:
    return str(name).rpartition(".")[2]
