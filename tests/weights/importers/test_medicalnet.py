"""The importer of MedicalNet, on files of exactly the published keys and shapes."""

import pytest
import torch

from umzoo.errors import WeightsError
from umzoo.fields import Rng
from umzoo.plugins import zoo
from umzoo.weights.folder.reader import read_info
from umzoo.weights.folder.tensors import load_state
from umzoo.weights.networks.backbone import load_backbone

BLOCKS = {
    10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3),
    101: (3, 4, 23, 3), 152: (3, 8, 36, 3), 200: (3, 24, 36, 3),
}  # fmt: skip
TOTALS = {
    (10, "B"): (86, 14_520_366), (18, "A"): (116, 33_153_075), (34, "A"): (212, 63_470_147),
    (50, "B"): (332, 46_760_535), (101, "B"): (638, 85_858_954), (152, "B"): (944, 118_063_805),
    (200, "B"): (1232, 127_288_045),
}  # fmt: skip
"""Tensors and values of the original with two classes, counted in its own code."""


def table(layers, shortcut, width=64):
    """Names and shapes of the original's state dict."""
    shapes = {"conv1.weight": (width, 1, 7, 7, 7)} | norm("bn1", width)
    inputs, wide = width, 4 if layers >= 50 else 1
    for layer, count in enumerate(BLOCKS[layers]):
        planes = width * 2**layer
        for block in range(count):
            name = f"layer{layer + 1}.{block}"
            kernels = [(planes, inputs, 1), (planes, planes, 3), (planes * 4, planes, 1)]
            if wide == 1:
                kernels = [(planes, inputs, 3), (planes, planes, 3)]
            for number, (out, into, edge) in enumerate(kernels, start=1):
                shapes |= {f"{name}.conv{number}.weight": (out, into, edge, edge, edge)}
                shapes |= norm(f"{name}.bn{number}", out)
            if shortcut == "B" and block == 0 and (layer == 1 or inputs != planes * wide):
                shapes |= {f"{name}.downsample.0.weight": (planes * wide, inputs, 1, 1, 1)}
                shapes |= norm(f"{name}.downsample.1", planes * wide)
            inputs = planes * wide
    return shapes | head(inputs)


def norm(name, channels):
    parts = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{part}": (channels,) for part in parts} | {f"{name}.num_batches_tracked": ()}


def head(inputs):
    shapes = {"conv_seg.0.weight": (inputs, 32, 2, 2, 2), "conv_seg.0.bias": (32,), **norm("conv_seg.1", 32)}
    return (
        shapes
        | {"conv_seg.3.weight": (32, 32, 3, 3, 3), **norm("conv_seg.4", 32)}
        | {"conv_seg.6.weight": (2, 32, 1, 1, 1)}
    )


def released(layers, shortcut, width=4):
    state = {}
    for number, (name, shape) in enumerate(table(layers, shortcut, width).items()):
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(number)
        else:
            state[name] = Rng(number).uniform(shape, 0.5, 1.5) * (1 if len(shape) == 1 else 0.1)
    return state


def run(tmp_path, state, **options):
    torch.save({"state_dict": {f"module.{name}": value for name, value in state.items()}}, tmp_path / "resnet.pth")
    zoo().importers.build({"name": "medicalnet", **options}).run(tmp_path / "resnet.pth", tmp_path / "out", "MIT")
    return tmp_path / "out"


@pytest.mark.parametrize(("layers", "shortcut"), TOTALS)
def test_the_backbones_have_the_original_tensors(layers, shortcut):
    shapes = table(layers, shortcut)
    assert (len(shapes), sum(torch.Size(shape).numel() for shape in shapes.values())) == TOTALS[layers, shortcut]
    with torch.device("meta"):
        network = zoo().backbones.build(f"resnet3d_{layers}")
    found = {name.partition(".")[2]: tuple(value.shape) for name, value in network.state_dict().items()}
    assert found == {name: shape for name, shape in shapes.items() if name != "conv_seg.6.weight"}


