from __future__ import annotations

import numpy as np
import pytest
import torch

from umzoo.corruptions import blocks, tiles
from umzoo.corruptions.local_shuffle import LocalShuffle, greatest_edge
from umzoo.fields import Rng

SIZE = (32, 64, 64)


def make(**options: object) -> LocalShuffle:
    return LocalShuffle(LocalShuffle.Config.parse(options))


def positions(size: tuple[int, int, int]) -> torch.Tensor:
    """An image (1, D, H, W) whose voxels tell where they are."""
    return torch.arange(np.prod(size), dtype=torch.float32).view(1, *size)


def statistics(source: np.ndarray) -> np.ndarray:
    """Share in place, share of distinct sources, mean absolute displacement (D, H, W) of sources (D, H, W)."""
    source = source.astype(np.int64)
    there = np.stack(np.unravel_index(source, source.shape))
    here = np.indices(source.shape)
    moved = np.abs(there - here).mean((1, 2, 3))
    distinct = np.bincount(source.ravel(), minlength=source.size).astype(bool).mean()
    return np.array([(there == here).all(0).mean(), distinct, *moved])


def reference_sources(size: tuple[int, int, int], rng: np.random.Generator) -> np.ndarray:
    """The law by its description: 10,000 blocks in turn, each shuffles what the original has there."""
    original = np.arange(np.prod(size)).reshape(size)
    out = original.copy()
    for _ in range(10_000):
        edge = [rng.integers(1, s // 10 + 1) for s in size]
        start = [rng.integers(0, s - e + 1) for s, e in zip(size, edge, strict=True)]
        window = tuple(slice(a, a + e) for a, e in zip(start, edge, strict=True))
        out[window] = rng.permutation(original[window].ravel()).reshape(edge)
    return out


def drawn_statistics(law: str, count: int, size: tuple[int, int, int] = SIZE) -> np.ndarray:
    shuffle = make(p=1, law=law)
    image = positions(size).expand(count, 1, *size)
    result = shuffle.apply(image, shuffle.draw(image, Rng(0)))
    return np.mean([statistics(item[0].numpy()) for item in result], 0)


def test_exact_law_agrees_with_the_reference(path: str) -> None:
    reference = statistics(reference_sources(SIZE, np.random.default_rng(0)))
    drawn = drawn_statistics("exact", 4)
    assert np.allclose(drawn[:2], [0.216, 0.787], atol=0.01)
    assert np.allclose(drawn[2:], [0.50, 1.10, 1.10], atol=0.03)
    assert np.allclose(drawn, reference, atol=0.03)


def test_exact_law_shuffles_within_reach_of_a_block(path: str) -> None:
    shuffle = make(p=1, law="exact")
    image = positions(SIZE)[None]
    source = shuffle.apply(image, shuffle.draw(image, Rng(3)))[0, 0].long().numpy()
    reach = np.abs(np.stack(np.unravel_index(source, SIZE)) - np.indices(SIZE)).max((1, 2, 3))
    assert (reach < [3, 6, 6]).all()
    assert (reach >= [2, 4, 4]).all()


def test_tile_law_is_a_permutation_of_about_the_same_strength(path: str) -> None:
    drawn = drawn_statistics("tiles", 32)
    assert drawn[1] == 1
    assert 0.1 < drawn[0] < 0.3
    assert np.allclose(drawn[2:], [0.50, 1.10, 1.10], rtol=0.35)


@pytest.mark.parametrize("size", [(20, 40, 30), (8, 8, 8), (33, 47, 21)])
def test_tiles_keep_their_values(size: tuple[int, int, int], path: str) -> None:
    shuffle = make(p=1)
    image = Rng(0).uniform((6, 2, *size))
    params = shuffle.draw(image, Rng(2))
    result = shuffle.apply(image, params)
    for before, after, edge, origin in zip(image, result, params["edge"], params["origin"], strict=True):
        covered = []
        for s, e, o in zip(size, edge.tolist(), origin.tolist(), strict=True):
            covered.append(slice(o, o + (s - o) // e * e))
        outside = torch.ones(size, dtype=torch.bool)
        outside[tuple(covered)] = False
        assert torch.equal(before[:, outside], after[:, outside])
        old, new = (cut(item, covered, edge).sort(1).values for item in (before, after))
        assert torch.equal(old, new)


def cut(item: torch.Tensor, covered: list[slice], edge: torch.Tensor) -> torch.Tensor:
    """Return the tiles (N, C * voxels / C, ...) of an item as (N * C, voxels)."""
    region = item[(slice(None), *covered)]
    for dim, e in enumerate(edge.tolist(), 1):
        region = region.unfold(dim, e, e)
    return region.reshape(-1, int(edge.prod()))


def test_channels_are_shuffled_alike(path: str) -> None:
    image = positions((20, 20, 20)).expand(3, 2, 20, 20, 20)
    for law in ("tiles", "exact"):
        shuffle = make(p=1, law=law)
        result = shuffle.apply(image, shuffle.draw(image, Rng(0)))
        assert torch.equal(result[:, 0], result[:, 1])


def test_tiles_by_tensors_and_compiled_are_equal() -> None:
    compiled = pytest.importorskip("umzoo.corruptions.compiled")
    for size in ((20, 40, 30), (96, 50, 60)):
        before = positions(size)
        first = torch.arange(tiles.ROWS)
        rows = tiles._rows((2, 3, 4), (size[2] - 1) // 4, size[1:], first)
        choice = torch.randint(0, tiles.ROWS, ((size[0] - 1) // 2, (size[1] - 2) // 3), dtype=torch.int32)
        one, other = before.clone(), before.clone()
        tiles._gather_(one, rows, choice, (2, 3, 4), (1, 2, 1))
        compiled.shuffle_tiles(before[0].numpy(), other[0].numpy(), rows.numpy(), choice.numpy(), 1, 2, 1)
        assert torch.equal(one, other)
        assert not torch.equal(one, before)


@pytest.mark.parametrize("law", ["tiles", "exact"])
@pytest.mark.parametrize("size", [(8, 8, 8), (2, 9, 30), (1, 20, 20)])
def test_small_images_are_shuffled_too(law: str, size: tuple[int, int, int], path: str) -> None:
    image = positions(size).expand(16, 1, *size)
    shuffle = make(p=1, law=law)
    result = shuffle.apply(image, shuffle.draw(image, Rng(0)))
    assert (result != image).any()
    assert ((result >= 0) & (result < np.prod(size))).all()


def test_greatest_edge() -> None:
    assert [greatest_edge(s) for s in (1, 2, 8, 19, 20, 64, 96)] == [1, 2, 2, 2, 2, 6, 9]


def test_permutations_are_permutations() -> None:
    assert torch.equal(tiles.permutations(24).sort(1).values, torch.arange(24).expand(64, 24).int())


def test_sorted_blocks_fall_back_to_the_original_where_no_block_lies() -> None:
    source = blocks.sources((200, 200, 40), (2, 2, 2), 0, torch.device("cpu"))
    assert (source == torch.arange(len(source))).double().mean() > 0.9
