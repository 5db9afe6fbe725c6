"""What is refused, with the way out, and that nothing changes then."""

from pathlib import Path

import pytest
import torch
from torch import nn

import umzoo
from umzoo.errors import ConfigError, WeightsError
from umzoo.plugins import zoo
from umzoo.weights.transfer import TransferRules, plan_transfer, transfer


def refused(source, target, match, rules=None, error=WeightsError):
    before = {name: value.clone() for name, value in target.state_dict().items()}
    with pytest.raises(error, match=match):
        transfer(source, target, rules)
    assert all(torch.equal(value, before[name]) for name, value in target.state_dict().items())


@pytest.mark.parametrize("minimum", [0.5, 0])
def test_another_family(resenc, nnunet, minimum):
    """Names and shapes of the decoders agree between families; the encoder is what counts."""
    remedy = "nothing was transferred.*residual-encoder.*plain U-Net.*0.0% of the encoder.*nnUNetPlannerResEncM"
    refused(resenc(), nnunet("plainconv"), remedy, {"minimum": minimum})
    refused(nnunet("plainconv"), resenc(), "use nnU-Net's default plans", {"minimum": minimum})


def test_unrelated_networks(resenc):
    """The negative control: nothing of an unrelated network is counted."""
    unrelated = zoo().backbones.build({"name": "genesis_unet", "width": 1})
    report = plan_transfer(unrelated, resenc()).report
    assert report.coverage == report.decoder_coverage == 0 and not report.exact and not report.adapted
    refused(
        unrelated, resenc(), "U-Net of Models Genesis.*use a network of that architecture, or weights of a residual"
    )
    refused(resenc(), nn.Conv3d(1, 2, 3), "no tensors under 'encoder.'")
    refused({"weight": torch.zeros(3)}, resenc(), "is not a network that umzoo knows")


def test_too_little(resenc):
    wider = resenc(features_per_stage=[8, 12, 16])
    refused(resenc(), wider, "only 0.0% of the encoder.*50% of the encoder.*widths='slice'")
    refused(resenc(), wider, "only 0.0%", {"minimum": 0})
    deeper = resenc(stages=5)
    refused(resenc(), deeper, "the source has 3 stages.*lower 'minimum'")
    assert 0 < transfer(resenc(), deeper, {"minimum": 0.1}).coverage < 0.5


def test_altered_weights(resenc, tmp_path):
    umzoo.save_pretrained(resenc(), tmp_path / "w")
    file = tmp_path / "w" / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    refused(tmp_path / "w", resenc(), "expected sha256")


def test_values_that_are_no_numbers(resenc):
    source = resenc()
    with torch.no_grad():
        list(source.parameters())[-1].fill_(float("nan"))
    refused(source, resenc(), "NaN or infinity")
    with torch.device("meta"):
        empty = resenc()
    refused(empty, resenc(), "meta device")
    with pytest.raises(WeightsError, match="meta device"):
        transfer(resenc(), empty)


def test_names_that_disagree(nnunet):
    state = {name: value.clone() for name, value in nnunet().state_dict().items()}
    state["encoder.stem.convs.0.conv.weight"] += 1
    refused(state, nnunet(), "differ in value")


def test_rules(resenc):
    target = resenc()
    refused(resenc(), target, "unknown key 'rules.minimun' .did you mean 'minimum'", {"minimun": 1}, ConfigError)
    refused(resenc(), target, "give both or neither", {"source_channels": ["ct"]}, ConfigError)
    names = {"source_channels": ["a"], "target_channels": ["b"]}
    refused(resenc(), target, "no name in common", names, ConfigError)
    names = {"source_channels": ["a", "b"], "target_channels": ["b"]}
    refused(resenc(), target, "1 input channels, but the rules name 2", names, ConfigError)


def test_every_rule_is_explained():
    page = (Path(__file__).resolve().parents[3] / "docs" / "transfer.md").read_text(encoding="utf-8")
    for name, field in TransferRules.model_fields.items():
        assert field.description and f"`{name}`" in page, name


def test_several_backbones(resenc):
    with pytest.raises(WeightsError, match="contains 2 backbones"):
        transfer(resenc(), nn.ModuleList([resenc(), resenc()]))
