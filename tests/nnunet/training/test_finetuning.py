"""Rates over epochs, factors over layers."""

import pytest
import torch
from dynamic_network_architectures.architectures.unet import ResidualEncoderUNet
from torch import nn

from umzoo.errors import ConfigError, UnknownNameError
from umzoo.nnunet.training.finetuning import RECIPES, FineTuning, Schedule, encoder_parameters, parameter_groups, recipe
from umzoo.nnunet.training.plans_entry import parse_options


def rates(options):
    return [options.rate(epoch) for epoch in range(options.epochs)]


def test_nnunet_recipe_is_nnunets_own_schedule():
    options = RECIPES["nnunet"]
    assert (options.epochs, options.iterations, options.validation_iterations) == (1000, 250, 50)
    assert rates(options) == pytest.approx([1e-2 * (1 - epoch / 1000) ** 0.9 for epoch in range(1000)])


def test_rate_rises_linearly_then_falls():
    curve = rates(FineTuning(epochs=20, lr=1.0, warmup=5))
    assert curve[:6] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0])
    assert all(a > b for a, b in zip(curve[5:], curve[6:], strict=False))
    assert 0 < curve[-1] < 0.15


def test_sawtooth_rises_twice_and_frees_the_encoder_in_between():
    options = FineTuning(epochs=30, lr=1.0, warmup=4, frozen=10, restart=True)
    curve = rates(options)
    assert curve[3] == curve[4] == curve[13] == 1.0
    assert curve[10] == 0.25 > curve[9]
    assert options.phases == ((0, 10), (10, 30))


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_give_positive_rates(name):
    assert min(rates(recipe(name))) > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frozen": 11}, r"frozen must be at most epochs \(10\), got 11"),
        ({"restart": True}, "restart needs frozen between 1 and epochs - 1, got 0 of 10"),
        ({"warmup": 11}, "a warm-up of 11 epochs does not fit a phase of 10"),
        ({"restart": True, "frozen": 3, "warmup": 4}, "does not fit a phase of 3"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        FineTuning.parse({"epochs": 10, **options})


def test_options_start_from_a_recipe_and_unknown_ones_are_refused():
    options = parse_options("sawtooth", ["finetuning.epochs=40", "rules.minimum=0.2"])
    assert options.finetuning == RECIPES["sawtooth"].model_copy(update={"epochs": 40})
    assert options.rules.minimum == 0.2
    with pytest.raises(ConfigError, match="finetuning.epoch"):
        parse_options("sawtooth", ["finetuning.epoch=40"])
    with pytest.raises(ConfigError, match="weights"):
        parse_options("sawtooth", ["weights.sha256=0"])
    with pytest.raises(UnknownNameError, match="did you mean 'sawtooth'"):
        parse_options("sawtoth")


@pytest.fixture
def network():
    return ResidualEncoderUNet(
        1, 3, (4, 6, 8), nn.Conv3d, 3, (1, 2, 2), (1, 1, 1), 2, (1, 1), norm_op=nn.InstanceNorm3d, nonlin=nn.ReLU
    )


def test_groups_hold_every_parameter_once_and_slow_down_towards_the_image(network):
    groups = parameter_groups(network, 0.5)
    held = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(held) == sorted(id(parameter) for parameter in network.parameters())
    assert [group["factor"] for group in groups] == [1.0, 0.0625, 0.125, 0.25, 0.5]
    assert any(it is network.encoder.stem.convs[0].conv.weight for it in groups[1]["params"])
    assert any(it is network.decoder.seg_layers[0].weight for it in groups[0]["params"])


def test_schedule_sets_the_rate_of_each_group(network):
    optimizer = torch.optim.SGD(parameter_groups(network, 0.5), 1.0)
    Schedule(optimizer, FineTuning(epochs=10, lr=1.0, layer_decay=0.5)).step(0)
    assert [group["lr"] for group in optimizer.param_groups] == [1.0, 0.0625, 0.125, 0.25, 0.5]


def test_one_rate_for_all_keeps_nnunets_single_group(network):
    (group,) = parameter_groups(network, 1.0)
    assert [id(it) for it in group["params"]] == [id(it) for it in network.parameters()]


def test_only_named_parameters_of_the_encoder_are_frozen(network):
    names = frozenset({"encoder.stem.convs.0.conv.weight", "decoder.stages.0.convs.0.conv.weight"})
    (kept,) = encoder_parameters(network, names)
    assert kept is network.encoder.stem.convs[0].conv.weight
