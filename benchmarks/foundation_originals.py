"""Networks of released 3D models, built by their authors' code as :mod:`originals` builds the others."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import torch
from originals import Original, load, measured, shaken, use
from torch import Tensor, nn


def foundation_originals(folder: Path) -> Iterator[tuple[str, Callable[[], Original]]]:
    """Yield the name of each original, and what builds it."""
    yield "3dino_vit_l", lambda: three_dino(folder)
    yield "brainiac_vit_b", lambda: brainiac(folder)
    for dev in (False, True):
        yield f"anatomix{'_dev' * dev}", lambda dev=dev: anatomix(folder, dev)  # type: ignore[misc]
    for repository, name in (("amaes", "unet_xl_lw_dec"), ("baseline-codebase", "unet_b_lw_dec")):
        yield f"{repository}_{name}", lambda a=repository, b=name: amaes(folder, a, b)  # type: ignore[misc]
    yield "merlin_i3_resnet152", lambda: merlin(folder)


def three_dino(folder: Path) -> Original:
    """The teacher of ``dinov2/train/train3d.py`` in its last stage, with heads of fewer prototypes than theirs."""
    use(folder, "3DINO")
    os.environ["XFORMERS_DISABLED"] = "1"
    vits = importlib.import_module("dinov2.models.vision_transformer")
    head = importlib.import_module("dinov2.layers").DINOHead
    backbone = vits.vit_large_3d(img_size=112, init_values=1e-5, block_chunks=4)
    teacher = shaken(nn.ModuleDict({"backbone": backbone, "dino_head": head(1024, 64), "ibot_head": head(1024, 64)}))

    def answer(image: Tensor) -> list[Tensor]:
        found = backbone.forward_features(2 * image - 1)
        return [found["x_norm_patchtokens"], found["x_norm_clstoken"]]

    def ours(model: nn.Module, image: Tensor) -> list[Tensor]:
        features = model(image)
        return [features.levels[0].flatten(2).transpose(1, 2), features.pooled]

    return Original(
        {"name": "vit3d", "source": "3dino"},
        teacher,
        lambda file: torch.save({"teacher": teacher.state_dict()}, file),
        answer,
        ours,
        (112, 112, 112),
    )


def brainiac(folder: Path) -> Original:
    """``src/model.py``, which reads what its SimCLR training saved: MONAI's ViT-B."""
    inner = shaken(importlib.import_module("monai.networks.nets").ViT(1, (96,) * 3, (16,) * 3))
    state = {f"backbone.{name}": value for name, value in inner.state_dict().items()}
    with tempfile.TemporaryDirectory() as scratch:
        torch.save({"state_dict": state}, Path(scratch) / "BrainIAC.ckpt")
        network = load(folder, "BrainIAC", "src/model.py").ViTBackboneNet(Path(scratch) / "BrainIAC.ckpt").eval()
    return Original(
        {"name": "vit3d", "source": "brainiac"},
        network,
        lambda file: torch.save({"state_dict": state, "epoch": 1}, file),
        lambda image: [network.backbone(image)[0]],
        lambda model, image: [model.encode(image)[0].flatten(2).transpose(1, 2)],
        (96, 96, 96),
    )


def anatomix(folder: Path, dev: bool) -> Original:
    """``anatomix/model/network.py`` with the options of ``load_from_hf.py``."""
    use(folder, "anatomix")
    variant = "anatomix-dev" if dev else "anatomix"
    options = importlib.import_module("anatomix.model.load_from_hf").ANATOMIX_VARIANTS[variant]["unet_kwargs"]
    network = measured(shaken(importlib.import_module("anatomix.model.network").Unet(**options)), (64, 64, 64))
    return Original(
        {"name": "anatomix"},
        network,
        lambda file: torch.save(network.state_dict(), file),
        lambda image: [network(image)],
        lambda model, image: [model(image, dense=True).dense],
    )


def amaes(folder: Path, repository: str, name: str) -> Original:
    """``src/models/networks/unet.py`` of AMAES or FOMO25's baseline, as ``self_supervised.py`` builds and saves it."""
    for module in [it for it in sys.modules if it.split(".")[0] == "models"]:
        del sys.modules[module]  # both repositories call their package so
    use(folder, repository, "src")
    build = getattr(importlib.import_module("models.networks.unet"), name)
    options = {"reconstruction": True, "prediction": False} if repository == "amaes" else {}
    network = shaken(build(**options))
    state = {f"model.{key}": value for key, value in network.state_dict().items()}
    return Original(
        {"name": "amaes"},
        network,
        lambda file: torch.save({"state_dict": state, "epoch": 99}, file),
        lambda image: network.encoder(image) if options else [network(image)],
        lambda model, image: (
            model.encode(image) if options else [network.decoder.out_conv(model(image, dense=True).dense)]
        ),
    )


def merlin(folder: Path) -> Original:
    """``merlin/models/i3res.py`` with its heads, as the model of text and images saves it, here without the text."""
    path = folder / "Merlin" / "merlin" / "models"
    package = ModuleType("merlin.models")  # its own __init__ loads language models
    package.__path__ = [str(path)]
    sys.modules |= {"merlin": ModuleType("merlin"), "merlin.models": package}
    resnet = importlib.import_module("torchvision.models").resnet152(zero_init_residual=True)  # else rounding grows
    kind = load(folder, "Merlin", "merlin/models/i3res.py").I3ResNet
    network = measured(shaken(kind(resnet, class_nb=1692, conv_class=True, return_skips=True)), (64, 64, 64))
    state = {f"encode_image.i3_resnet.{name}": value for name, value in network.state_dict().items()}

    def answer(image: Tensor) -> list[Tensor]:
        skips = network(image.permute(0, 1, 3, 4, 2))[2]  # its axes are (x, y, z)
        return [skip.permute(0, 1, 4, 2, 3) for skip in skips[1:]]

    return Original(
        {"name": "merlin"},
        network,
        lambda file: torch.save(state, file),
        answer,
        lambda model, image: model.encode(image),
        (32, 64, 96),
    )
