"""Tiles come from where they should, orders are far apart, labels say what was done."""

import math

import pytest
import torch
from umzoo_puzzle.jigsaw import Jigsaw
from umzoo_puzzle.orders import distant_orders
from umzoo_puzzle.rubik import TURNS, Rubik

import umzoo
from umzoo.backbones.base import BackboneInfo, Level
from umzoo.corruptions.pipeline import Pipeline
from umzoo.errors import ConfigError
from umzoo.pretext.model import PretextModel
from umzoo.testing import TinyBackbone, check_pretext_task, check_training, small_network, training_batch

SIZE = (16, 24, 32)


def task(kind=Jigsaw, size=SIZE, info=TinyBackbone.info, **options):
    return kind.build(kind.Config.parse(options), context=umzoo.PretextContext(info, size))


def numbered(items=3, size=SIZE):
    """A batch of images in which every voxel has a value of its own."""
    values = torch.arange(items * math.prod(size), dtype=torch.float32).view(items, 1, *size)
    return {**training_batch(items=items), "image": values / values.numel()}


@pytest.mark.parametrize("name", ["jigsaw", "rubik"])
def test_conforms(name):
    check_pretext_task(name)


@pytest.mark.parametrize(("tiles", "count"), [(4, 24), (8, 100), (27, 50)])
def test_orders_are_permutations_far_apart(tiles, count):
    orders = distant_orders(tiles, count)
    assert orders.shape == (count, tiles)
    assert torch.equal(orders.sort(dim=1).values, torch.arange(tiles).expand(count, tiles))
    distance = (orders[:, None] != orders).sum(2) + tiles * torch.eye(count, dtype=torch.int64)
    random = torch.stack([umzoo.Rng(i).permutation(tiles) for i in range(count)])
    by_chance = (random[:, None] != random).sum(2) + tiles * torch.eye(count, dtype=torch.int64)
    assert distance.min() >= 2 and distance.min() >= by_chance.min()
    assert torch.equal(orders, distant_orders(tiles, count))


def test_the_first_orders_differ_in_every_place():
    orders = distant_orders(8, 8)
    assert all((orders[i] != orders[j]).all() for i in range(8) for j in range(i))


def test_tiles_lie_in_their_cells():
    method, batch = task(), numbered()
    assert method.cell == (8, 12, 16) and method.tile == (6, 10, 14)
    tiles = method.cut(batch["image"], umzoo.Rng(0))
    assert tiles.shape == (3, 8, 1, 6, 10, 14)
    for item, image in enumerate(batch["image"]):
        for number, tile in enumerate(tiles[item]):
            z, y, x = (image == tile[0, 0, 0, 0]).nonzero()[0, 1:].tolist()
            assert torch.equal(tile, image[:, z : z + 6, y : y + 10, x : x + 14])
            assert (z // 8, y // 12, x // 16) == (number // 4, number // 2 % 2, number % 2)


def test_the_label_undoes_the_order():
    method, batch = task(), numbered()
    tiles, label = method.shuffle(batch["image"], umzoo.Rng(0))
    plain = method.cut(batch["image"], umzoo.Rng(0).fork(0))
    for item in range(3):
        assert torch.equal(tiles[item][method.orders[label[item]].argsort()], plain[item])


def test_turns_are_undone_by_turning_again():
    method, batch = task(Rubik), numbered()
    views = method.views(batch, umzoo.Rng(0))
    plain, order = method.shuffle(batch["image"], umzoo.Rng(0))
    cubes = views["image"].unflatten(0, (8, 3)).transpose(0, 1)
    assert torch.equal(order, views["order"]) and views["turns"].any() and not views["turns"].all()
    for item in range(3):
        for place in range(8):
            cube = cubes[item, place]
            for turned, axes in zip(views["turns"][item, place], TURNS, strict=True):
                cube = cube.flip(axes) if turned else cube
            assert torch.equal(cube, plain[item, place])


def test_embeddings_belong_to_their_item():
    """Views hold one tile of all items after the other; embeddings must come back item by item."""
    method = task(hidden=1)
    level = torch.arange(24.0).view(24, 1, 1, 1, 1).expand(24, 8, 2, 2, 2)
    with torch.no_grad():
        method.embed[0].weight.fill_(1 / 64)
        method.embed[0].bias.zero_()
    embedded = method.embeddings(umzoo.Features([level], None, level.mean((2, 3, 4))))
    assert embedded[1, :, 0].tolist() == pytest.approx([1, 4, 7, 10, 13, 16, 19, 22])


@pytest.mark.parametrize(
    ("size", "divisor", "tile"),
    [((64, 64, 64), 8, 24), ((32, 32, 32), 8, 16), ((160, 160, 160), 32, 64), ((128, 128, 128), 32, 64)],
)
def test_tiles_are_of_a_size_the_network_takes(size, divisor, tile):
    info = BackboneInfo(1, (Level(4, (divisor,) * 3),), None, divisor=(divisor,) * 3, least_voxels=2)
    assert task(size=size, info=info).tile == (tile,) * 3


def test_refusals():
    info = BackboneInfo(1, (Level(4, (32,) * 3),), None, divisor=(32,) * 3, least_voxels=2)
    with pytest.raises(ConfigError, match=r"cells of \(32, 32, 32\), too small"):
        task(size=(64, 64, 64), info=info)
    with pytest.raises(ConfigError, match="24 orders, got orders=100"):
        task(grid=(1, 2, 2))


@pytest.mark.parametrize("kind", [Jigsaw, Rubik])
def test_beats_chance(kind):
    """On volumes that grow brighter along W and H a tile's brightness tells its place."""
    torch.manual_seed(0)
    method = task(kind, (8, 16, 16), grid=(1, 2, 2), orders=4)
    model = PretextModel(TinyBackbone(), {"task": method}, {"task": 1.0}, Pipeline([]))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    ramp = torch.linspace(0, 0.6, 16).view(1, 1, 1, 16, 1) + torch.linspace(0, 0.3, 16)
    accuracies = []
    for step in range(40):
        image = ramp + 0.1 * umzoo.Rng(step).uniform((8, 1, 8, 16, 16))
        output = model({**training_batch(items=8), "image": image}, umzoo.Rng(1, step))
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
        accuracies.append(float(output.parts["task.accuracy"].mean()))
    assert sum(accuracies[-10:]) / 10 > 0.6, accuracies


@pytest.mark.parametrize(("name", "network"), [("jigsaw", "resenc_unet_s"), ("rubik", "primus_s")])
def test_trains_exports_and_transfers_with_a_batch_of_one(name, network, tmp_path):
    tasks, data = [{"name": name}], {"patch_size": (16, 32, 16), "batch_size": 1}
    check_training({"backbone": small_network(network), "pretext": {"tasks": tasks}, "data": data}, tmp_path)
