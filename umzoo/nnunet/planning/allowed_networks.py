"""Networks that plans may name. nnU-Net imports and calls whatever they name; here that is only what is listed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from umzoo.errors import WeightsError, in_one_line
from umzoo.weights.networks.construction import FAILURES, limited_size

_HOME = "dynamic_network_architectures.architectures"
_UNETS = ("PlainConvUNet", "ResidualEncoderUNet", "ResidualUNet")
_PRIMUS = ("Primus", *(f"Primus{version}{size}" for version in ("", "V2", "V3") for size in "XSBML"))
NETWORKS = frozenset(
    (
        *(f"{_HOME}.unet.{name}" for name in _UNETS),
        f"{_HOME}.residual_unet.ResidualEncoderUNet",
        *(f"{_HOME}.primus.{name}" for name in (*_PRIMUS, "PrimusV2", "PrimusV3")),
    )
)
"""Classes of dynamic_network_architectures, and where an older nnU-Net looked for one of them."""
_LAYER_NAMES = (
    *(f"modules.conv.Conv{axes}d" for axes in (1, 2, 3)),
    *(f"modules.instancenorm.InstanceNorm{axes}d" for axes in (1, 2, 3)),
    *(f"modules.batchnorm.BatchNorm{axes}d" for axes in (1, 2, 3)),
    *(f"modules.dropout.Dropout{axes}" for axes in ("", "1d", "2d", "3d")),
    *(f"modules.activation.{name}" for name in ("LeakyReLU", "ReLU", "GELU", "SiLU", "ELU", "PReLU")),
)
LAYERS = frozenset(
    (
        *(f"torch.nn.{name}" for name in _LAYER_NAMES),
        *(f"torch.nn.{name.rpartition('.')[2]}" for name in _LAYER_NAMES),
        *(f"dynamic_network_architectures.building_blocks.residual.{name}" for name in ("BasicBlockD", "BottleneckD")),
    )
)
"""Classes that arguments may name."""
_ARGUMENTS = ("conv_op", "norm_op", "dropout_op", "nonlin", "block")
_GIVEN = ("input_channels", "num_classes")
MAX_VALUES, MAX_PARTS, MAX_NUMBER, MAX_ITEMS = 1 << 31, 100_000, 1 << 16, 256


def build_network(
    architecture: Mapping[str, Any],
    in_channels: int,
    classes: int,
    deep_supervision: bool | None = None,
    initialize: bool = True,
) -> nn.Module:
    """Return the network of a plan's entry *architecture*, built by nnU-Net's own function on torch's default device.

    Raises:
        WeightsError: if the entry names anything that is not listed here, its arguments are not numbers, or the
            network is too large or cannot be built.
    """
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

    require_listed(architecture)
    name, arguments = architecture["network_class_name"], architecture["arch_kwargs"]
    imported = architecture["_kw_requires_import"]
    options: dict[str, Any] = {"allow_init": initialize, "deep_supervision": deep_supervision}
    try:
        with limited_size(MAX_VALUES, MAX_PARTS, f"the plan's {_short(name)} is larger than any that could be trained"):
            with torch.device("meta"):
                sketch: nn.Module = get_network_from_plans(
                    name, arguments, imported, in_channels, classes, **options | {"allow_init": False}
                )
            if torch.get_default_device().type == "meta":
                return sketch
            network: nn.Module = get_network_from_plans(name, arguments, imported, in_channels, classes, **options)
    except (*FAILURES, ImportError) as error:
        reason = in_one_line(f"{type(error).__name__}: {error}", 200)
        raise WeightsError(f"the plan's {_short(name)} cannot be built with its arguments: {reason}") from None
    return network


def require_listed(architecture: Any) -> None:
    """Refuse an entry *architecture* that names classes other than those listed, or holds anything but numbers.

    Raises:
        WeightsError: with the name that was refused.
    """
    if not isinstance(architecture, Mapping):
        raise WeightsError("the plan's entry 'architecture' is not a table: plan the data set again")
    name, arguments = architecture.get("network_class_name"), architecture.get("arch_kwargs")
    imported = architecture.get("_kw_requires_import")
    if not isinstance(name, str) or name not in NETWORKS:
        raise WeightsError(
            f"the plan asks for the network {_short(name)}, which is not run: plans may be anybody's, and umzoo builds"
            f" {', '.join(_UNETS[:2])} and Primus of dynamic_network_architectures only"
        )
    if not isinstance(arguments, Mapping) or not isinstance(imported, (list, tuple)):
        raise WeightsError(f"the plan's {_short(name)} lacks its arguments (arch_kwargs, _kw_requires_import)")
    if refused := next(_refused(arguments, imported), None):
        raise WeightsError(f"the plan's {_short(name)} has {refused}, which is not run: plans may be anybody's")


def _refused(arguments: Mapping[str, Any], imported: Any) -> Iterator[str]:
    """Yield what is in the way, in words."""
    for argument in imported:
        if argument not in _ARGUMENTS or argument not in arguments:
            yield f"an import for the argument {_short(argument)}"
    for argument, value in arguments.items():
        if argument in _GIVEN:
            yield f"an argument {argument}, which is not the plan's to give"
        elif argument in imported:
            if value is not None and (not isinstance(value, str) or value not in LAYERS):
                yield f"{argument} {_short(value)}"
        elif not _is_plain(value):
            yield f"{_short(argument)} {_short(value)} (expected numbers)"


def _is_plain(value: Any, depth: int = 3) -> bool:
    """Whether *value* is a number of reasonable size, or a short list or table of such."""
    if isinstance(value, Mapping):
        return depth > 0 and all(isinstance(key, str) for key in value) and _is_plain(list(value.values()), depth - 1)
    if isinstance(value, (list, tuple)):
        return depth > 0 and len(value) <= MAX_ITEMS and all(_is_plain(item, depth - 1) for item in value)
    return value is None or (isinstance(value, (bool, int, float)) and abs(value) <= MAX_NUMBER)


def _short(value: Any) -> str:
    return in_one_line(repr(value), 80)
