"""What is hidden, what enters the loss, and what each route lets the network see."""

import pytest
import torch
from umzoo_mae.masks import draw_mask, enlarge, hidden_blocks
from umzoo_mae.sparse import masked_layers
from umzoo_mae.task import MaskedAutoencoding, masked_error, nearby_mean, visible_mean

import umzoo
from umzoo.corruptions.pipeline import Pipeline
from umzoo.errors import ConfigError
from umzoo.plugins import zoo
from umzoo.pretext.model import PretextModel
from umzoo.testing import TinyBackbone, check_pretext_task, check_training, small_network, training_batch

SIZE = (16, 24, 32)
BACKBONES = ("genesis_unet", "plainconv_unet", "resenc_unet_s", "primus_s")


def backbone(name="resenc_unet_s", size=SIZE):
    torch.manual_seed(0)
    return zoo().backbones.build(small_network(name), patch_size=size)


def task(network, size=SIZE, **options):
    context = umzoo.PretextContext(network.info, size)
    return MaskedAutoencoding.build(MaskedAutoencoding.Config.parse(options), context=context)


def batch(size=SIZE, items=2):
    fields = training_batch(items=items)
    return {**fields, "image": umzoo.Rng(5).uniform((items, 1, *size))}


ROUTES = [(name, "auto") for name in (*BACKBONES, "vit3d_s")] + [
    (name, "sparse") for name in BACKBONES if name != "primus_s"
]

MODES = [("resenc_unet_s", "dense"), ("resenc_unet_s", "sparse"), ("primus_s", "tokens")]


@pytest.mark.parametrize("mode", ["dense", "sparse"])
def test_conforms(mode):
    check_pretext_task("mae", mode=mode)


def test_conforms_with_dropped_tokens():
    check_pretext_task("mae", network=backbone("primus_s", (16, 16, 16)))


def test_every_item_hides_as_many_blocks_at_places_of_its_own():
    mask = draw_mask(8, (2, 3, 4), 0.75, umzoo.Rng(0))
    assert mask.flatten(1).sum(1).tolist() == [18] * 8
    assert len(mask.flatten(1).unique(dim=0)) > 1
    assert hidden_blocks((1, 1, 2), 0.01) == hidden_blocks((1, 1, 2), 0.99) == 1


def test_enlarging_keeps_blocks_in_their_place():
    mask = torch.zeros(1, 2, 3, 4, dtype=torch.bool)
    mask[0, 1, 0, 2] = True
    where = enlarge(mask, SIZE).nonzero()
    assert where.amin(0).tolist() == [0, 0, 8, 0, 16] and where.amax(0).tolist() == [0, 0, 15, 7, 23]
    assert len(where) == 8**3


def test_the_baseline_knows_the_visible_voxels_alone():
    target, masked = batch()["image"], draw_mask(2, (2, 3, 4), 0.75, umzoo.Rng(0))
    hidden = enlarge(masked, SIZE)
    found = nearby_mean(target, masked)
    assert torch.allclose(nearby_mean(target.masked_fill(hidden, 9.0), masked), found)
    assert not torch.allclose(nearby_mean(target.masked_fill(~hidden, 9.0), masked), found)


def test_the_baseline_follows_what_changes_slowly():
    """A ramp is nearly filled in, which one mean for all cannot."""
    target = torch.linspace(0, 1, 32).expand(1, 1, *SIZE)
    masked = torch.zeros(1, 2, 3, 4, dtype=torch.bool)
    masked[0, 0, 1, 1] = masked[0, 1, 0, 2] = True
    hidden = enlarge(masked, SIZE)
    nearby, mean = (
        masked_error(a, target, hidden) for a in (nearby_mean(target, masked), visible_mean(target, hidden))
    )
    assert nearby < 0.5 * mean


def test_the_mean_is_of_the_visible_voxels_alone():
    target, hidden = batch()["image"], draw_mask(2, (2, 3, 4), 0.75, umzoo.Rng(0))
    hidden = enlarge(hidden, SIZE)
    expected = [float(item[~mask].mean()) for item, mask in zip(target, hidden, strict=True)]
    assert visible_mean(target, hidden).flatten().tolist() == pytest.approx(expected)


