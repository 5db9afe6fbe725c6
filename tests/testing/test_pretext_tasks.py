"""Each broken promise of a pretext task is found, in its row."""

import pytest
import torch
from torch import nn

import umzoo
from umzoo.errors import ConfigError
from umzoo.testing import ConformanceError, TinyBackbone, check_pretext_task

from .conftest import broken, report


class Copy(umzoo.PretextTask):
    """Predict the mean of the image."""

    name = "copy"

    def __init__(self, config, context):
        super().__init__(config, context)
        self.head = nn.Linear(context.backbone.levels[-1].channels, 1)

    def loss(self, features, views):
        return (self.head(features.pooled)[:, 0] - views["image"].mean((1, 2, 3, 4))).square().mean()


def test_a_sound_one_passes():
    network = TinyBackbone()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    check_pretext_task(Copy, network=network)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(value.grad is None for value in network.parameters())
    assert {row.outcome for row in report("pretext_task", Copy).values()} <= {"yes", "n/a"}


def losing(change):
    """A ``loss`` that is changed."""
    return lambda self, features, views: change(Copy.loss(self, features, views), features)


def idle_layer(self, config, context):
    Copy.__init__(self, config, context)
    self.idle = nn.Linear(2, 2)


def looks_inside(self, backbone, views):
    if backbone._compiled_call_impl is not None:
        raise TypeError("needs a network that is not compiled")
    return umzoo.PretextTask.features(self, backbone, views)


def square_only(cls, context):
    return None if len(set(context.patch_size)) == 1 else "not a cube"


@pytest.mark.parametrize(
    "members, rows, complaint",
    [
        (
            {"loss": lambda self, features, views: features.pooled * torch.nan},
            [
                "loss is a finite number",
                "gradient reaches the network",
                "accepted in training",
                "batch of 1",
                "anisotropic patch",
                "bf16",
                "compiled",
            ],
            "finite scalar",
        ),
        (
            {"loss": lambda self, features, views: self.head(features.pooled.detach()).sum()},
            ["gradient reaches the network", "gradient reaches every parameter"],
            "must reach the backbone",
        ),
        (
            {
                "loss": lambda self, features, views: self.head(
                    features.levels[0][:, :1].mean((2, 3, 4)).expand(-1, 8)
                ).sum()
            },
            ["gradient reaches every parameter"],
            "no gradient reaches encoder.1.weight",
        ),
        ({"__init__": idle_layer}, ["gradient reaches every parameter"], "no gradient reaches idle.weight"),
        (
            {"views": lambda self, batch, rng: {"image": batch["image"] + 0 * torch.rand(())}},
            ["draws from rng only"],
            "global random state",
        ),
        (
            {"views": lambda self, batch, rng: {"image": batch["image"] * 3}},
            ["views are images in [0, 1]", "accepted in training"],
            "must stay in",
        ),
        (
            {"views": lambda self, batch, rng: {"image": batch["image"].mul_(0.9)}},
            ["inputs unchanged", "accepted in training"],
            "in place: image",
        ),
        ({"pictures": lambda self, features, views: {"a": features.pooled}}, ["accepted in training"], "'a' of"),
        ({"exported": lambda self, backbone: None}, ["accepted in training"], "from exported, got None"),
        ({"veiws": lambda self, batch, rng: dict(batch)}, ["no misspelled members"], "'veiws' ('views'?)"),
        ({"raeds": frozenset({"scale"})}, ["no misspelled members"], "'raeds' ('reads'?)"),
        ({"loss": losing(lambda loss, features: loss / (features.levels[0].dtype == torch.float32))}, ["bf16"], "half"),
        (
            {"views": lambda self, batch, rng: {"image": batch["image"] * (1 - 1e-6 * next(NUMBERS))}},
            ["same seed, same loss"],
            "equal views",
        ),
        ({"reads": frozenset({"label"})}, ["reads what batches have"], "no batch has: label"),
        ({"loss": losing(lambda loss, features: loss + next(NUMBERS))}, ["same seed, same loss", "compiled"], "losses"),
        ({"views": lambda self, batch, rng: dict(batch), "features": looks_inside}, ["compiled"], "not compiled"),
    ],
)
def test_broken_promises(members, rows, complaint, breaks):
    breaks("pretext_task", broken(Copy, **members), rows, complaint)


NUMBERS = iter(range(1, 10_000))


def test_a_view_without_an_image_is_told_in_its_row():
    rows = report("pretext_task", broken(Copy, views=lambda self, batch, rng: {"turns": rng.integers((4,), 0, 3)}))
    assert rows["views are images in [0, 1]"].note == "a view needs the field 'image', got turns"
    assert rows["views are images in [0, 1]"].outcome == "no"


def test_an_obstacle():
    rows = report("pretext_task", broken(Copy, obstacle=classmethod(lambda cls, context: "never")))
    assert (rows["suits a plain run"].outcome, rows["anisotropic patch"].outcome) == ("no", "refused")
    with pytest.raises(ConformanceError, match=r"must work with 16\^3"):
        check_pretext_task(broken(Copy, obstacle=classmethod(lambda cls, context: "never")))
    rows = report("pretext_task", broken(Copy, obstacle=classmethod(square_only)))
    assert (rows["suits a plain run"].outcome, rows["anisotropic patch"].note) == ("yes", "not a cube")


def test_a_batch_of_one_may_be_refused():
    def views(self, batch, rng):
        if len(batch["image"]) < 2:
            raise ConfigError("set data.batch_size to 2")
        return

    check_pretext_task(broken(Copy, views=views))
    assert report("pretext_task", broken(Copy, views=views))["batch of 1"].outcome == "refused"
