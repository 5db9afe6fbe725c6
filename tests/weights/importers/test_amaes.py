"""The importer of AMAES' and FOMO25's U-Nets, on files in the form that Lightning gives them."""

import pytest
import torch

from umzoo.errors import WeightsError
from umzoo.fields import Rng
from umzoo.plugins import zoo
from umzoo.weights.folder.reader import read_info
from umzoo.weights.folder.tensors import load_state
from umzoo.weights.networks.backbone import load_backbone

WIDTH, LEVELS = 2, 5


def layers(prefix, inputs, outputs, count):
    shapes = {}
    for number in range(1, count + 1):
        name = f"{prefix}.conv{number}"
        shapes[f"{name}.conv.weight"] = (outputs, outputs if number > 1 else inputs, 3, 3, 3)
        shapes |= dict.fromkeys((f"{name}.conv.bias", f"{name}.norm.weight", f"{name}.norm.bias"), (outputs,))
    return shapes


def released(head, skips, count=1):
    """A state dict as ``unet_b_lw_dec`` has it, but for the width."""
    shapes, inputs = {}, 1
    for level in range(LEVELS):
        name = f"encoder.encoder_conv{level}" if level else "encoder.in_conv"
        shapes |= layers(name, inputs, WIDTH << level, 2)
        inputs = WIDTH << level
    for number in range(1, LEVELS):
        below, width = WIDTH << LEVELS - number, WIDTH << LEVELS - 1 - number
        shapes |= {
            f"{head}.upsample{number}.weight": (below, width, 2, 2, 2),
            f"{head}.upsample{number}.bias": (width,),
        }
        shapes |= layers(f"{head}.decoder_conv{number}", (1 + skips) * width, width, count)
    shapes |= {f"{head}.out_conv.weight": (1, WIDTH, 1, 1, 1), f"{head}.out_conv.bias": (1,)}
    return {f"model.{name}": Rng(number).normal(shape) for number, (name, shape) in enumerate(shapes.items())}


def imported(tmp_path, content, **options):
    torch.save(content, tmp_path / "in.ckpt")
    zoo().importers.build({"name": "amaes", **options}).run(tmp_path / "in.ckpt", tmp_path / "out")
    return tmp_path / "out"


@pytest.mark.parametrize("count", [1, 2])
def test_the_challenges_baseline_brings_its_decoder(tmp_path, count):
    state = released("decoder", skips=True, count=count)
    wrapped = {name.replace("model.", "model._orig_mod."): value for name, value in state.items()}
    out = imported(tmp_path, {"state_dict": wrapped, "epoch": 99})
    found, info, network = load_state(out), read_info(out), load_backbone(out)
    assert torch.equal(found["encoder.stages.3.1.norm.bias"], state["model.encoder.encoder_conv3.conv2.norm.bias"])
    assert torch.equal(found["encoder.stages.0.0.conv.weight"], state["model.encoder.in_conv.conv1.conv.weight"])
    assert torch.equal(found["decoder.upsamplers.1.weight"], state["model.decoder.upsample2.weight"])
    assert torch.equal(found["decoder.stages.3.0.conv.bias"], state["model.decoder.decoder_conv4.conv1.conv.bias"])
    assert load_state(out, "pretext.safetensors").keys() == {
        f"amaes.decoder.out_conv.{it}" for it in ("weight", "bias")
    }
    assert len(found) + 2 == len(state)
    assert (info.name, info.input.space, info.input.spacing) == ("unet3d.fomo25", "zscore", (1.0, 1.0, 1.0))
    assert network.config.n_conv_per_stage_decoder == count and network.info.input_space == "zscore"


def test_amaes_brings_the_encoder_alone(tmp_path):
    state = released("rec_head", skips=False)
    out = imported(tmp_path, state, tag="brains45k")
    info, rest = read_info(out), load_state(out, "pretext.safetensors")
    assert (info.name, info.parts, info.input.space) == ("unet3d.brains45k", ("encoder",), "unit")
    assert len(load_state(out)) + len(rest) == len(state)
    assert all(name.startswith("amaes.rec_head.") for name in rest)


def test_other_networks_are_refused(tmp_path):
    with pytest.raises(WeightsError, match=r"no U-Net of AMAES or FOMO25 .* it has encoder\.stem\.weight"):
        imported(tmp_path, {"model.encoder.stem.weight": torch.ones(2, 1, 1, 1, 1)})
    state = released("decoder", skips=True)
    del state["model.encoder.in_conv.conv2.conv.bias"]
    with pytest.raises(WeightsError, match=r"1 missing: encoder\.stages\.0\.1\.conv\.bias"):
        imported(tmp_path, state)
