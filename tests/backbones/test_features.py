import pytest
import torch
from torch.nn.parallel import scatter_gather
from torch.utils._pytree import tree_map

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


def features():
    levels = [torch.rand(2, 3, 4, 4, 4), torch.rand(2, 5, 2, 2, 2)]
    return Features(levels, None, levels[-1].mean((2, 3, 4)))


def test_repr_is_short():
    assert len(repr(features())) < 200
    assert "(2, 5, 2, 2, 2)" in repr(features())


def test_vectors_of_several_levels():
    found = features()
    assert found.vector((0, 1), "mean+max").shape == (2, 16)
    torch.testing.assert_close(found.vector(), found.pooled)
    assert torch.equal(found.vector(pooling="octants"), found.octants)


def test_trees_map_and_gather():
    """What DDP, FSDP, torch.export and DataParallel do to outputs."""
    doubled = tree_map(lambda value: None if value is None else 2 * value, features())
    assert isinstance(doubled, Features)
    assert doubled.dense is None
    joined = gather_on_cpu([features(), features()])
    assert isinstance(joined, Features)
    assert joined.pooled.shape == (4, 5)


def gather_on_cpu(outputs):
    """DataParallel's own gathering; only the copy between devices is replaced, as there is one CPU."""

    class Join:
        @staticmethod
        def apply(target, dim, *values):
            return torch.cat(values, dim)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scatter_gather, "Gather", Join)
        return scatter_gather.gather(outputs, "cpu")
