"""Partners, negatives, overlaps, and what a loss of each is at its best."""

import pytest
import torch
from umzoo_contrastive.simclr import SimCLR
from umzoo_contrastive.voco import VoCo, constant_loss, position_loss

import umzoo
from umzoo.corruptions.pipeline import Pipeline
from umzoo.errors import ConfigError
from umzoo.plugins import zoo
from umzoo.pretext.model import PretextModel
from umzoo.pretext.projection import Projection, similarity
from umzoo.testing import TinyBackbone, check_pretext_task, check_training, small_network, training_batch

SIZE = (16, 24, 32)


def task(kind, size=SIZE, **options):
    context = umzoo.PretextContext(TinyBackbone.info, size)
    return kind.build(kind.Config.parse(options), context=context)


def batch(items=4, size=SIZE):
    return {**training_batch(items=items), "image": umzoo.Rng(5).uniform((items, 1, *size))}


@pytest.mark.parametrize("name", ["simclr", "voco"])
def test_conforms(name):
    check_pretext_task(name)


def embedded(method, embedding):
    """The loss and metrics of *method* if the head answers *embedding*."""
    method.head.forward = lambda features: embedding
    features = umzoo.Features([embedding[:, :, None, None, None]], None, embedding)
    return lambda views: method.loss(features, views)


def test_embeddings_differ_at_the_start_where_pooled_features_hardly_do():
    """Behind an instance norm a channel has nearly the same mean in all images."""
    torch.manual_seed(0)
    options = {"name": "resenc_unet_s", "features_per_stage": (4, 6, 8), "n_blocks_per_stage": 1}
    network = zoo().backbones.build(options, patch_size=(16, 16, 16))
    features = network(umzoo.Rng(0).normal((8, 1, 16, 16, 16)))
    others = ~torch.eye(8, dtype=torch.bool)
    assert similarity(features.pooled, features.pooled)[others].min() > 0.9
    for centered, most in ((True, 0.3), (False, 0.7)):
        embedding = Projection(8, 64, 16, centered)(features.pooled)
        assert similarity(embedding, embedding)[others].mean() < most


class TestSimCLR:
    def test_partners_attract_and_others_repel(self):
        method = task(SimCLR)
        good = embedded(method, torch.eye(4).repeat(2, 1))({})
        assert method.metrics["accuracy"].mean() == 1
        bad = embedded(method, torch.eye(4).repeat_interleave(2, dim=0))({})
        assert method.metrics["accuracy"].mean() == 0
        assert good < 0.01 and bad > 5

    def test_loss_is_nt_xent(self):
        method, z = task(SimCLR, temperature=0.5), torch.randn(6, 8, generator=torch.Generator().manual_seed(0))
        unit = z / z.norm(dim=1, keepdim=True)
        terms = []
        for i in range(6):
            scores = {k: torch.exp(unit[i] @ unit[k] / 0.5) for k in range(6) if k != i}
            terms.append(-torch.log(scores[(i + 3) % 6] / sum(scores.values())))
        torch.testing.assert_close(embedded(method, z)({}), torch.stack(terms).mean())

    def test_views_are_of_one_item_and_differ(self):
        method = task(SimCLR, corruptions=())
        image = torch.arange(4.0).view(4, 1, 1, 1, 1).expand(4, 1, *SIZE) / 4
        crops = method.views({**batch(), "image": image}, umzoo.Rng(0))["image"]
        torch.testing.assert_close(crops, torch.cat((image, image)))
        crops = method.views(batch(), umzoo.Rng(0))["image"]
        assert not torch.equal(crops[:4], crops[4:])

    def test_a_batch_of_one_is_refused(self):
        with pytest.raises(ConfigError, match=r"got 1: set data\.batch_size to 2"):
            task(SimCLR).views(batch(1), umzoo.Rng(0))

    def test_refuses_crops_from_great_to_small(self):
        with pytest.raises(ConfigError, match="simclr.crop must be a minimum and a maximum"):
            task(SimCLR, crop=(0.9, 0.5))


