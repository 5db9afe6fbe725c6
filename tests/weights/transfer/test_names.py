"""State dicts as they are found, and the networks of other libraries."""

import pytest
import torch
from torch import nn

import umzoo
from umzoo.backbones.state import canonical_state
from umzoo.errors import WeightsError
from umzoo.fields import Rng
from umzoo.heads.model import Model
from umzoo.plugins import zoo
from umzoo.weights.transfer import transfer


def values(network):
    return {name: value for name, value in canonical_state(network).items() if value.is_floating_point()}


@pytest.mark.parametrize("key", ["state_dict", "model_state_dict", "network_weights", "model", "net"])
@pytest.mark.parametrize(
    "prefix", ["", "model.", "backbone.", "module.model.", "_orig_mod.net.", "encoder_q.backbone."]
)
def test_checkpoints_of_trainers(resenc, randomly, key, prefix):
    source, target = randomly(resenc()), resenc()
    state = {f"{prefix}{name}": value for name, value in source.state_dict().items()}
    checkpoint = {key: {**state, "head.weight": torch.ones(2, 2)}, "epoch": 3, "optimizer": {"state": {}}}
    report = transfer(checkpoint, target)
    assert report.coverage == report.decoder_coverage == 1
    assert all(torch.equal(value, values(source)[name]) for name, value in values(target).items())


def test_a_fine_tuned_model_of_ones_own(resenc, randomly):
    source, target = randomly(resenc()), resenc()
    source = Model(source, zoo().heads.build("segmentation", info=source.info))
    assert transfer(source.state_dict(), target).coverage == 1


def test_nnunets_aliases_behind_a_prefix(nnunet, resenc, randomly):
    source, target = randomly(nnunet()), resenc()
    report = transfer({"state_dict": {f"model.{name}": it for name, it in source.state_dict().items()}}, target)
    assert report.coverage == report.decoder_coverage == 1
    assert {record.note for record in report.dropped} == {"heads are not transferred"}


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ({"optimizer": {"state": {}}, "epoch": 1}, "contains no tensors .it has optimizer, epoch"),
        ({}, "it has no entries"),
        ({"trunk.a.weight": torch.ones(2, 2)}, "it has trunk.a.weight"),
        ({f"{who}.encoder.a": torch.ones(2) for who in ("student", "teacher")}, "several .* student, teacher"),
    ],
)
def test_others_are_told_by_what_they_hold(resenc, state, says):
    with pytest.raises(WeightsError, match=says):
        transfer(state, resenc())


def randomized(network, seed=0):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in network.parameters():
            value.copy_(torch.randn(value.shape, generator=generator) / max(1, value[0].numel()) ** 0.5)
        for name, value in network.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
    return network.eval()


def test_monais_resnet():
    """Its encoder computes up to the first layer, where strides still agree, what the weights did."""
    nets = pytest.importorskip("monai.networks.nets")
    source = randomized(umzoo.create_model("resnet3d_10", shortcut="B"))
    options = {"spatial_dims": 3, "n_input_channels": 1, "conv1_t_size": 7, "conv1_t_stride": 2, "num_classes": 3}
    target = nets.resnet10(**options).eval()  # short cuts have biases, the source's do not
    report = transfer(source, target)
    assert "zero" in report.adapted["layer2.0.downsample.0.bias"] and not target.layer2[0].downsample[0].bias.any()
    assert report.coverage == 1 and set(report.fresh) == {"fc.weight", "fc.bias"}
    assert any("layer3.0.conv1" in warning and "dilation" in warning for warning in report.warnings)
    image = Rng(0).normal((1, 1, 16, 16, 16))
    with torch.no_grad():
        found = target.layer1(target.maxpool(target.act(target.bn1(target.conv1(image)))))
        torch.testing.assert_close(found, source(image).levels[1], atol=1e-4, rtol=1e-4)
    again = umzoo.create_model("resnet3d_10", shortcut="B")
    assert transfer({"model": target.state_dict()}, again).coverage == 1


def test_monais_resnet_without_dilation():
    """Then the strides agree everywhere, and so do all levels."""
    nets = pytest.importorskip("monai.networks.nets")
    source = randomized(umzoo.create_model("resnet3d_10", shortcut="B", dilated=False))
    options = {"spatial_dims": 3, "n_input_channels": 1, "conv1_t_size": 7, "conv1_t_stride": 2, "feed_forward": False}
    target = nets.resnet10(**options, bias_downsample=False).eval()
    report = transfer(source, target)
    assert report.coverage == 1 and not any("dilation" in warning for warning in report.warnings)
    image = Rng(0).normal((1, 1, 32, 32, 64))
    with torch.no_grad():
        torch.testing.assert_close(target(image), source(image).pooled, atol=1e-4, rtol=1e-4)


def test_torchvisions_video_resnet():
    video = pytest.importorskip("torchvision.models.video")
    source = randomized(umzoo.create_model("resnet3d_18", shortcut="B"))
    target = video.r3d_18()
    report = transfer(source, target)
    assert report.coverage > 0.99 and set(report.fresh) == {"fc.weight", "fc.bias"}
    note = report.adapted["stem.0.weight"]
    assert "1 to 3 input channels" in note and "kernel 7x7x7 to 3x7x7" in note
    assert torch.equal(target.layer1[0].conv1[1].running_mean, source.encoder["layer1"][0].bn1.running_mean)
    back = umzoo.create_model("resnet3d_18", shortcut="B", in_channels=3)
    assert transfer(target, back).coverage == 1


def test_flat_networks_are_no_volumes():
    models = pytest.importorskip("torchvision.models")
    with pytest.raises(WeightsError, match=r"0\.0%"):
        transfer(umzoo.create_model("resnet3d_18", shortcut="B"), models.resnet18())


def test_a_network_of_nobody_is_refused(resenc):
    with pytest.raises(WeightsError, match=r"no tensors under 'encoder\.'"):
        transfer(resenc(), nn.Sequential(nn.Conv3d(1, 2, 3)))
