"""Canonical state: every tensor once, through every wrapper, and loaded strictly."""

import pytest
import torch
from torch import nn

from umzoo.backbones.state import (
    canonical_name,
    canonical_state,
    collapse_aliases,
    named_tensors,
    require_contract,
    require_same,
    shapes,
    unwrap,
)
from umzoo.backbones.unet import GenesisUNet
from umzoo.errors import WeightsError


def tiny():
    return GenesisUNet(GenesisUNet.Config(width=1))


class Aliased(nn.Module):
    """One convolution under two names, a buffer that is kept and one that is not."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Conv3d(1, 2, 1)
        self.again = self.encoder
        self.register_buffer("kept", torch.zeros(1))
        self.register_buffer("cached", torch.zeros(1), persistent=False)


def test_aliases_count_once():
    assert list(named_tensors(Aliased())) == ["kept", "encoder.weight", "encoder.bias"]


def test_values_are_live():
    model = tiny()
    next(iter(named_tensors(model).values())).data.fill_(7)
    assert float(next(iter(canonical_state(model).values())).mean()) == 7


@pytest.mark.parametrize("wrap", [nn.DataParallel, torch.compile], ids=["DataParallel", "compile"])
def test_wrappers_are_looked_through(wrap):
    model = tiny()
    assert unwrap(wrap(model)) is model
    assert canonical_state(wrap(model)).keys() == canonical_state(model).keys()


def test_a_compiled_part_keeps_its_names():
    model = tiny()
    names = list(canonical_state(model))
    model.encoder["down_tr64"] = torch.compile(model.encoder["down_tr64"])
    assert list(canonical_state(model)) == names


def test_problems_are_named():
    model = tiny()
    state = canonical_state(model)
    wrong = dict(state)
    wrong["decoder.more"] = wrong.pop("encoder.down_tr64.ops.0.conv1.bias")
    wrong["encoder.down_tr64.ops.0.conv1.weight"] = torch.zeros(5)
    with pytest.raises(WeightsError) as caught:
        require_same(shapes(state), shapes(wrong))
    message = str(caught.value)
    assert "1 missing: encoder.down_tr64.ops.0.conv1.bias" in message
    assert "1 extra: decoder.more" in message
    assert "encoder.down_tr64.ops.0.conv1.weight (expected (1, 1, 3, 3, 3), got (5,))" in message


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("encoder.stem.convs.0.conv.weight", "encoder.stem.convs.0.conv.weight"),
        ("decoder.encoder.stem.convs.0.all_modules.0.weight", "encoder.stem.convs.0.conv.weight"),
        ("module._orig_mod.encoder.stages.1.blocks.0.skip.1.all_modules.1.bias",
         "encoder.stages.1.blocks.0.skip.1.norm.bias"),
        ("decoder.stages.0.convs.0.all_modules.2.weight", "decoder.stages.0.convs.0.norm.weight"),
        ("encoder._orig_mod.down.weight", "encoder.down.weight"),
    ],
)  # fmt: skip
def test_canonical_names(alias, name):
    assert canonical_name(alias) == name


def test_aliases_must_agree():
    value = torch.ones(2)
    pair = {"encoder.a.conv.weight": value, "decoder.encoder.a.all_modules.0.weight": value.clone(), "epoch": 3}
    assert collapse_aliases(pair)["encoder.a.conv.weight"] is value
    with pytest.raises(WeightsError, match="differ in value"):
        collapse_aliases(pair | {"decoder.encoder.a.conv.weight": value + 1})


def test_the_contract_names_what_lies_outside():
    require_contract(named_tensors(tiny()), "tiny")
    with pytest.raises(WeightsError, match=r"odd has stem.weight, stem.bias: put its layers into self.encoder"):
        require_contract(["encoder.a", "stem.weight", "stem.bias"], "odd")
    with pytest.raises(WeightsError, match="odd has none"):
        require_contract([], "odd")
