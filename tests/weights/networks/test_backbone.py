"""Loading: no value is made that is replaced, and what the file does not hold is what a built network has."""

import functools
import logging
import resource
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

import umzoo
from umzoo.backbones.base import Backbone, BackboneInfo, Level
from umzoo.backbones.state import canonical_state
from umzoo.config import Config
from umzoo.errors import WeightsError
from umzoo.fields import Rng
from umzoo.plugins import zoo
from umzoo.weights.folder.reader import read_info, read_shapes
from umzoo.weights.networks.backbone import load_backbone
from umzoo.weights.networks.construction import build_on_meta, build_to_fill, count_parameters, default_network

from ..conftest import edit_config, write_folder

NETWORKS = {
    "genesis_unet": {"width": 1},
    "plainconv_unet": {"features_per_stage": [4, 8], "norm": "batch"},
    "resenc_unet_s": {"features_per_stage": [4, 6, 8, 8]},
    "primus_s": {"embed_dim": 36, "heads": 3, "depth": 2, "input_shape": [16, 24, 16]},
}


class Odd(Backbone):
    """What plug-ins may do: tied parameters, a buffer that is not saved, a bare tensor, a frozen parameter."""

    name = "odd"
    info = BackboneInfo(1, (Level(2, (1, 1, 1)),), None)

    class Config(Config):
        needs_values: bool = False

    def __init__(self, config=None):
        super().__init__(config)
        first, second = nn.Conv3d(1, 2, 1), nn.Conv3d(2, 2, 1)
        tied = nn.Conv3d(2, 2, 1)
        tied.weight = second.weight
        self.encoder = nn.ModuleList((first, second, tied, nn.BatchNorm3d(2)))
        self.encoder.register_buffer("table", torch.arange(3.0) + 1, persistent=False)
        self.scale = torch.full((1,), 2.0)
        first.bias.requires_grad_(False)
        if self.config.needs_values:
            self.scale = self.scale * float(first.weight.detach().sum().sign().abs())

    def encode(self, image):
        return [self.scale * self.encoder.table.sum() * image.repeat(1, 2, 1, 1, 1)]

    def decode(self, levels):
        raise NotImplementedError


@pytest.fixture
def odd(monkeypatch):
    monkeypatch.setitem(zoo().backbones._entries, "odd", Odd)
    monkeypatch.setitem(zoo().backbones._owners, "odd", "tests")


@pytest.mark.parametrize("name", NETWORKS)
def test_all_tensors_and_buffers_come_back(tmp_path, name):
    built = umzoo.create_model(name, **NETWORKS[name]).eval()
    loaded = load_backbone(write_folder(tmp_path / "w", built))
    for kind in ("named_parameters", "named_buffers"):
        theirs, ours = dict(getattr(built, kind)()), dict(getattr(loaded, kind)())
        assert theirs.keys() == ours.keys()
        for key, value in theirs.items():
            assert torch.equal(value, ours[key]) and value.dtype == ours[key].dtype, key
            assert (value.requires_grad, type(value)) == (ours[key].requires_grad, type(ours[key])), key
            assert ours[key].is_leaf and ours[key].untyped_storage().nbytes() == value.nbytes, key
    assert not loaded.training
    image = Rng(0).uniform((1, loaded.info.in_channels, 16, 24, 16))
    torch.testing.assert_close(loaded(image).pooled, built(image).pooled)


@pytest.mark.parametrize("name", NETWORKS)
def test_what_the_file_holds_gets_no_values_before(tmp_path, name):
    folder = write_folder(tmp_path / "w", umzoo.create_model(name, **NETWORKS[name]))
    info, held = read_info(folder), read_shapes(folder)
    network = build_to_fill(info, held)
    assert all(parameter.is_meta for parameter in network.parameters())
    assert not any(buffer.is_meta for buffer in network.buffers())
    assert all(tensor.is_meta for tensor in build_on_meta(info, held).state_dict().values())


