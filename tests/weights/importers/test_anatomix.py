"""The importer of anatomix' U-Nets, on files in the released form: a list of layers, and what they compute."""

import pytest
import torch
from torch import nn

from umzoo.errors import WeightsError
from umzoo.fields import Rng
from umzoo.plugins import zoo
from umzoo.weights.folder.reader import read_info
from umzoo.weights.folder.tensors import load_state
from umzoo.weights.networks.backbone import load_backbone

WIDTHS = (4, 8, 16)
IMAGE = Rng(0).uniform((2, 1, 16, 8, 24))


def block(inputs, outputs, dev):
    norm = nn.InstanceNorm3d(outputs, eps=1e-2) if dev else nn.BatchNorm3d(outputs)
    return [conv(inputs, outputs, dev), norm, nn.ReLU()]


def conv(inputs, outputs, dev):
    return nn.Conv3d(inputs, outputs, 3, padding=1, padding_mode="reflect", bias=dev)


def original(dev=False, out=3):
    """The list of layers, and the places behind which levels are kept and joined."""
    layers, kept, joined, inputs = block(1, WIDTHS[0], dev), [], [], WIDTHS[0]
    for level, width in enumerate(WIDTHS):
        layers += [*block(inputs, width, dev), *block(width, width, dev)]
        inputs = width
        if level < len(WIDTHS) - 1:
            kept.append(len(layers) - 1)
            layers.append(nn.AvgPool3d(2) if dev else nn.MaxPool3d(2))
    for width in WIDTHS[-2::-1]:
        joined.append(len(layers))
        layers.append(nn.Upsample(scale_factor=2, mode="trilinear" if dev else "nearest"))
        layers += [*block(inputs + width, width, dev), *block(width, width, dev)]
        inputs = width
    network = nn.Sequential(*layers, conv(inputs, out, dev)).eval()
    for number, value in enumerate(network.state_dict().values()):
        if value.is_floating_point():
            value.add_(0.1 * Rng(number).uniform(value.shape))
    return network, kept, joined


def answer(network, kept, joined):
    x, skips = IMAGE, []
    with torch.no_grad():
        for number, layer in enumerate(network):
            x = layer(x)
            if number in kept:
                skips.append(x)
            if number in joined:
                x = torch.cat((skips.pop(), x), dim=1)
    return x


def imported(tmp_path, content, **options):
    torch.save(content, tmp_path / "anatomix.pth")
    zoo().importers.build({"name": "anatomix", **options}).run(tmp_path / "anatomix.pth", tmp_path / "out", "mit")
    return tmp_path / "out"


@pytest.mark.parametrize("dev", [False, True])
def test_the_dense_map_is_the_released_features(tmp_path, dev):
    network, kept, joined = original(dev)
    state = {f"{'_orig_mod.' if dev else ''}model.{name}": value for name, value in network.state_dict().items()}
    out = imported(tmp_path, state)
    ours, info = load_backbone(out), read_info(out)
    with torch.no_grad():
        torch.testing.assert_close(ours(IMAGE, dense=True).dense, answer(network, kept, joined), atol=1e-5, rtol=1e-4)
    assert info.name == ("unet3d.anatomix_dev" if dev else "unet3d.anatomix") and info.parts == ("encoder", "decoder")
    assert len(load_state(out)) == len(state) and not (out / "pretext.safetensors").exists()
    assert (ours.config.n_conv_per_stage, ours.config.features_per_stage) == ((3, 2, 2), WIDTHS)
    assert (info.input.space, info.input.axes, info.input.patch_size) == ("unit", "xyz", (128, 128, 128))


def test_other_files_are_refused(tmp_path):
    state = {f"model.{name}": value for name, value in original()[0].state_dict().items()}
    with pytest.raises(WeightsError, match=r"no U-Net of anatomix .* it has model\.0\.weight"):
        imported(tmp_path, {"model.0.weight": state["model.0.weight"]})
    del state["model.1.running_var"]
    with pytest.raises(WeightsError, match=r"1 missing: encoder\.stages\.0\.0\.norm\.running_var"):
        imported(tmp_path, state)
    assert not (tmp_path / "out").exists()
