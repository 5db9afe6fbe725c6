"""Networks of other projects, built by their own code and saved as their authors do, with random weights.

Checkouts lie in one folder, under the names of the repositories; nothing of them is part of umzoo.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from umzoo.backbones.state import named_tensors
from umzoo.errors import ConfigError
from umzoo.fields import Rng

REPOSITORIES = {
    "ModelsGenesis": "MrGiovanni/ModelsGenesis",
    "nnssl": "MIC-DKFZ/nnssl",
    "MedicalNet": "Tencent/MedicalNet",
    "research-contributions": "Project-MONAI/research-contributions",
    "Large-Scale-Medical": "Luffy03/Large-Scale-Medical",
    "3DINO": "AICONSlab/3DINO",
    "BrainIAC": "AIM-KannLab/BrainIAC",
    "anatomix": "neel-dey/anatomix",
    "amaes": "asbjrnmunk/amaes",
    "baseline-codebase": "fomo25/baseline-codebase",
    "Merlin": "StanfordMIMI/Merlin",
}
Levels = list[Tensor]


@dataclass
class Original:
    """A network and how it is compared.

    Attributes:
        importer: umzoo's, with options.
        network: the whole, in evaluation mode.
        save: writes its checkpoint to a file.
        answer: what it makes of an image, as a list.
        ours: the same from umzoo's backbone, perhaps through the original's last layers.
        size: of the image (D, H, W).
    """

    importer: dict[str, Any]
    network: nn.Module
    save: Callable[[Path], None]
    answer: Callable[[Tensor], Levels]
    ours: Callable[[Any, Tensor], Levels]
    size: tuple[int, int, int] = (64, 64, 64)


def originals(folder: Path) -> Iterator[tuple[str, Callable[[], Original]]]:
    """Yield the name of each original, and what builds it."""
    yield "models_genesis", lambda: models_genesis(folder)
    for method in ("mae", "s3d"):
        yield f"nnssl_resenc_l_{method}", lambda method=method: nnssl_resenc(folder, method)  # type: ignore[misc]
    for method in ("mae", "voco", "simmim"):
        yield f"nnssl_primus_m_{method}", lambda method=method: nnssl_primus(folder, method)  # type: ignore[misc]
    for layers, shortcut in ((10, "B"), (18, "A"), (34, "A"), (50, "B"), (101, "B"), (152, "B"), (200, "B")):
        yield f"medicalnet_{layers}_{shortcut}", lambda a=layers, b=shortcut: medicalnet(folder, a, b)  # type: ignore[misc]
    yield "monai_ssl_head", lambda: monai_ssl(folder)
    yield "voco_ssl_head", lambda: voco_ssl(folder)
    for use_v2 in (False, True):
        yield f"swin_unetr_v{1 + use_v2}", lambda v2=use_v2: swin_unetr(v2)  # type: ignore[misc]


def models_genesis(folder: Path) -> Original:
    """``pytorch/unet3d.py``, saved by ``Genesis_Chest_CT.py`` from inside DataParallel."""
    network = shaken(load(folder, "ModelsGenesis", "pytorch/unet3d.py").UNet3D())
    state = {f"module.{name}": value for name, value in network.state_dict().items()}
    return Original(
        {"name": "models_genesis", "batch_statistics": True},
        network,
        lambda file: torch.save({"epoch": 1, "state_dict": state, "optimizer_state_dict": {}}, file),
        lambda image: [network(image)],
        lambda model, image: [network.out_tr(model(image, dense=True).dense)],
        (64, 64, 32),
    )


def medicalnet(folder: Path, layers: int, shortcut: str) -> Original:
    """``models/resnet.py``, saved by ``train.py`` from inside DataParallel."""
    module = load(folder, "MedicalNet", "models/resnet.py")
    sizes = dict.fromkeys(("sample_input_D", "sample_input_H", "sample_input_W"), 64)
    build = getattr(module, f"resnet{layers}")
    network = measured(shaken(build(**sizes, num_seg_classes=2, shortcut_type=shortcut, no_cuda=True)), (32, 48, 64))
    state = {f"module.{name}": value for name, value in network.state_dict().items()}
    return Original(
        {"name": "medicalnet"},
        network,
        lambda file: torch.save({"epoch": 1, "batch_id": 1, "state_dict": state, "optimizer": {}}, file),
        lambda image: [network(image)],
        lambda model, image: [network.conv_seg[6](model.decoder["conv_seg"](model.encode(image)[-1]))],
        (32, 48, 64),
    )


def nnssl_resenc(folder: Path, method: str) -> Original:
    """ResEnc-L as nnssl's trainers for masked autoencoding and for SparK build and save it."""
    use(folder, "nnssl", "src")
    where = "nnssl.training.nnsslTrainer.masked_image_modeling."
    module, name = ("BaseMAETrainer", "BaseMAETrainer") if method == "mae" else ("SparkTrainer", "SparkMAETrainer")
    trainer = nnssl_trainer(getattr(importlib.import_module(where + module), name), (64, 64, 64))
    network, trainer.adaptation_plan = trainer.build_architecture_and_adaptation_plan(trainer.config_plan, 1, 1)
    trainer.network = shaken(network)
    spark = method == "s3d"
    if spark:
        importlib.import_module("nnssl.architectures.spark_utils")._cur_active = torch.ones(1, 1, 64, 64, 64)
    unet = network.architecture if spark else network
    return Original(
        {"name": "nnssl"},
        network,
        trainer.save_checkpoint,
        lambda image: network.encoder(image) if spark else [network(image)],
        lambda model, image: model.encode(image) if spark else [unet.decoder.seg_layers[-1](model(image, True).dense)],
    )


