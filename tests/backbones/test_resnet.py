"""3D ResNets without dilation, and with another first convolution, as Merlin's image encoder has both."""

import pytest
import torch

from umzoo.errors import ConfigError
from umzoo.fields import Rng
from umzoo.plugins import zoo
from umzoo.testing import CHECKS

MERLIN = {"dilated": False, "stem_kernel": (3, 7, 7), "stem_stride": (1, 2, 2), "input_space": "unit"}


def test_as_merlin_has_it_it_conforms():
    checks = CHECKS["backbone"]("resnet3d_10", {"width": 2, **MERLIN})
    checks.run(*[it.title for it in checks.promises() if it.title != "compiled"])


def test_strides_double_from_level_to_level():
    network = zoo().backbones.build({"name": "resnet3d_10", "width": 2, **MERLIN}).eval()
    assert [level.stride for level in network.info.levels] == [(n, 2 * n, 2 * n) for n in (1, 2, 4, 8, 16)]
    assert (network.info.divisor, network.info.input_space) == ((16, 32, 32), "unit")
    features = network(Rng(0).uniform((1, 1, 32, 32, 64)), dense=True)
    assert features.levels[-1].shape[2:] == (2, 1, 2) and features.dense.shape[2:] == (32, 32, 64)


def test_dilation_keeps_the_resolution_and_the_tensors():
    with torch.device("meta"):
        dilated, strided = (
            zoo().backbones.build({"name": "resnet3d_50", "width": 4, "dilated": value}) for value in (True, False)
        )
    assert [level.stride[0] for level in dilated.info.levels] == [2, 4, 8, 8, 8]
    shapes = [{name: value.shape for name, value in it.state_dict().items()} for it in (dilated, strided)]
    assert shapes[0] == shapes[1]


def test_even_kernels_are_refused():
    with pytest.raises(ConfigError, match="stem_kernel must be odd"):
        zoo().backbones.build({"name": "resnet3d_10", "stem_kernel": (2, 7, 7)})
