"""Export to the checkpoint format of nnssl, which nnU-Net's main branch reads (``nnUNetv2_preprocess_like_nnssl``).

The format is that of nnssl's checkpoints with an adaptation plan (https://github.com/MIC-DKFZ/nnssl). The reader loads
encoder and stem only; the plan gives their module paths in the network.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from umzoo import __version__
from umzoo.backbones.state import canonical_state, expand_aliases
from umzoo.errors import ConfigError, WeightsError
from umzoo.files import written_whole
from umzoo.nnunet.environment import require_nnunet
from umzoo.nnunet.files.nnunet_checkpoint import network_of_weights, provenance
from umzoo.weights.folder.info import WeightsInfo
from umzoo.weights.folder.reader import read_info
from umzoo.weights.folder.tensors import load_state
from umzoo.weights.networks.construction import build_backbone
from umzoo.weights.networks.nnunet_architecture import RESENC, plan_of_backbone
from umzoo.weights.transfer import transfer

CHECKPOINT, PLAN, CONFIG = "checkpoint_final.pth", "adaptation_plan.json", "config.json"
_PRIMUS = {"primus_s": "PrimusS", "primus_b": "PrimusB", "primus_m": "PrimusM", "primus_l": "PrimusL"}
_UNET_KEYS = {
    "key_to_encoder": "encoder.stages",
    "key_to_stem": "encoder.stem",
    "keys_to_in_proj": ["encoder.stem.convs.0.conv", "encoder.stem.convs.0.all_modules.0"],
    "key_to_lpe": None,
}
_PRIMUS_KEYS = {
    "key_to_encoder": "eva",
    "key_to_stem": "down_projection",
    "keys_to_in_proj": ["down_projection.proj"],
    "key_to_lpe": "eva.pos_embed",
}


def export_nnssl(weights: Path, folder: Path) -> dict[str, Any]:
    """Write the weights folder *weights* to *folder* in nnssl's format; return the adaptation plan.

    Raises:
        ConfigError: if nnU-Net is missing, or the weights do not state their patch size.
        WeightsError: if *folder* exists, or nnU-Net's reader does not support the network.
    """
    require_nnunet()
    if folder.exists():
        raise WeightsError(f"{folder} exists already: give another name, or remove it")
    info = read_info(weights)
    primus = info.backbone.name in _PRIMUS
    plan = adaptation_plan(info)
    state = _primus_state(weights, info) if primus else _unet_state(weights, info)
    content = {
        "network_weights": state,
        "nnssl_adaptation_plan": plan,
        "trainer_name": "umzoo",
        "init_args": {},
        "citations": [{"type": "Weights", "name": info.name, "apa_citations": list(info.citations)}],
        "umzoo": provenance(info),
    }
    texts = {
        PLAN: {**plan, "trainer_name": "umzoo"},
        CONFIG: {"name": info.name, "library_name": "umzoo", "umzoo": __version__, "license": info.license},
    }
    _write(folder, content, texts)
    return plan


def adaptation_plan(info: WeightsInfo) -> dict[str, Any]:
    """Return nnssl's adaptation plan for the weights *info*.

    Raises:
        ConfigError: if they do not state their patch size.
        WeightsError: if nnU-Net's reader does not support the network.
    """
    if info.input.patch_size is None:
        raise ConfigError(f"{info.name} has no patch size, which nnssl's format needs: add it to input in config.json")
    patch = list(info.input.patch_size)
    return {
        "architecture_plans": _architecture(info),
        "pretrain_plan": {
            "dataset_name": next(iter(info.provenance.datasets), "umzoo"),
            "plans_name": "umzoo",
            "original_median_spacing_after_transp": info.input.spacing,
            "image_reader_writer": "SimpleITKIO",
            "transpose_forward": [0, 1, 2],
            "transpose_backward": [0, 1, 2],
            "experiment_planner_used": "umzoo",
            "configurations": {"umzoo": _configuration(info, patch)},
        },
        "pretrain_num_input_channels": info.input.in_channels,
        "recommended_downstream_patchsize": patch,
        **(_PRIMUS_KEYS if info.backbone.name in _PRIMUS else _UNET_KEYS),
    }


def _architecture(info: WeightsInfo) -> dict[str, Any]:
    if name := _PRIMUS.get(info.backbone.name):
        _check_primus(info)
        return {"arch_class_name": name, "arch_kwargs": None, "arch_kwargs_requiring_import": None}
    entry = plan_of_backbone(info.backbone)
    if not entry["network_class_name"].endswith(RESENC):
        raise WeightsError(
            f"{info.name} is a plain U-Net, whose stem nnU-Net's reader of nnssl checkpoints cannot adapt:"
            " export it for -pretrained_weights instead, without --nnssl"
        )
    return {
        "arch_class_name": entry["network_class_name"],
        "arch_kwargs": entry["arch_kwargs"],
        "arch_kwargs_requiring_import": entry["_kw_requires_import"],
    }


def _configuration(info: WeightsInfo, patch: list[int]) -> dict[str, Any]:
    spacing, channels = info.input.spacing, info.input.in_channels
    resampling = {f"resampling_fn_{kind}": "resample_data_or_seg_to_shape" for kind in ("data", "mask")}
    return {
        "data_identifier": "umzoo",
        "preprocessor_name": "DefaultPreprocessor",
        "spacing_style": "noresample" if spacing is None else "onemmiso" if set(spacing) == {1.0} else "median",
        "normalization_schemes": ["ZScoreNormalization"] * channels,
        "use_mask_for_norm": [False] * channels,
        **resampling,
        **{f"{name}_kwargs": {} for name in resampling},
        "spacing": None if spacing is None else list(spacing),
        "patch_size": patch,
    }


def _unet_state(weights: Path, info: WeightsInfo) -> dict[str, Tensor]:
    """Return tensors of nnU-Net's network under all their names, without segmentation layers and untrained parts."""
    with torch.random.fork_rng(devices=[]):
        network = network_of_weights(info)
    transfer(weights, network, {"minimum": 1.0})
    state = expand_aliases(canonical_state(network), network)
    trained = state if "decoder" in info.parts else {name: it for name, it in state.items() if "decoder" not in name}
    return {name: tensor for name, tensor in trained.items() if ".seg_layers." not in name}