class TestVoCo:
    def test_overlaps_are_shares_of_the_crop(self):
        """Counted in an image whose voxels carry the number of their cell."""
        method = task(VoCo, crops=5)
        number = torch.arange(8.0).view(2, 2, 2)
        for axis, edge in enumerate(method.cell):
            number = number.repeat_interleave(edge, dim=axis)
        image = (number / 8).expand(3, 1, *SIZE)
        views = method.views({**batch(3), "image": image}, umzoo.Rng(0))
        crops = views["image"].unflatten(0, (13, 3)).transpose(0, 1)
        assert torch.equal(crops[:, :8], (torch.arange(8.0) / 8).view(1, 8, 1, 1, 1, 1).expand_as(crops[:, :8]))
        counted = torch.stack([(crops[:, 8:] == k / 8).float().mean((2, 3, 4, 5)) for k in range(8)], dim=2)
        torch.testing.assert_close(views["overlap"], counted)
        torch.testing.assert_close(views["overlap"].sum(2), torch.ones(3, 5))

    def test_the_loss_is_least_where_likeness_is_overlap(self):
        overlap = torch.tensor([[0.7, 0.3, 0.0]])
        best = position_loss(overlap, overlap)
        assert best == pytest.approx(0, abs=1e-5)
        assert all(position_loss((overlap + shift).clamp(0, 1), overlap) > best + 0.01 for shift in (-0.2, 0.2))

    def test_negative_cosines_are_attracted_too(self):
        cosines = torch.tensor([[-0.1, -0.2, -0.3]], requires_grad=True)
        position_loss(cosines, torch.tensor([[0.7, 0.3, 0.0]])).backward()
        assert (cosines.grad[0, :2] < 0).all() and cosines.grad[0, 2] == 0

    def test_items_are_not_mixed(self):
        """Crops that equal the cell they lie in, item by item, have no position loss."""
        method = task(VoCo, grid=(1, 1, 2), crops=1, regularization=1.0)
        cells = torch.eye(8)[:4].view(2, 2, 8)
        crops = cells[:, :1]
        overlap = torch.tensor([[[1.0, 0.0]], [[1.0, 0.0]]])
        order = torch.cat((cells, crops), dim=1).transpose(0, 1).flatten(0, 1)
        assert embedded(method, order)({"overlap": overlap}) == pytest.approx(0, abs=1e-5)
        assert method.metrics["accuracy"].mean() == 1

    def test_no_constant_cosine_beats_the_baseline(self):
        overlap = torch.tensor([[[0.8, 0.2, 0.0], [0.5, 0.4, 0.1]]])
        losses = [float(position_loss(torch.full_like(overlap, c), overlap)) for c in torch.linspace(0, 1, 101)]
        assert min(losses) - 0.01 < float(constant_loss(overlap)) < losses[0]

    def test_works_with_one_item(self):
        assert task(VoCo).views(batch(1), umzoo.Rng(0))["image"].shape == (10, 1, 8, 12, 16)

    @pytest.mark.parametrize(("grid", "complaint"), [((3, 2, 2), "of a size"), ((1, 1, 1), "two base crops")])
    def test_refusals(self, grid, complaint):
        with pytest.raises(ConfigError, match=complaint):
            task(VoCo, grid=grid)


@pytest.mark.parametrize("kind", [SimCLR, VoCo])
def test_the_loss_falls(kind):
    """Volumes of different brightness, which grows along W."""
    torch.manual_seed(0)
    size = (8, 8, 16)
    method = task(kind, size, corruptions=(), hidden=32, dim=16, **({"grid": (1, 1, 2)} if kind is VoCo else {}))
    model = PretextModel(TinyBackbone(), {"task": method}, {"task": 1.0}, Pipeline([]))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    fields = batch(4, size)
    image = 0.2 * torch.arange(4.0).view(4, 1, 1, 1, 1) + torch.linspace(0, 0.3, 16).expand(1, 1, *size)
    losses, baselines = [], []
    for step in range(40):
        output = model({**fields, "image": image}, umzoo.Rng(step))
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
        losses.append(output.loss.item())
        baselines.append(float(output.parts.get("task.baseline", torch.inf)))
    assert sum(losses[-10:]) < min(0.8 * sum(losses[:10]), 0.5 * sum(baselines[-10:])), losses


@pytest.mark.parametrize(("name", "network"), [("simclr", "resenc_unet_s"), ("voco", "primus_s")])
def test_trains_exports_and_transfers(name, network, tmp_path):
    tasks, data = [{"name": name}], {"patch_size": (16, 32, 16)}
    check_training({"backbone": small_network(network), "pretext": {"tasks": tasks}, "data": data}, tmp_path)