@pytest.mark.parametrize("name", NETWORKS)
def test_loaded_networks_train(tmp_path, name):
    loaded = load_backbone(write_folder(tmp_path / "w", umzoo.create_model(name, **NETWORKS[name]))).train()
    before = {key: value.clone() for key, value in loaded.named_parameters()}
    optimizer = torch.optim.SGD(loaded.parameters(), 0.1)
    loaded(Rng(0).uniform((2, 1, 16, 24, 16)), dense=True).dense.square().mean().backward()
    assert all(parameter.grad is not None for parameter in loaded.parameters())
    optimizer.step()
    assert any(not torch.equal(value, before[key]) for key, value in loaded.named_parameters())


@pytest.mark.parametrize("name", NETWORKS)
def test_a_part_that_is_missing_is_what_a_built_network_has(tmp_path, caplog, name):
    built = umzoo.create_model(name, **NETWORKS[name])
    folder = write_folder(tmp_path / "w", built, parts=("encoder",))
    torch.manual_seed(3)
    fresh = canonical_state(umzoo.create_model(name, **NETWORKS[name]))
    torch.manual_seed(3)
    loaded = canonical_state(load_backbone(folder))
    for key, value in loaded.items():
        assert torch.equal(value, (canonical_state(built) if key.startswith("encoder") else fresh)[key]), key
    assert "contains only: encoder" in caplog.text


def test_loading_leaves_the_random_state_alone(folder):
    before = torch.get_rng_state()
    load_backbone(folder)
    assert torch.equal(before, torch.get_rng_state())


def test_threads_load_side_by_side(folder):
    expected = canonical_state(load_backbone(folder))
    with ThreadPoolExecutor(4) as pool:
        loads = [pool.submit(load_backbone, folder) for _ in range(6)]
        plain = [umzoo.create_model("genesis_unet", width=2) for _ in range(6)]
        states = [canonical_state(load.result()) for load in loads]
    assert all(torch.equal(value, state[name]) for state in states for name, value in expected.items())
    assert not any(tensor.is_meta for network in plain for tensor in network.state_dict().values())


def test_building_without_values_changes_no_other_network(folder):
    load_backbone(folder)
    assert not nn.Linear(2, 2).weight.is_meta
    with pytest.raises(WeightsError):
        edit_config(folder, lambda config: config["backbone"].update(width=3))
        load_backbone(folder)
    assert not nn.Linear(2, 2).weight.is_meta


@pytest.mark.parametrize("needs_values", [False, True])
def test_plug_ins_with_habits_of_their_own(tmp_path, odd, needs_values):
    built = Odd(Odd.Config(needs_values=needs_values)).eval()
    with torch.no_grad():
        built.encoder[1].weight.fill_(7)
    loaded = load_backbone(write_folder(tmp_path / "w", built))
    assert loaded.encoder[1].weight is loaded.encoder[2].weight
    assert not loaded.encoder[0].bias.requires_grad and loaded.encoder[0].weight.requires_grad
    assert all(torch.equal(value, canonical_state(built)[key]) for key, value in canonical_state(loaded).items())
    image = torch.ones(1, 1, 2, 2, 2)
    assert torch.equal(loaded(image).pooled, built(image).pooled)


def test_what_cannot_be_checked_before_is_checked_after(tmp_path, odd):
    built = Odd(Odd.Config(needs_values=True))
    built.encoder[0] = nn.Conv3d(1, 2, 3)
    with pytest.raises(WeightsError, match=r"of another shape: encoder.0.weight"):
        load_backbone(write_folder(tmp_path / "w", built))


def test_a_constructor_that_fails_is_one_clear_error(folder, odd, monkeypatch):
    def explode(self, config=None):
        raise AssertionError("no such thing")

    monkeypatch.setattr(Odd, "__init__", explode)
    edit_config(folder, lambda config: config.update(backbone={"name": "odd"}))
    with pytest.raises(WeightsError, match="cannot be built: AssertionError: no such thing"):
        load_backbone(folder)


def test_default_networks_are_looked_at_without_values():
    network = default_network(zoo().backbones["resenc_unet_l"])
    assert all(parameter.is_meta for parameter in network.parameters())
    assert count_parameters("resenc_unet_l") == sum(parameter.numel() for parameter in network.parameters()) > 1e8


