"""SegResNet of both versions is MONAI's, and released files arrive whole."""

import pytest
import torch

pytest.importorskip("monai")
pytest.importorskip("umzoo_monai")

from monai.networks.nets.segresnet import SegResNet
from monai.networks.nets.segresnet_ds import SegResEncoder, SegResNetDS
from safetensors.torch import save_file

import umzoo
from umzoo.errors import ConfigError, WeightsError
from umzoo.plugins import zoo
from umzoo.testing import check_backbone, check_importer, check_training
from umzoo.weights.folder.reader import read_info
from umzoo.weights.folder.tensors import load_state
from umzoo.weights.networks.backbone import load_backbone

FIRST = {"init_filters": 8, "blocks_down": (1, 2, 1), "blocks_up": (1, 1)}
SECOND = {"init_filters": 4, "blocks_down": (1, 2, 1)}
IMAGE = torch.rand((2, 1, 16, 12, 8), generator=torch.Generator().manual_seed(1))


def shaken(network):
    """*network* with values of its own everywhere, running statistics too."""
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in (*network.parameters(), *(it for it in network.buffers() if it.is_floating_point())):
            value.add_(0.1 * torch.rand(value.shape, generator=rng))
    return network.eval()


def imported(tmp_path, content, file="in.pt", **options):
    (save_file if file.endswith(".safetensors") else torch.save)(content, tmp_path / file)
    zoo().importers.build({"name": "monai_segresnet", **options}).run(tmp_path / file, tmp_path / "out", "other")
    return tmp_path / "out"


@pytest.mark.parametrize(("name", "options"), [("segresnet", FIRST), ("segresnet_ds", SECOND)])
def test_conforms(name, options):
    check_backbone(name, **options)


def test_importer_conforms():
    check_importer("monai_segresnet")


def test_suprems_file_brings_the_whole_network(tmp_path):
    original = shaken(SegResNet(in_channels=1, out_channels=3, dropout_prob=0.0, **FIRST))
    state = {f"module.{name}": value for name, value in original.state_dict().items()}
    out = imported(tmp_path, {"net": state, "epoch": 3}, source="suprem")
    network, info = load_backbone(out), read_info(out)
    with torch.no_grad():
        answer = original.conv_final[2](network(IMAGE, dense=True).dense)
        assert torch.allclose(answer, original(IMAGE), atol=1e-5)
    assert (info.name, info.input.spacing, info.input.rule("ct").window) == (
        "segresnet.suprem",
        (1.5, 1.5, 1.5),
        (-175, 250),
    )
    assert len(load_state(out)) + len(load_state(out, "pretext.safetensors")) == len(state)


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_the_second_version_arrives_without_its_heads(tmp_path, norm):
    original = shaken(SegResNetDS(in_channels=1, out_channels=3, dsdepth=2, norm=norm, **SECOND))
    out = imported(tmp_path, {"state_dict": {f"backbone.{k}": v for k, v in original.state_dict().items()}})
    network = load_backbone(out)
    assert network.config.norm == norm and read_info(out).parts == ("encoder", "decoder")
    with torch.no_grad():
        dense = network(IMAGE, dense=True).dense
        assert torch.allclose(original.up_layers[-1]["head"](dense), original(IMAGE), atol=1e-5)
    heads = load_state(out, "pretext.safetensors")
    assert heads and all(".head." in name for name in heads)


@pytest.mark.parametrize(
    ("prefix", "file"), [("", "model.safetensors"), ("encoder.", "in.pt"), ("backbone.encoder.", "in.ckpt")]
)
def test_ct_fms_encoder_arrives_alone(tmp_path, prefix, file):
    original = shaken(SegResEncoder(in_channels=1, **SECOND))
    out = imported(tmp_path, {prefix + k: v for k, v in original.state_dict().items()}, file, source="ct_fm")
    with torch.no_grad():
        found = load_backbone(out).encode(IMAGE)
        assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(found, original(IMAGE), strict=True))
    info = read_info(out)
    assert (info.parts, info.input.rule("ct").window, info.input.spacing) == (("encoder",), (-1024, 2048), (3, 1, 1))


def test_into_monais_own_networks():
    for name, options, kind in (("segresnet", FIRST, SegResNet), ("segresnet_ds", SECOND, SegResNetDS)):
        source = umzoo.create_model(name, **options)
        report = umzoo.transfer(source, kind(in_channels=1, out_channels=2, **options))
        assert (report.coverage, report.decoder_coverage) == (1, 1), name


def test_other_files_and_options_are_refused(tmp_path):
    with pytest.raises(WeightsError, match="no SegResNet in MONAI's names"):
        imported(tmp_path, {"conv.weight": torch.ones(1)})
    state = SegResNet(**FIRST).state_dict()
    del state["up_samples.0.0.conv.weight"]
    with pytest.raises(WeightsError, match=r"1 missing: decoder\.up_samples\.0\.0\.conv\.weight"):
        imported(tmp_path, state)
    with pytest.raises(ConfigError, match="blocks_up needs 3 numbers"):
        umzoo.create_model("segresnet", blocks_up=(1, 1))


@pytest.mark.parametrize(("name", "options"), [("segresnet", FIRST), ("segresnet_ds", SECOND)])
def test_trains_exports_and_transfers(name, options, tmp_path):
    check_training({"backbone": {"name": name, **options}, "pretext": {"tasks": [{"name": "restoration"}]}}, tmp_path)
