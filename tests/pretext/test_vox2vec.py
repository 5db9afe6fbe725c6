"""Voxels of two views: where they lie, what they are described by, and what the loss makes of them."""

import pytest
import torch

import umzoo
from umzoo.errors import ConfigError
from umzoo.pretext.boxes import cut, draw_boxes
from umzoo.pretext.vox2vec import Vox2Vec, at
from umzoo.testing import TinyBackbone, check_training, small_network, training_batch

SIZE = (16, 24, 32)


def task(**options):
    context = umzoo.PretextContext(TinyBackbone.info, SIZE)
    return Vox2Vec.build(Vox2Vec.Config.parse(options), context=context)


def batch(items=4):
    return {**training_batch(items=items), "image": umzoo.Rng(5).uniform((items, 1, *SIZE))}


def test_a_whole_box_is_the_image_and_a_smaller_one_lies_within():
    image = batch()["image"]
    torch.testing.assert_close(cut(image, *draw_boxes(4, (1.0, 1.0), umzoo.Rng(0))), image, atol=1e-5, rtol=0)
    ramp = torch.linspace(0, 1, 32).expand(8, 1, *SIZE)
    crops = cut(ramp, *draw_boxes(8, (0.5, 0.5), umzoo.Rng(0)))
    extent = crops[:, 0, 0, 0, -1] - crops[:, 0, 0, 0, 0]
    assert torch.allclose(extent, torch.tensor(0.5), atol=0.02) and crops[:, 0, 0, 0, 0].std() > 0.05


def test_both_views_show_the_same_at_the_same_voxel():
    method = task(corruptions=())
    ramps = torch.stack(torch.meshgrid(*(torch.linspace(0, 1, n) for n in SIZE), indexing="ij"))
    views = method.views({**batch(3), "image": ramps[:, None]}, umzoo.Rng(0))
    first, second = at(views["image"], views["voxels"]).chunk(2)
    torch.testing.assert_close(first, second, atol=0.03, rtol=0)
    assert (first[0] - first[0].flip(0)).abs().mean() > 0.05, "voxels differ from one another"
    assert views["voxels"].abs().max() <= 1 and not torch.equal(*views["voxels"].chunk(2))


def test_reads_a_map_along_its_own_axes():
    level = torch.arange(24.0).view(1, 1, 2, 3, 4)
    corners = torch.tensor([[[-0.75, -2 / 3, -0.5], [0.75, -2 / 3, -0.5], [-0.75, 2 / 3, 0.5]]])
    assert at(level, corners).flatten().tolist() == pytest.approx([0, 3, 20])


def test_partners_attract_and_others_repel():
    method = task(voxels=2)
    features = umzoo.Features([torch.zeros(2, 4, 2, 2, 2)], torch.zeros(2, 2, 2, 2, 2), torch.zeros(2, 4))
    views = {"voxels": torch.zeros(2, 2, 3)}
    losses = []
    for embedding in (torch.eye(2).repeat(2, 1), torch.cat((torch.eye(2), torch.eye(2).flip(0)))):
        method.head.forward = lambda described, embedding=embedding: embedding
        losses.append(method.loss(features, views))
        assert method.metrics["accuracy"].mean() == (len(losses) == 1)
    assert losses[0] < 0.01 and losses[1] > 5


def test_refuses_crops_from_great_to_small():
    with pytest.raises(ConfigError, match="must be a minimum and a maximum"):
        task(crop=(0.9, 0.7))


def test_trains_exports_and_transfers(tmp_path):
    data = {"patch_size": (16, 32, 16)}
    recipe = {"backbone": small_network("plainconv_unet"), "pretext": {"tasks": [{"name": "vox2vec"}]}, "data": data}
    check_training(recipe, tmp_path)
