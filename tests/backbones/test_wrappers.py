"""What PyTorch wraps around networks, for every family: FSDP2, and reentrant checkpointing."""

import copy

import pytest
import torch
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

import umzoo
from umzoo.backbones.features import checkpointed
from umzoo.fields import Rng
from umzoo.heads.model import Model
from umzoo.plugins import zoo

FAMILIES = {
    "genesis_unet": {"width": 2},
    "unet3d": {"features_per_stage": (4, 6), "out_channels": 2},
    "plainconv_unet": {"features_per_stage": [4, 6]},
    "resenc_unet_s": {"features_per_stage": [4, 6]},
    "primus_s": {"embed_dim": 36, "heads": 3, "depth": 1, "decoder_channels": 8, "input_shape": (16, 16, 16)},
    "resnet3d_10": {"width": 4},
    "vit3d_s": {"embed_dim": 24, "heads": 2, "depth": 1, "decoder_channels": 8, "register_tokens": 2},
    **dict.fromkeys(
        ("swin_unetr", "swin_vit"),
        {"feature_size": 12, "depths": (1, 1, 1, 1), "num_heads": (1, 2, 2, 2), "window_size": 2},
    ),
    "unetr": {"feature_size": 4, "hidden_size": 24, "mlp_dim": 24, "num_heads": 2},
    "segresnet": {"init_filters": 8, "blocks_down": (1, 1), "blocks_up": (1,)},
    "segresnet_ds": {"init_filters": 4, "blocks_down": (1, 1)},
    "timm": {"model": "test_resnet"},
}
PARTS = ("resenc", "primus", "resnet3d", "vit3d")
"""Families of several sizes, of which one is tried."""


@pytest.fixture(params=FAMILIES)
def model(request):
    if request.param not in zoo().backbones:
        pytest.skip(f"the plug-in of {request.param} is not installed")
    torch.manual_seed(0)
    return zoo().backbones.build({"name": request.param, **FAMILIES[request.param]}).eval()


@pytest.fixture
def mesh(tmp_path):
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/rendezvous", rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    distributed.destroy_process_group()


def image_for(model):
    depth, height, width = (max(4, step) for step in model.info.divisor)
    size = model.info.nearest_size((2 * depth, height, width))
    return Rng(0).uniform((1, model.info.in_channels, *size))


def total(features):
    return sum(
        value.square().mean() for value in (*features.levels, features.pooled, features.dense) if value is not None
    )


def test_every_family_is_tried():
    assert {name for name in zoo().backbones if not name.startswith(PARTS)} <= FAMILIES.keys()


def test_checkpointed_gradients_are_the_usual_ones(model):
    twin, image, dense = copy.deepcopy(model), image_for(model), model.info.decoder_channels is not None
    usual, again = model(image, dense=dense), checkpointed(twin, image, dense)
    torch.testing.assert_close(again.pooled, usual.pooled)
    total(usual).backward()
    total(again).backward()
    for ours, theirs in zip(twin.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_fully_sharded_it_answers_and_learns(model, mesh):
    image, dense = image_for(model), model.info.decoder_channels is not None
    expected = model(image, dense=dense)
    head = zoo().heads.build({"name": "classification", "classes": 2}, info=model.info)
    whole = Model(model, head)
    fully_shard(whole.backbone, mesh=mesh)
    found = whole.backbone(image, dense=dense)
    torch.testing.assert_close(found.pooled, expected.pooled)
    total(found).backward()
    assert all(value.grad is not None for value in whole.backbone.parameters())


@pytest.mark.parametrize("name", ["classification", "regression", "projection"])
def test_a_head_can_be_sharded_too(name, mesh):
    backbone = umzoo.create_model("resenc_unet_s", features_per_stage=(4, 8), n_blocks_per_stage=(1, 1))
    whole, image = Model(backbone, zoo().heads.build({"name": name}, info=backbone.info)), torch.rand(2, 1, 8, 8, 8)
    expected = whole(image)
    fully_shard(whole.head, mesh=mesh)
    torch.testing.assert_close(whole(image), expected)
