"""The U-Net with pooling: every variant keeps its promises, and each option does what it says."""

import pytest
import torch

from umzoo.errors import ConfigError
from umzoo.fields import Rng
from umzoo.plugins import zoo
from umzoo.testing import CHECKS

SMALL = {"features_per_stage": (4, 6, 8), "n_conv_per_stage": 1, "n_conv_per_stage_decoder": (2, 1)}


def built(**options):
    torch.manual_seed(0)
    return zoo().backbones.build({"name": "unet3d", **SMALL, **options}).eval()


def test_as_anatomix_has_it_it_conforms():
    options = {"norm": "batch", "negative_slope": 0, "conv_bias": False, "padding": "reflect", "upsampling": "nearest"}
    checks = CHECKS["backbone"]("unet3d", {**SMALL, **options, "out_channels": 3, "input_space": "unit"})
    checks.run(*[it.title for it in checks.promises() if it.title != "compiled"])


@pytest.mark.parametrize("options", [{"pooling": "avg", "upsampling": "trilinear", "norm_affine": False}, {}])
def test_shapes(options):
    network = built(**options)
    features = network(Rng(0).normal((2, 1, 8, 12, 16)), dense=True)
    assert [tuple(level.shape[1:]) for level in features.levels] == [(4, 8, 12, 16), (6, 4, 6, 8), (8, 2, 3, 4)]
    assert features.dense.shape == (2, 4, 8, 12, 16)


def test_stages_have_as_many_convolutions_as_asked_for():
    network = built(n_conv_per_stage=(3, 2, 1))
    assert [len(stage) for stage in network.encoder["stages"]] == [3, 2, 1]
    assert [len(stage) for stage in network.decoder["stages"]] == [2, 1]
    with pytest.raises(ConfigError, match="n_conv_per_stage_decoder needs 2 numbers for 3 stages"):
        built(n_conv_per_stage_decoder=(1, 1, 1))


def test_reflected_images_have_no_border():
    """A constant image stays constant in every map; behind zeros it does not."""
    image = torch.ones(1, 1, 16, 16, 16)
    for padding, constant in (("reflect", True), ("zeros", False)):
        network = built(padding=padding, norm="batch", upsampling="nearest")
        with torch.no_grad():
            dense = network(image, dense=True).dense
        assert torch.allclose(dense, dense[:, :, :1, :1, :1].expand_as(dense), atol=1e-6) == constant


def test_a_lone_voxel_has_nothing_to_reflect():
    network = built(padding="reflect")
    assert network.info.divisor == (8, 8, 8)
    with pytest.raises(ConfigError, match=r"nearest usable size is \(8, 8, 16\)"):
        network(torch.zeros(1, 1, 4, 8, 16))


def test_the_last_convolution_makes_the_dense_map():
    image, network = Rng(0).normal((1, 1, 8, 8, 8)), built(out_channels=5)
    with torch.no_grad():
        dense = network(image, dense=True).dense
    assert network.info.decoder_channels == 5 and (dense < 0).any() and dense.shape == (1, 5, 8, 8, 8)