@pytest.mark.parametrize(("layers", "shortcut"), [(10, "A"), (10, "B"), (18, "A"), (50, "A"), (50, "B")])
def test_every_tensor_arrives(tmp_path, layers, shortcut):
    state = released(layers, shortcut)
    out = run(tmp_path, state)
    info = read_info(out)
    assert info.name == f"resnet3d_{layers}.medicalnet"
    assert (
        info.backbone.options.items() >= {"in_channels": 1, "width": 4, "shortcut": shortcut, "dilated": True}.items()
    )
    assert (info.parts, info.license, info.input.space) == (("encoder", "decoder"), "MIT", "zscore")
    arrived = {name.partition(".")[2]: value for name, value in load_state(out).items()}
    arrived |= {name.removeprefix("medicalnet."): it for name, it in load_state(out, "pretext.safetensors").items()}
    assert arrived.keys() == state.keys()
    assert all(torch.equal(arrived[name], value) for name, value in state.items())
    features = load_backbone(out)(Rng(0).normal((1, 1, 16, 16, 16)), dense=True)
    assert features.dense.isfinite().all()


def test_files_without_decoder_or_counters_are_taken(tmp_path):
    state = released(10, "B")
    for name in list(state):
        if name.startswith("conv_seg.") or name.endswith("num_batches_tracked"):
            del state[name]
    out = run(tmp_path, state, tag="23_datasets")
    assert read_info(out).name == "resnet3d_10.23_datasets"
    assert read_info(out).parts == ("encoder",)
    assert load_backbone(out).encoder["bn1"].num_batches_tracked == 0


def test_other_networks_are_refused(tmp_path):
    state = released(10, "B")
    for name in [name for name in state if name.startswith("layer4.")]:
        del state[name]
    with pytest.raises(WeightsError, match=r"no ResNet of MedicalNet: it has \(1, 1, 1, 0\) blocks"):
        run(tmp_path, state)
    assert not (tmp_path / "out").exists()


def test_a_missing_tensor_is_named(tmp_path):
    state = released(10, "B")
    del state["layer3.0.bn2.running_var"]
    with pytest.raises(WeightsError, match=r"1 missing: layer3\.0\.bn2\.running_var"):
        run(tmp_path, state)


def test_monais_short_cuts_with_biases(tmp_path):
    """The bias before a batch norm is part of its mean: MONAI's network and the imported one compute the same."""
    nets = pytest.importorskip("monai.networks.nets")
    original = nets.resnet10(spatial_dims=3, n_input_channels=2, num_classes=3, widen_factor=0.0625, conv1_t_stride=2)
    with torch.no_grad():
        for name, value in original.state_dict().items():
            if value.is_floating_point():
                value.copy_(Rng(len(name)).uniform(tuple(value.shape), 0.5, 1.5) * (1 if value.ndim == 1 else 0.1))
    torch.save({"state_dict": {f"model.{name}": it for name, it in original.state_dict().items()}}, tmp_path / "m.pth")
    zoo().importers.build("medicalnet").run(tmp_path / "m.pth", tmp_path / "out")
    network = load_backbone(tmp_path / "out")
    block, ours = original.eval().layer2[0], network.encoder["layer2"][0]
    image = Rng(0).normal((1, ours.conv1.in_channels, 8, 8, 8))
    with torch.no_grad():
        torch.testing.assert_close(ours(image), block(image))
    assert not any("downsample" in name for name in load_state(tmp_path / "out", "pretext.safetensors"))


def test_files_of_something_else_are_told_by_what_they_hold(tmp_path):
    torch.save({"state_dict": {"trunk.weight": torch.ones(2)}}, tmp_path / "m.pth")
    with pytest.raises(WeightsError, match=r"tensors trunk\.weight"):
        zoo().importers.build("medicalnet").run(tmp_path / "m.pth", tmp_path / "out")
    torch.save({"optimizer": {"lr": 1}, "epoch": 3}, tmp_path / "o.pth")
    with pytest.raises(WeightsError, match="contains no tensors .* it has optimizer, epoch"):
        zoo().importers.build("medicalnet").run(tmp_path / "o.pth", tmp_path / "out")