def _primus_state(weights: Path, info: WeightsInfo) -> dict[str, Tensor]:
    """Return tensors of the encoder with the names of nnU-Net's Primus."""
    state = load_state(weights)
    return {name.removeprefix("encoder."): it for name, it in state.items() if name.startswith("encoder.")}


def _check_primus(info: WeightsInfo) -> None:
    """Check that the encoder equals nnU-Net's preset, which fixes width, token size and block type.

    Raises:
        WeightsError: if it differs.
    """
    from dynamic_network_architectures.architectures import primus

    with torch.device("meta"):
        ours = _encoder_shapes(build_backbone(info), "encoder.")
        preset = getattr(primus, _PRIMUS[info.backbone.name])(
            info.input.in_channels, 2, (8, 8, 8), input_shape=info.backbone.options["input_shape"]
        )
    theirs = _encoder_shapes(preset)
    if ours != theirs:
        other = sorted(name for name in {*ours, *theirs} if ours.get(name) != theirs.get(name))
        raise WeightsError(
            f"{info.name} differs from the {_PRIMUS[info.backbone.name]} that nnU-Net's reader builds"
            f" in {len(other)} tensors, such as {other[0]}: give weights trained with layer_scale=0.1,"
            " inner_norm=true, and the sizes of the preset"
        )


def _encoder_shapes(network: nn.Module, prefix: str = "") -> dict[str, tuple[int, ...]]:
    """Return shapes of the tensors of a Primus encoder, with the names of nnU-Net's Primus."""
    names = {name.removeprefix(prefix): tuple(it.shape) for name, it in network.state_dict().items()}
    return {name: shape for name, shape in names.items() if name.startswith(("eva.", "down_projection."))}


def _write(folder: Path, checkpoint: dict[str, Any], texts: dict[str, dict[str, Any]]) -> None:
    """Write the three files atomically."""
    try:
        with written_whole(folder) as temporary:
            temporary.mkdir(parents=True)
            torch.save(checkpoint, temporary / CHECKPOINT)
            for name, content in texts.items():
                (temporary / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    except (OSError, RuntimeError) as error:
        raise WeightsError(f"cannot write {folder}: {error}") from None