def nnssl_primus(folder: Path, method: str) -> Original:
    """Primus-M with the settings of nnssl's trainers, which ask timm for an option it no longer has."""
    use(folder, "nnssl", "src")
    shape, arch = (96, 96, 64), "nnssl.architectures."
    sizes = {"embed_dim": 864, "patch_embed_size": (8, 8, 8), "encoder_eva_depth": 16, "encoder_eva_numheads": 12}
    rest = {"input_shape": shape, "init_values": 0.1, "scale_attn_inner": True}
    if method == "simmim":
        inner = importlib.import_module(arch + "evaSimMIM_module").EvaSimMIM(1, output_channels=1, **sizes, **rest)
    else:
        depth = {"decoder_eva_depth": 2 if method == "mae" else 0, "decoder_eva_numheads": 12}
        inner = importlib.import_module(arch + "evaMAE_module").EvaMAE(1, output_channels=1, **sizes, **depth, **rest)
    prefix, network = "", inner
    if method == "voco":
        prefix = "encoder."
        inner.up_projection = nn.Identity()
        network = importlib.import_module(arch + "voco_architecture").VoCoEvaArchitecture(inner, 864)
    names = {"mae": "BaseEvaMAETrainer", "voco": "VoCoEvaTrainer", "simmim": "SimMIMEvaTrainer"}
    base = importlib.import_module("nnssl.training.nnsslTrainer.AbstractTrainer").AbstractBaseTrainer
    trainer = nnssl_trainer(type(names[method], (base,), dict.fromkeys(base.__abstractmethods__)), shape)
    trainer.network, trainer.adaptation_plan = shaken(network), nnssl_plan(trainer.plan, prefix)
    return Original(
        {"name": "nnssl"},
        network,
        trainer.save_checkpoint,
        lambda image: [_features(inner, image, "w h d" if method == "simmim" else "h w d")],
        lambda model, image: model.encode(image),
        shape,
    )


def _features(network: Any, image: Tensor, order: str) -> Tensor:
    """What the encoder makes of *image*, laid out as in the original's ``forward``."""
    from einops import rearrange

    tokens = network.down_projection(image)
    width, height, depth = tokens.shape[2:]
    encoded, _ = network.eva(rearrange(tokens, f"b c w h d -> b ({order}) c"))
    result: Tensor = rearrange(encoded, f"b ({order}) c -> b c w h d", h=height, w=width, d=depth)
    return result


def nnssl_plan(plan: Any, prefix: str) -> Any:
    """The adaptation plan of a Primus."""
    plans = importlib.import_module("nnssl.adaptation_planning.adaptation_plan")
    return plans.AdaptationPlan(
        architecture_plans=plans.ArchitecturePlans("PrimusM"),
        pretrain_plan=plan,
        pretrain_num_input_channels=1,
        recommended_downstream_patchsize=(160, 160, 160),
        key_to_encoder=f"{prefix}eva",
        key_to_stem=f"{prefix}down_projection",
        keys_to_in_proj=(f"{prefix}down_projection.proj",),
        key_to_lpe=f"{prefix}eva.pos_embed",
    )