def test_a_default_network_that_needs_values_or_fails(odd, monkeypatch):
    class Config(Odd.Config):
        needs_values: bool = True

    parameters = sum(parameter.numel() for parameter in Odd().parameters())
    state = torch.get_rng_state()
    assert count_parameters("odd") == parameters
    monkeypatch.setattr(Odd, "Config", Config)
    assert not default_network(Odd).encoder[0].weight.is_meta and count_parameters("odd") == parameters
    assert torch.equal(torch.get_rng_state(), state)
    monkeypatch.setattr(Odd, "__init__", lambda self, config: 1 / 0)
    assert default_network(Odd) is None and count_parameters("odd") is None


def test_other_channels_go_through_the_transfer_engine(folder, caplog):
    caplog.set_level(logging.INFO)
    one, three = load_backbone(folder), load_backbone(folder, in_channels=3)
    image = Rng(0).uniform((1, 1, 16, 16, 16))
    torch.testing.assert_close(three(image.repeat(1, 3, 1, 1, 1)).pooled, one(image).pooled)
    assert "100.0% of the encoder's kernels" in caplog.text and "1 adapted" in caplog.text
    assert torch.equal(load_backbone(folder, in_channels=1)(image).pooled, one(image).pooled)


def test_other_channels_of_encoder_weights(tmp_path):
    built = umzoo.create_model("genesis_unet", width=1)
    loaded = load_backbone(write_folder(tmp_path / "w", built, parts=("encoder",)), in_channels=2)
    assert not any(tensor.is_meta for tensor in loaded.state_dict().values())


def test_each_tensor_goes_to_the_device_at_once(folder, monkeypatch):
    moves = []
    move = nn.Module.to
    monkeypatch.setattr(
        nn.Module, "to", lambda self, *to: moves.append({p.device.type for p in self.parameters()}) or move(self, *to)
    )
    loaded = load_backbone(folder, device="meta")
    assert all(tensor.is_meta for tensor in loaded.state_dict().values())
    assert moves == [{"meta"}], "the network was on its device before it was moved as a whole"


@functools.cache
def usual_cost(name):
    """Seconds of this process for a network of the usual size; another one before it imports what it needs."""
    default_network(zoo().backbones[name])
    began = time.process_time()
    default_network(zoo().backbones[name])
    return time.process_time() - began


@pytest.mark.parametrize(
    "options",
    [
        {"name": "genesis_unet", "width": 10**6},
        {"name": "genesis_unet", "width": 10**12},
        {"name": "genesis_unet", "in_channels": 10**30},
        {"name": "resenc_unet_l", "n_stages": 10**9},
        {"name": "resenc_unet_l", "in_channels": 10**6},
        {"name": "resenc_unet_s", "n_blocks_per_stage": 10**9},
        {"name": "resenc_unet_s", "n_blocks_per_stage": 10**5},
        {"name": "resenc_unet_s", "kernel_sizes": 10**5 - 1},
        {"name": "plainconv_unet", "features_per_stage": [10**9, 10**9]},
        {"name": "plainconv_unet", "n_conv_per_stage_decoder": 10**5},
        {"name": "primus_s", "depth": 10**5},
        {"name": "primus_s", "embed_dim": 36 * 10**6},
        {"name": "primus_s", "input_shape": [8 * 10**6, 8 * 10**6, 8]},
        {"name": "primus_s", "token_size": [2**40, 2**40, 2**40], "input_shape": [2**40, 2**40, 2**40]},
    ],
    ids=lambda options: "-".join(str(value) for item in options.items() for value in item if value != "name"),
)
@pytest.mark.parametrize("parts", [("encoder", "decoder"), ("encoder",)], ids=("whole", "encoder"))
def test_absurd_sizes_cost_nothing(folder, options, parts):
    """At most a second, or what twenty networks of the usual size cost where that is more."""
    usual = usual_cost(options["name"])
    edit_config(folder, lambda config: config.update(backbone=options, parts=parts))
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(WeightsError) as caught:
        load_backbone(folder)
    assert time.process_time() - began < max(1, 20 * usual)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000, "kilobytes"
    assert "\n" not in str(caught.value)
