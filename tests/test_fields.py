import pytest
import torch

from umzoo.fields import Rng

DRAWS = {
    "uniform": lambda rng, count: rng.uniform((count, 3), -1, 2),
    "normal": lambda rng, count: rng.normal((count, 3)),
    "integers": lambda rng, count: rng.integers((count, 3), -2, 5),
    "bernoulli": lambda rng, count: rng.bernoulli((count, 3), 0.3),
    "noise": lambda rng, count: rng.noise((count, 3)),
    "gaussian_noise": lambda rng, count: rng.gaussian_noise((count, 3)),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_what_an_item_gets_does_not_depend_on_the_others(draw):
    def drawn(*items, views=2):
        rng = Rng(4, 7, items=items).fork(1)
        return torch.stack([draw(rng, views * len(items)) for _ in range(2)]).unflatten(1, (views, -1))

    whole = drawn(0, 1, 2, 3)
    assert torch.equal(whole, torch.cat([drawn(0, 1), drawn(2), drawn(3)], dim=2))
    assert torch.equal(whole[:, :, [3, 1]], drawn(3, 1))
    if whole.dtype != torch.bool:
        assert len({tuple(row.tolist()) for row in whole.flatten(0, 2)}) == 16, "views, items and calls differ"


def test_taken_rows_draw_what_they_would_have_drawn():
    rng = Rng(1, items=(5, 6, 7))
    assert rng.take([]).gaussian_noise((0, 9)).shape == (0, 9)
    assert torch.equal(rng.take([2, 0]).gaussian_noise((2, 9)), rng.gaussian_noise((3, 9))[[2, 0]])


def test_what_is_not_of_items_is_shared():
    first, second = Rng(1, 2, items=(0, 1)), Rng(1, 2, items=(2, 3))
    assert torch.equal(first.uniform((3,)), second.uniform((3,)))
    assert torch.equal(first.noise((3,)), second.noise((3,)))
    assert torch.equal(first.permutation(9), second.permutation(9))


def test_distributions_of_items():
    rng = Rng(3, items=range(4))
    unit, normal, whole = rng.uniform((4, 5000)), rng.normal((4, 5000)), rng.integers((4, 5000), 1, 6)
    assert unit.min() >= 0 and unit.max() < 1
    quantiles = torch.linspace(0.05, 0.95, 19)
    torch.testing.assert_close(unit.flatten().quantile(quantiles), quantiles, atol=0.02, rtol=0)
    assert normal.mean().abs() < 0.03 and (normal.std() - 1).abs() < 0.03
    assert (normal.pow(4).mean() - 3).abs() < 0.25
    assert (whole.flatten().bincount()[1:] / 20000 - 1 / 6).abs().max() < 0.01
    assert torch.corrcoef(unit).fill_diagonal_(0).abs().max() < 0.06
    assert rng.bernoulli((4, 5000), 0.3).float().mean() == pytest.approx(0.3, abs=0.02)