@pytest.mark.parametrize(("name", "mode"), ROUTES)
def test_exactly_the_hidden_voxels_enter_the_loss(name, mode):
    network = backbone(name)
    model = PretextModel(network, {"mae": task(network, mode=mode)}, {"mae": 1.0}, Pipeline([]))
    fields, method, answers = batch(), model.tasks["mae"], []
    method.head.register_forward_hook(lambda _, __, answer: answer.retain_grad() or answers.append(answer))
    model(fields, umzoo.Rng(0)).loss.backward()
    views = method.views(fields, umzoo.Rng(0).fork(1, 0))
    altered = views["image"] != views["clean"]
    assert torch.equal(answers[0].grad != 0, altered)
    assert altered.float().mean() == pytest.approx(0.75)


@pytest.mark.parametrize(("name", "mode"), ROUTES)
def test_hidden_voxels_are_never_seen(name, mode):
    """All hidden voxels of the image change; the answer must not, and must when a visible one does."""
    network = backbone(name)
    method, fields = task(network, mode=mode), batch()
    views = method.views(fields, umzoo.Rng(0))
    hidden = enlarge(views["masked"], SIZE)
    other = torch.where(hidden, 1 - fields["image"], fields["image"])
    again = method.views({**fields, "image": other}, umzoo.Rng(0))
    assert torch.equal(views["image"], again["image"]) and not torch.equal(views["clean"], again["clean"])

    def answer(image):
        return method.predict(method.features(network, {"input": image, "masked": views["masked"]}))

    with torch.no_grad():
        given = answer(views["image"])
        if mode == "sparse" or name in ("primus_s", "vit3d_s"):
            assert torch.equal(answer(torch.where(hidden, 9.0, views["image"])), given)
        assert not torch.equal(answer(torch.where(hidden, views["image"], 0.5 * views["image"])), given)


def test_dropped_tokens_keep_their_place():
    """With a visible token's voxels changed, the level changes at every visible token and nowhere else."""
    network = backbone("primus_s")
    method, fields = task(network), batch(items=1)
    views = method.views(fields, umzoo.Rng(0))
    masked = views["masked"]
    assert method.grid == (2, 3, 4) and masked.shape == (1, 2, 3, 4)
    level = method.features(network, {"input": views["image"], "masked": masked}).levels[-1]
    assert torch.equal((level == 0).all(1), masked)


def test_keeping_all_tokens_is_the_ordinary_pass():
    network, image = backbone("primus_s"), batch()["image"]
    every = torch.arange(24).expand(2, -1)
    plain, kept = network(image, dense=True), network(image, dense=True, visible=every)
    torch.testing.assert_close(kept.levels[0], plain.levels[0])
    torch.testing.assert_close(kept.pooled, plain.pooled)
    torch.testing.assert_close(kept.dense, plain.dense)


@pytest.mark.parametrize("name", ["genesis_unet", "plainconv_unet", "resenc_unet_s"])
class TestSparse:
    def test_all_visible_is_the_ordinary_pass(self, name):
        network, image = backbone(name), batch()["image"]
        plain = network.encode(image)
        with masked_layers(network.encoder, torch.ones(2, 2, 3, 4, dtype=torch.bool)):
            masked = network.encode(image)
        for one, other in zip(plain, masked, strict=True):
            torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
        assert torch.equal(network.encode(image)[-1], plain[-1])

    def test_levels_are_zero_at_hidden_places(self, name):
        network, method = backbone(name), task(backbone(name), mode="sparse")
        views = method.views(batch(), umzoo.Rng(0))
        features = method.features(network, {"input": views["image"], "masked": views["masked"]})
        for level in features.levels:
            hidden = enlarge(views["masked"], level.shape[2:]).expand_as(level)
            assert not level[hidden].any() and level[~hidden].any()

    def test_the_encoder_is_left_as_it_was_after_an_error(self, name):
        network = backbone(name)
        with pytest.raises(RuntimeError), masked_layers(network.encoder, torch.ones(2, 2, 3, 4, dtype=torch.bool)):
            raise RuntimeError
        assert not any("forward" in vars(module) for module in network.modules())


def test_convolutions_in_a_row_see_nothing_hidden():
    """Zeros at hidden places are not enough once: a bias or a neighbor fills them for the next convolution."""
    network = torch.nn.Sequential(torch.nn.Conv3d(1, 2, 3, padding=1), torch.nn.Conv3d(2, 1, 3, padding=1))
    visible = torch.tensor([True, False]).view(1, 1, 1, 2)
    image = umzoo.Rng(0).normal((1, 1, 4, 4, 8)) * enlarge(visible, (4, 4, 8))
    with masked_layers(network, visible):
        answer = network(image)
    first = network[0](image)
    first[..., 4:] = 0
    torch.testing.assert_close(answer[..., :4], network[1](first)[..., :4])
    assert not answer[..., 4:].any()


