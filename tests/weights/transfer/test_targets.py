"""Networks that nnU-Net plans for real data sets, in full width, on the meta device."""

import pytest
import torch

from umzoo.errors import WeightsError
from umzoo.weights.transfer import plan_transfer

FEATURES = (32, 64, 128, 256, 320, 320, 320)
BLOCKS = (1, 3, 4, 6, 6, 6, 6)


def triples(text):
    return tuple(tuple(int(digit) for digit in entry) for entry in text.split())


TARGETS = {
    "hippocampus": (1, "333 333 333 333", "111 222 222 222", 1.0, 1.0),
    "prostate": (2, "133 133 333 333 333 333 333", "111 122 122 222 222 122 122", 0.730, 0.632),
    "ct": (1, "333 333 333 333 333 333", "111 222 222 222 222 122", 1.0, 0.965),
    "thick_ct": (1, "133 133 333 333 333 333", "111 122 122 222 222 222", 1.0, 0.996),
    "brain": (4, "333 333 333 333 333 333", "111 222 222 222 222 122", 1.0, 0.965),
}


def planned(nnunet, kind, channels, kernels, strides):
    stages = len(strides.split())
    width = {"features_per_stage": FEATURES[:stages]}
    if kind == "resenc":
        width["n_blocks_per_stage"] = BLOCKS[:stages]
    with torch.device("meta"):
        return nnunet(kind, triples(strides), triples(kernels), channels, **width)


@pytest.fixture(scope="module")
def source():
    from umzoo.plugins import zoo

    with torch.device("meta"):
        return zoo().backbones.build("resenc_unet_l")


@pytest.mark.parametrize("name", TARGETS)
def test_coverage(nnunet, source, name):
    channels, kernels, strides, encoder, decoder = TARGETS[name]
    plan = plan_transfer(source, planned(nnunet, "resenc", channels, kernels, strides))
    plan.check()
    assert plan.report.coverage >= encoder and plan.report.decoder_coverage >= decoder
    assert plan.report.coverage == pytest.approx(encoder, abs=1e-3)


@pytest.mark.parametrize("name", TARGETS)
def test_plain_networks_are_refused(nnunet, source, name):
    plan = plan_transfer(source, planned(nnunet, "plainconv", *TARGETS[name][:3]))
    assert plan.report.coverage == 0 and plan.report.decoder_coverage > 0.4
    with pytest.raises(WeightsError, match=r"0\.0% of the encoder.*nnUNetPlannerResEncM"):
        plan.check()
