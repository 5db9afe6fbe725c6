import copy

import pytest
import torch
from torch import nn

pytest.importorskip("umzoo_timm")

import timm
from umzoo_timm.backbone import TimmBackbone
from umzoo_timm.inflate import inflate, same_response

import umzoo
from umzoo.errors import ConfigError
from umzoo.testing import CHECKS, check_backbone, check_training
from umzoo.weights.networks.backbone import load_backbone

FAMILIES = ["test_resnet", "resnet18", "regnety_002", "mobilenetv3_small_100", "convnext_atto", "vgg11_bn"]


@pytest.mark.parametrize("model", ["test_resnet", "test_efficientnet", "test_convnext"])
def test_conforms(model):
    check_backbone(TimmBackbone, model=model, decoder_channels=4)


def test_conforms_without_decoder():
    checks = CHECKS["backbone"](TimmBackbone, {"model": "test_resnet", "in_channels": 2, "decoder_channels": None})
    checks.run(*[it.title for it in checks.promises() if it.title != "compiled"])  # traced with its decoder above


@pytest.mark.parametrize("model", FAMILIES)
def test_equal_slices_get_the_response_of_the_slice(model):
    flat = timm.create_model(model, features_only=True, in_chans=1)
    deep = inflate(copy.deepcopy(flat))
    assert same_response(flat, deep, 1, 32)
    assert not any(isinstance(module, (nn.Conv2d, nn.MaxPool2d)) for module in deep.modules())
    with torch.no_grad():
        first = next(deep.parameters())
        first.add_(0.2 * umzoo.Rng(0).normal(first.shape))
    assert not same_response(flat, deep, 1, 32), "other weights must not pass"


class Levels(nn.Module):
    """One level by *layer*."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return [self.layer(x)]


class PlanePool(nn.Module):
    def forward(self, x):
        return x * x.mean((2, 3), keepdim=True)


def test_layers_that_name_two_axes_are_found_out():
    assert same_response(Levels(PlanePool()), Levels(PlanePool()), 1, 8) is False


def test_a_kernel_is_shared_out():
    flat = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1, bias=False))
    weight = flat[0].weight.detach().clone()
    deep = inflate(flat)[0].weight
    assert deep.shape == (2, 1, 3, 3, 3)
    assert torch.allclose(deep.sum(2), weight)
    assert torch.equal(deep[:, :, 0], deep[:, :, 2])


@pytest.mark.parametrize(
    ("model", "complaint"),
    [
        ("resnet19", "timm has no model 'resnet19'"),
        ("tf_efficientnet_b0", "its Conv2dSame has no 3-D version"),
        ("resnetblur18", "its BlurPool2d has no 3-D version"),
        ("vit_tiny_patch16_224", "cannot"),
    ],
)
def test_what_cannot_be_inflated_is_refused(model, complaint):
    with pytest.raises(ConfigError, match=complaint):
        TimmBackbone(TimmBackbone.Config(model=model))


def test_weights_go_round_without_a_download(tmp_path, monkeypatch):
    network = TimmBackbone(TimmBackbone.Config(model="test_resnet")).eval()
    umzoo.save_pretrained(network, tmp_path / "out")
    calls = []
    create = timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda *a, **k: calls.append(k["pretrained"]) or create(*a, **k))
    twin = load_backbone(tmp_path / "out")
    image = torch.rand(1, 1, 32, 64, 32)
    with torch.no_grad():
        assert torch.equal(network(image, dense=True).dense, twin(image, dense=True).dense)
    assert calls
    assert not any(calls)


@pytest.mark.parametrize(
    ("options", "tasks"),
    [
        ({"model": "test_resnet", "decoder_channels": 4}, ["restoration", "scale_classification"]),
        ({"model": "test_resnet", "decoder_channels": None}, ["scale_classification", "modality_adversarial"]),
        ({"model": "test_efficientnet"}, ["modality_adversarial"]),
    ],
)
def test_trains_exports_and_transfers(options, tasks, tmp_path):
    recipe = {
        "backbone": {"name": "timm", **options},
        "pretext": {"corruptions": [{"name": "noise"}], "tasks": [{"name": task} for task in tasks]},
        "data": {"patch_size": (32, 32, 64), "scales": (1.0, 2.0)},
    }
    check_training(recipe, tmp_path)


def test_trains_with_a_view_of_its_own(tmp_path):
    pytest.importorskip("umzoo_rotation")
    recipe = {
        "backbone": {"name": "timm", "model": "test_resnet", "decoder_channels": None},
        "pretext": {"tasks": [{"name": "rotation"}]},
        "data": {"patch_size": (64, 32, 32)},
    }
    check_training(recipe, tmp_path)