def nnssl_trainer(kind: Any, patch: tuple[int, int, int]) -> Any:
    """A trainer of nnssl's with as much state as saving needs."""
    plans = importlib.import_module("nnssl.experiment_planning.experiment_planners.plan")
    configuration = plans.ConfigurationPlan(
        "nnsslPlans_onemmiso", "DefaultPreprocessor", "onemmiso", ["ZScoreNormalization"], [False],
        "resample_data_or_seg_to_shape", {}, "resample_data_or_seg_to_shape", {}, [1, 1, 1], list(patch),
    )  # fmt: skip
    plan = plans.Plan(
        "Dataset745_OpenNeuro_v2", "nnsslPlans", [1, 1, 1], "SimpleITKIO", [0, 1, 2], [0, 1, 2],
        {"onemmiso": configuration}, "FixedResEncUNetPlanner",
    )  # fmt: skip
    trainer = kind.__new__(kind)
    nothing = SimpleNamespace(state_dict=dict, get_checkpoint=dict)
    vars(trainer).update(
        plan=plan, config_plan=configuration, configuration_name="onemmiso", local_rank=0, is_ddp=False,
        disable_checkpointing=False, optimizer=nothing, grad_scaler=None, logger=nothing, _best_ema=None,
        current_epoch=0, my_init_kwargs={"pretrain_json": {"image_path": "/private/subject.nii.gz"}},
        recommended_downstream_patchsize=(160, 160, 160), use_mask_token=True, adaptation_json_plan="/dev/null",
    )  # fmt: skip
    return trainer


def monai_ssl(folder: Path) -> Original:
    """``SwinUNETR/Pretrain``: the transformer and three heads."""
    module = load(folder, "research-contributions", "SwinUNETR/Pretrain/models/ssl_head.py")
    options = SimpleNamespace(
        spatial_dims=3, in_channels=1, feature_size=48, dropout_path_rate=0.0, use_checkpoint=False
    )
    network = shaken(module.SSLHead(options))
    return Original(
        {"name": "monai_swin"},
        network,
        lambda file: torch.save({"epoch": 1, "state_dict": network.state_dict(), "optimizer": {}}, file),
        lambda image: network.swinViT(image),
        lambda model, image: model.encode(image),
    )


def voco_ssl(folder: Path) -> Original:
    """``Self-supervised`` of VoCo: Swin UNETR without its decoder, and two projectors."""
    module = load(folder, "Large-Scale-Medical", "Self-supervised/models/voco_head.py")
    options = SimpleNamespace(
        spatial_dims=3, in_channels=1, feature_size=48, dropout_path_rate=0.0, use_checkpoint=False
    )
    network = shaken(module.VoCoHead(options))
    return Original(
        {"name": "monai_swin"},
        network,
        lambda file: torch.save({"state_dict": network.state_dict()}, file),
        lambda image: [network.backbone(image)],
        lambda model, image: [network.backbone.forward_encs([model.encode(image)[i] for i in (0, 1, 2, 3, 5)])],
    )


def swin_unetr(use_v2: bool) -> Original:
    """MONAI's Swin UNETR, of its second version as VoCo's omni-supervised weights."""
    nets = importlib.import_module("monai.networks.nets")
    network = shaken(nets.SwinUNETR(in_channels=1, out_channels=21, feature_size=48, use_v2=use_v2))
    return Original(
        {"name": "monai_swin"},
        network,
        lambda file: torch.save({"net": network.state_dict()}, file),
        lambda image: [network(image)],
        lambda model, image: [network.out(model(image, dense=True).dense)],
    )


def shaken(network: nn.Module) -> Any:
    """*network* in evaluation mode, with every tensor moved off the values it starts with."""
    for number, value in enumerate(named_tensors(network).values()):
        if value.is_floating_point():
            value.data.add_((0.1 if value.ndim == 1 else 0.02) * Rng(number).normal(value.shape))
    return network.eval()


def measured(network: nn.Module, size: tuple[int, int, int]) -> Any:
    """*network* with batch norms that have seen random volumes of *size* (D, H, W), so that values stay small."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        network.train()(Rng(1).normal((2, 1, *size)))
    for norm in norms:
        norm.momentum = 0.1
    return network.eval()


def use(folder: Path, repository: str, source: str = "") -> None:
    """Make the modules of a checkout importable.

    Raises:
        ConfigError: if it is not there.
    """
    path = folder / repository / source
    if not path.is_dir():
        raise ConfigError(f"{path} does not exist: git clone https://github.com/{REPOSITORIES[repository]} there")
    if str(path) not in sys.path:
        sys.path.insert(0, str(path))


def load(folder: Path, repository: str, file: str) -> Any:
    """Import one *file* of a checkout.

    Raises:
        ConfigError: if it is not there.
    """
    path = folder / repository / file
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise ConfigError(f"{path} does not exist: git clone https://github.com/{REPOSITORIES[repository]}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
