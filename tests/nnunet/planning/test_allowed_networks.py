"""Plans are anybody's: what they name is built only if it is a network that is listed."""

import json

import pytest
import torch

from umzoo.errors import UmzooError, WeightsError
from umzoo.nnunet.files.nnunet_checkpoint import convert, planned_in
from umzoo.nnunet.planning.allowed_networks import NETWORKS, build_network, require_listed
from umzoo.nnunet.planning.configuration import Planned
from umzoo.nnunet.training.derived_plans import Request, check_continued, derive_plans
from umzoo.nnunet.training.plans_entry import Options
from umzoo.weights.folder.reader import read_info
from umzoo.weights.networks.nnunet_architecture import plan_of_backbone

UNET = "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet"


def entry(**changes):
    """A small residual network of a plan; None takes an argument away."""
    arguments = {
        "n_stages": 2,
        "features_per_stage": [2, 4],
        "conv_op": "torch.nn.modules.conv.Conv3d",
        "kernel_sizes": [[3, 3, 3]] * 2,
        "strides": [[1, 1, 1], [2, 2, 2]],
        "n_blocks_per_stage": [1, 1],
        "n_conv_per_stage_decoder": [1],
        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    }
    imported = changes.pop("imported", ["conv_op", "norm_op", "nonlin"])
    name = changes.pop("network", UNET)
    return {"network_class_name": name, "arch_kwargs": arguments | changes, "_kw_requires_import": imported}


def test_a_listed_network_is_built():
    network = build_network(entry(), 1, 3, deep_supervision=False)
    assert network(torch.zeros(1, 1, 4, 4, 4)).shape == (1, 3, 4, 4, 4)
    with torch.device("meta"):
        assert all(it.is_meta for it in build_network(entry(), 1, 3).parameters())


HOSTILE = {
    "a function in the network's place": entry(network="os.system"),
    "a class of the same last name": entry(network="evil.ResidualEncoderUNet"),
    "a dotted path through a listed module": entry(network=f"{UNET}.initialize"),
    "a list for a name": entry(network=[UNET]),
    "no name": {"arch_kwargs": {}},
    "a function in a layer's place": entry(nonlin="os.system"),
    "another argument imported": entry(imported=["conv_op", "features_per_stage"], features_per_stage="os.system"),
    "a string for numbers": entry(strides="torch.hub.load"),
    "a path among numbers": entry(nonlin_kwargs={"inplace": "/etc/passwd"}),
    "numbers of no network": entry(features_per_stage=[2**40, 2]),
    "nested lists": entry(kernel_sizes=[[[[[[3]]]]]]),
    "classes of the plan's own": entry(num_classes=2**15),
    "imports that are not a list": entry(imported="conv_op"),
    "an entry that is not a table": ["os.system"],
}


@pytest.mark.parametrize("architecture", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_is_not_listed_is_refused(architecture):
    with pytest.raises(WeightsError):
        require_listed(architecture)


def test_huge_networks_are_refused_before_memory_is_taken():
    with pytest.raises(WeightsError, match="larger than any"):
        build_network(entry(features_per_stage=[60_000, 60_000]), 1, 3)
    with pytest.raises(WeightsError, match="larger than any"):
        build_network(entry(n_blocks_per_stage=[60_000, 1]), 1, 3)
    with pytest.raises(WeightsError, match="cannot be built"):
        build_network(entry(n_blocks_per_stage=[1, 1, 1]), 1, 3)


def test_all_listed_networks_exist():
    """But the one that old plans name, which nnU-Net finds elsewhere by its last name."""
    import pydoc

    assert [name for name in sorted(NETWORKS) if pydoc.locate(name) is None] == [
        "dynamic_network_architectures.architectures.residual_unet.ResidualEncoderUNet"
    ]


def hostile(plans, mark):
    """*plans* whose networks touch *mark* when they are built."""
    changed = json.loads(json.dumps(plans))
    for configuration in changed["configurations"].values():
        configuration["architecture"] = {
            "network_class_name": "os.system",
            "arch_kwargs": {"command": f"touch {mark}"},
            "_kw_requires_import": [],
        }
    return changed


def test_no_command_runs_what_plans_name(nnunet, weights, tmp_path):
    """The plans that ran a shell command by ``convert``; and those of a data set, by ``train`` in all its forms."""
    mark = tmp_path / "ran"
    file = nnunet / "nnUNetResEncUNetMPlans.json"
    plans = hostile(json.loads(file.read_text()), mark)
    file.write_text(json.dumps(plans))
    with pytest.raises(WeightsError, match="os.system"):
        convert(weights, tmp_path / "out.pth", planned_in(file, "3d_fullres"))
    for reference in (str(weights), None):
        request = Request("901", "3d_fullres", "nnUNetResEncUNetMPlans", reference, Options(), "default")
        with pytest.raises(WeightsError, match="os.system"):
            derive_plans(request)
        assert not request.file.exists()
        request.file.write_text(json.dumps(plans))
        with pytest.raises(WeightsError, match="os.system"):
            check_continued(request)
        request.file.unlink()
    assert not mark.exists()


MALFORMED = [
    {},
    {"plans_name": "x", "configurations": [1]},
    {"plans_name": "x", "configurations": {"3d_fullres": 3}},
    {"plans_name": "x", "configurations": {"3d_fullres": {"inherits_from": ["a"]}}},
    {"plans_name": "x", "configurations": {"3d_fullres": {"architecture": 5}}},
    {"plans_name": "x", "configurations": {"3d_fullres": {"UNet_class_name": 5, "patch_size": 3}}},
    {"plans_name": "x", "configurations": {"3d_fullres": {"architecture": entry()}}},
    {
        "plans_name": "x",
        "label_manager": "os",
        "configurations": {"3d_fullres": {"architecture": entry(), "patch_size": [8] * 3}},
    },
]


@pytest.mark.parametrize("plans", MALFORMED, ids=range(len(MALFORMED)))
def test_malformed_plans_end_in_one_line(plans):
    with pytest.raises(UmzooError):
        Planned(plans, "3d_fullres", {"labels": {"background": 0}, "channel_names": {"0": "CT"}}).build()


def test_networks_of_weights_are_listed(weights):
    require_listed(plan_of_backbone(read_info(weights).backbone))
