"""The importer of Merlin's image encoder, on files in the released form."""

import pytest
import torch
from torch.nn import functional

from umzoo.errors import WeightsError
from umzoo.fields import Rng
from umzoo.plugins import zoo
from umzoo.weights.folder.reader import read_info
from umzoo.weights.folder.tensors import load_state
from umzoo.weights.networks.backbone import load_backbone

HEADS = {"classifier.weight": (6, 16, 1, 1, 1), "classifier.bias": (6,)}
PREFIX = "encode_image.i3_resnet."


def released():
    """Image encoder (a ResNet-50 of width 2) with its heads, text encoder and temperature."""
    with torch.device("meta"):
        network = zoo().backbones.build({"name": "resnet3d_50", "width": 2, "shortcut": "B"})
    shapes = {name: tuple(value.shape) for name, value in network.encoder.state_dict().items()}
    state = {}
    for number, (name, shape) in enumerate({**shapes, **HEADS, "conv1.weight": (2, 3, 3, 7, 7)}.items()):
        counts = name.endswith("num_batches_tracked")
        state[PREFIX + name] = torch.tensor(number) if counts else Rng(number).uniform(shape, 0.1, 0.5)
    return state | {"encode_text.linear_layer.weight": torch.ones(2, 3), "logit_scale": torch.tensor(1.0)}


def imported(tmp_path, state, **options):
    torch.save(state, tmp_path / "clip.pt")
    zoo().importers.build({"name": "merlin", **options}).run(tmp_path / "clip.pt", tmp_path / "out", "mit")
    return tmp_path / "out"


@pytest.mark.parametrize("prefix", [PREFIX, ""])
def test_every_tensor_arrives(tmp_path, prefix):
    state = {name.replace(PREFIX, prefix): value for name, value in released().items()}
    out = imported(tmp_path, state)
    found, rest = load_state(out), load_state(out, "pretext.safetensors")
    assert len(found) + len(rest) == len(state)
    assert torch.equal(found["encoder.layer3.0.downsample.1.bias"], state[f"{prefix}layer3.0.downsample.1.bias"])
    assert rest.keys() == {f"merlin.{it}" for it in (*HEADS, "encode_text.linear_layer.weight", "logit_scale")}
    info = read_info(out)
    assert (info.name, info.parts, info.license) == ("resnet3d_50.merlin", ("encoder",), "mit")
    assert (info.input.axes, info.input.orientation, info.input.spacing) == ("zxy", "RAS", (3.0, 1.5, 1.5))
    assert info.input.rule("ct").window == (-1000, 1000) and info.input.space == "unit"


def test_one_channel_does_what_three_equal_ones_did(tmp_path):
    state, image = released(), Rng(0).uniform((1, 1, 16, 32, 32))
    network = load_backbone(imported(tmp_path, state), dense=False)
    three = image.expand(-1, 3, -1, -1, -1)
    expected = functional.conv3d(three, state[f"{PREFIX}conv1.weight"], stride=(1, 2, 2), padding=(1, 3, 3))
    with torch.no_grad():
        torch.testing.assert_close(network.encoder["conv1"](image), expected)


def test_other_networks_are_refused(tmp_path):
    with pytest.raises(WeightsError, match="no ResNet of Merlin"):
        imported(tmp_path, {"encode_text.linear_layer.weight": torch.ones(2, 3)})
    state = released()
    del state[f"{PREFIX}layer2.1.bn1.bias"]
    with pytest.raises(WeightsError, match=r"1 missing: layer2\.1\.bn1\.bias"):
        imported(tmp_path, state)
