"""The label is the coefficient, and the coefficient is what was mixed."""

import pytest
import torch
from umzoo_volumefusion import VolumeFusion, baseline, soft_dice

import umzoo
from umzoo.corruptions.pipeline import Pipeline
from umzoo.errors import ConfigError
from umzoo.pretext.model import PretextModel
from umzoo.testing import TinyBackbone, check_pretext_task, check_training, small_network, training_batch

SIZE = (16, 24, 32)


def task(**options):
    context = umzoo.PretextContext(TinyBackbone.info, SIZE)
    return VolumeFusion.build(VolumeFusion.Config.parse(options), context=context)


def batch(items=4):
    return {**training_batch(items=items), "image": umzoo.Rng(5).uniform((items, 1, *SIZE))}


@pytest.mark.parametrize("coefficients", [1, 4])
def test_conforms(coefficients):
    check_pretext_task("volume_fusion", coefficients=coefficients)


def test_the_label_is_the_share_of_the_foreground():
    """The foreground of an item is the item before it."""
    image = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1, 1).expand(2, 1, *SIZE)
    views = task().views({**batch(2), "image": image}, umzoo.Rng(0))
    assert torch.equal(views["image"][0, 0] * 4, views["label"][0].float())
    assert torch.equal((1 - views["image"][1, 0]) * 4, views["label"][1].float())


def test_all_classes_and_the_background_occur():
    label = task().views(batch(8), umzoo.Rng(0))["label"]
    assert label.unique().tolist() == [0, 1, 2, 3, 4]
    assert len(label.flatten(1).float().mean(1).unique()) > 1


def test_one_block_is_a_box_of_the_drawn_size():
    label = task(blocks=(1, 1), edge=(0.25, 0.5)).draw_labels(batch(16)["image"], umzoo.Rng(0))
    for item in label:
        where = item.nonzero()
        edges = where.amax(0) - where.amin(0) + 1
        assert len(where) == edges.prod() and item[item > 0].unique().numel() == 1
        assert all(edge <= -(-n // 2) for edge, n in zip(edges.tolist(), SIZE, strict=True))


def test_dice():
    label = torch.tensor([0, 1, 1, 1]).view(1, 1, 1, 4)
    perfect = torch.nn.functional.one_hot(label, 3).movedim(-1, 1).float()
    assert torch.allclose(soft_dice(perfect, label), torch.ones(3))
    wrong = perfect[:, [1, 0, 2]]
    assert soft_dice(wrong, label).tolist() == pytest.approx([0.2, 0.2, 1.0])


def test_no_answer_that_is_the_same_everywhere_beats_the_baseline():
    label = task().views(batch(4), umzoo.Rng(0))["label"]

    def loss(shares):
        everywhere = shares.view(1, 5, 1, 1, 1).expand(4, 5, *SIZE)
        error = torch.nn.functional.nll_loss(everywhere.log(), label)
        return float(error + 1 - soft_dice(everywhere, label).mean())

    frequency = label.flatten().bincount(minlength=5) / label.numel()
    assert loss(frequency) == pytest.approx(float(baseline(label, 5)), abs=1e-3)
    others = [(frequency + 0.2 * umzoo.Rng(i).uniform((5,))).log().softmax(0) for i in range(20)]
    assert min(map(loss, others)) > float(baseline(label, 5))


def test_refusals():
    with pytest.raises(ConfigError, match=r"two items of a batch and got 1: set data\.batch_size"):
        task().views(batch(1), umzoo.Rng(0))
    with pytest.raises(ConfigError, match="must be a minimum and a maximum, got 9, 3"):
        task(blocks=(9, 3))


def test_the_loss_falls():
    """With a dark and a bright volume the brightness is the coefficient."""
    torch.manual_seed(0)
    size = (8, 16, 16)
    model = PretextModel(TinyBackbone(), {"vf": task(blocks=(2, 4), edge=(0.3, 0.6))}, {"vf": 1.0}, Pipeline([]))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    image = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1, 1).expand(2, 1, *size)
    losses = []
    for step in range(40):
        output = model({**batch(2), "image": image}, umzoo.Rng(step))
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
        losses.append(output.loss.item())
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5]), losses


def test_pictures_show_the_coefficients():
    method = task()
    (made,) = PretextModel(TinyBackbone(), {"vf": method}, {"vf": 1.0}, Pipeline([])).passes(batch(), umzoo.Rng(0))
    images = method.pictures(made.features, made.view)
    assert list(images) == ["seen", "coefficients", "found"]
    assert all(
        image.shape == made.view["image"].shape and 0 <= image.min() <= image.max() <= 1 for image in images.values()
    )


def test_trains_exports_and_transfers(tmp_path):
    recipe = {
        "backbone": small_network("resenc_unet_s"),
        "pretext": {"tasks": [{"name": "volume_fusion"}]},
        "data": {"patch_size": (16, 16, 24)},
    }
    check_training(recipe, tmp_path)