def test_running_statistics_are_those_of_visible_voxels():
    norm = torch.nn.BatchNorm3d(1, momentum=1.0)
    visible = torch.tensor([True, False]).view(1, 1, 1, 2)
    image = torch.cat([3 + torch.randn(1, 1, 4, 4, 4), torch.full((1, 1, 4, 4, 4), 99.0)], dim=4)
    with masked_layers(torch.nn.Sequential(norm), visible):
        norm(image)
    seen = image[..., :4]
    torch.testing.assert_close(norm.running_mean, seen.mean().view(1))
    torch.testing.assert_close(norm.running_var, seen.var().view(1))


@pytest.mark.parametrize(
    ("network", "options", "complaint"),
    [
        ("primus_s", {"mode": "sparse"}, "use 'dense' or 'tokens'"),
        ("resenc_unet_s", {"mode": "tokens"}, "use 'dense' or 'sparse'"),
        ("resenc_unet_s", {"block": (16, 24, 32)}, "two or more blocks"),
        ("resenc_unet_s", {"block": (5, 8, 8)}, "two or more blocks"),
        ("primus_s", {"block": (4, 4, 4)}, "multiple of the coarsest stride"),
    ],
)
def test_refusals(network, options, complaint):
    with pytest.raises(ConfigError, match=complaint):
        task(backbone(network), **options)


def test_sparse_refuses_layers_it_does_not_know():
    network = TinyBackbone()
    network.encoder.append(torch.nn.GroupNorm(2, 8))
    with pytest.raises(ConfigError, match="GroupNorm"):
        task(network, mode="sparse").bind(network)


@pytest.mark.parametrize(("name", "mode"), MODES)
def test_half_precision_and_one_item(name, mode):
    network = backbone(name)
    model = PretextModel(network, {"mae": task(network, mode=mode)}, {"mae": 1.0}, Pipeline([]))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = model(batch(items=1), umzoo.Rng(0)).loss
    loss.backward()
    assert loss.isfinite() and loss.dtype == torch.float32
    assert all(value.grad is not None for value in model.parameters())


@pytest.mark.parametrize(("name", "mode"), MODES)
def test_pictures_end_in_the_answer(name, mode):
    network = backbone(name)
    method = task(network, mode=mode)
    (made,) = PretextModel(network, {"mae": method}, {"mae": 1.0}, Pipeline([])).passes(batch(), umzoo.Rng(0))
    images = method.pictures(made.features, made.view)
    assert list(images) == ["clean", "seen", "restored"]
    assert len({image.shape for image in images.values()}) == 1


@pytest.mark.parametrize(("name", "mode"), MODES)
def test_compiled(name, mode):
    network = backbone(name)
    model = PretextModel(network, {"mae": task(network, mode=mode)}, {"mae": 1.0}, Pipeline([]))
    plain = model(batch(), umzoo.Rng(0)).loss
    network.compile(backend="eager")
    torch.testing.assert_close(model(batch(), umzoo.Rng(0)).loss, plain)


@pytest.mark.parametrize(("name", "mode"), MODES)
def test_trains_exports_and_transfers(name, mode, tmp_path):
    recipe = {
        "backbone": small_network(name),
        "pretext": {"tasks": [{"name": "mae", "mode": mode}]},
        "data": {"patch_size": (16, 16, 24)},
    }
    check_training(recipe, tmp_path)


@pytest.mark.parametrize(("name", "mode"), MODES)
def test_learns_more_than_the_mean(name, mode):
    """On smooth volumes the hidden voxels can be told from the visible ones around them."""
    size = (16, 16, 16)
    network = backbone(name, size)
    model = PretextModel(network, {"mae": task(network, size, mode=mode, ratio=0.5)}, {"mae": 1.0}, Pipeline([]))
    places = torch.linspace(0, 1, 16)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    rng, ends = umzoo.Rng(0), []
    for step in range(50):
        slope = rng.uniform((4, 1, 1, 1, 1), 0.5, 1.0)
        image = slope * places.view(1, 1, -1, 1, 1).expand(4, 1, *size)
        statistics = {"mean": image.mean((1, 2, 3, 4)), "std": torch.full((4,), 0.3)}
        fields = {**training_batch(items=4), "image": image, **statistics}
        output = model(fields, rng.fork(step))
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
        ends.append(output.loss.item() / output.parts["mae.mean"].item())
    assert sum(ends[-10:]) / 10 < 0.6, ends
