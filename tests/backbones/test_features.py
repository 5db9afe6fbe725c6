import torch

from umzoo.backbones.base import Features


def test_octants_tell_directions_that_the_mean_does_not():
    level = torch.arange(4.0).view(1, 1, 4, 1, 1).expand(1, 2, 4, 4, 4)
    plain, turned = (Features([x], None, x.mean((2, 3, 4))) for x in (level, level.flip(2)))
    assert torch.equal(plain.pooled, turned.pooled)
    assert plain.octants.shape == (1, 16)
    assert plain.octants[0, :8].tolist() == [0.5] * 4 + [2.5] * 4
    assert turned.octants[0, :8].tolist() == [2.5] * 4 + [0.5] * 4


def test_octants_of_a_single_voxel_are_that_voxel():
    level = torch.tensor([3.0, 5.0]).view(1, 2, 1, 1, 1)
    assert Features([level], None, level.flatten(1)).octants[0].tolist() == [3.0] * 8 + [5.0] * 8
