"""Plans and backbones, both ways."""

import pytest
import torch

from umzoo.backbones.state import named_tensors, shapes
from umzoo.errors import WeightsError
from umzoo.plugins import zoo
from umzoo.spec import ComponentSpec
from umzoo.weights.networks.nnunet_architecture import (
    architecture_of,
    backbone_of_plan,
    configuration_of,
    first_stages,
    plan_of_backbone,
)

FLAT = {
    "n_stages": 3,
    "features_per_stage": [4, 6, 8],
    "kernel_sizes": [[1, 3, 3], [3, 3, 3], [3, 3, 3]],
    "strides": [[1, 1, 1], [1, 2, 2], [2, 2, 2]],
    "n_conv_per_stage_decoder": [1, 2],
}


def entry(name="resenc_unet_l", **options):
    return plan_of_backbone(ComponentSpec.parse({"name": name, **options}))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("resenc_unet_s", {}),
        ("resenc_unet_xl", {"norm": "batch"}),
        ("resenc_unet_m", {**FLAT, "n_blocks_per_stage": [1, 2, 3], "in_channels": 2}),
        ("plainconv_unet", {**FLAT, "n_conv_per_stage": [2, 3, 2]}),
    ],
)
def test_there_and_back(name, options):
    spec = ComponentSpec.parse({"name": name, **options})
    back = backbone_of_plan(plan_of_backbone(spec), options.get("in_channels", 1))
    assert plan_of_backbone(back) == plan_of_backbone(spec)
    with torch.device("meta"):
        ours, theirs = zoo().backbones.build(spec), zoo().backbones.build(back)
    assert shapes(named_tensors(ours)) == shapes(named_tensors(theirs))


@pytest.mark.parametrize("stages", [2, 4, 5, 6, 7, 9])
def test_the_name_follows_the_stages(stages):
    name = backbone_of_plan(entry(n_stages=stages)).name
    assert name == f"resenc_unet_{ {2: 's', 4: 's', 5: 'm', 6: 'l', 7: 'xl', 9: 'xl'}[stages] }"


@pytest.mark.parametrize("name", ["resenc_unet_l", "plainconv_unet"])
def test_it_is_the_network_that_nnunet_builds(name):
    plans = pytest.importorskip("nnunetv2.utilities.get_network_from_plans")
    architecture = entry(name, **FLAT)
    arguments = (architecture["network_class_name"], architecture["arch_kwargs"], architecture["_kw_requires_import"])
    with torch.device("meta"):
        theirs = shapes(named_tensors(plans.get_network_from_plans(*arguments, 2, 3)))
        ours = shapes(named_tensors(zoo().backbones.build(backbone_of_plan(architecture, 2))))
    assert ours == {name: shape for name, shape in theirs.items() if ".seg_layers." not in name}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"conv_op": "torch.nn.modules.conv.Conv2d"}, "dimensions"),
        ({"norm_op": "torch.nn.modules.normalization.GroupNorm"}, "norm_op"),
        ({"norm_op": None}, "norm_op None"),
        ({"norm_op_kwargs": {"eps": 1e-3, "affine": True}}, "norm_op_kwargs"),
        ({"dropout_op": "torch.nn.Dropout3d"}, "dropout_op"),
        ({"nonlin": "torch.nn.ReLU"}, "nonlin"),
        ({"nonlin_kwargs": {"negative_slope": 0.2}}, "negative slope 0.2"),
        ({"conv_bias": False}, "without bias"),
        ({"nonlin_first": True}, "nonlin_first"),
        ({"stem_channels": 16}, "stem_channels 16"),
        ({"strides": [[2, 2, 2]] * 6}, "first of strides"),
        ({"kernel_sizes": [[3, 3, 3]] * 5}, "6 entries"),
    ],
)
def test_other_networks_are_refused(change, complaint):
    architecture = entry()
    architecture["arch_kwargs"] |= change
    with pytest.raises(WeightsError, match=complaint):
        backbone_of_plan(architecture)


def test_other_classes_are_refused():
    with pytest.raises(WeightsError, match="is a PrimusM"):
        backbone_of_plan(entry() | {"network_class_name": "x.PrimusM"})
    with pytest.raises(WeightsError, match="incomplete or corrupted: .*'arch_kwargs'"):
        backbone_of_plan({"network_class_name": "x.ResidualEncoderUNet"})
    with pytest.raises(WeightsError, match="weights are of primus_s"):
        entry("primus_s")


def test_plans_of_before():
    """The keys that nnU-Net 2.0 to 2.4 wrote."""
    old = {
        "UNet_class_name": "PlainConvUNet",
        "UNet_base_num_features": 32,
        "unet_max_num_features": 320,
        "n_conv_per_stage_encoder": [2] * 5,
        "n_conv_per_stage_decoder": [2] * 4,
        "num_pool_per_axis": [4, 4, 4],
        "pool_op_kernel_sizes": [[1, 1, 1]] + [[2, 2, 2]] * 4,
        "conv_kernel_sizes": [[3, 3, 3]] * 5,
        "patch_size": [64, 64, 64],
    }
    spec = backbone_of_plan(architecture_of(old))
    assert spec.name == "plainconv_unet" and spec.options["features_per_stage"] == [32, 64, 128, 256, 320]
    assert plan_of_backbone(spec) == entry("plainconv_unet", n_stages=5)
    with pytest.raises(WeightsError, match="dimensions"):
        backbone_of_plan(architecture_of(old | {"patch_size": [64, 64]}))
    with pytest.raises(WeightsError, match="describe no network"):
        architecture_of({"patch_size": [64, 64, 64]})


def test_configurations_inherit():
    plans = {
        "configurations": {"a": {"x": 1, "y": 1}, "b": {"inherits_from": "a", "y": 2}, "c": {"inherits_from": "c"}}
    }
    assert configuration_of(plans, "b") == {"x": 1, "y": 2, "inherits_from": "a"}
    for name in ("c", "d"):
        with pytest.raises(WeightsError, match="no usable configuration"):
            configuration_of(plans, name)


def test_first_stages_keep_the_finest_of_the_decoder():
    options = zoo().backbones.options({"name": "resenc_unet_l", "n_conv_per_stage_decoder": [5, 4, 3, 2, 1]})[1]
    cut = first_stages(options, 4)
    assert cut["n_conv_per_stage_decoder"] == [3, 2, 1] and cut["n_blocks_per_stage"] == [1, 3, 4, 6]
    assert cut["features_per_stage"] == [32, 64, 128, 256] and len(cut["strides"]) == len(cut["kernel_sizes"]) == 4
    assert first_stages(options, 6)["n_conv_per_stage_decoder"] == [5, 4, 3, 2, 1]
