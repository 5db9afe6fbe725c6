"""Each broken promise of a head is found, in its row."""

import pytest
import torch
from torch import nn

import umzoo
from umzoo.errors import ConfigError
from umzoo.testing import check_head

from .conftest import broken, report


class Mean(umzoo.Head):
    """Average the pooled features."""

    name = "mean"

    def __init__(self, config, info):
        super().__init__(config, info)
        self.layer = nn.Linear(info.levels[-1].channels, 1)

    def forward(self, features):
        return self.layer(features.pooled)


NUMBERS = iter(range(1, 10_000))


def idle_layer(self, config, info):
    Mean.__init__(self, config, info)
    self.idle = nn.Linear(2, 2)


def hidden_weight(self, config, info):
    Mean.__init__(self, config, info)
    self.hidden = [torch.rand(())]


def picky(self, features):
    if len(features.pooled) == 1:
        raise ConfigError("mean compares items: give it two at least")
    return self.layer(features.pooled)


def test_a_sound_one_passes():
    check_head(Mean)
    assert {row.outcome for row in report("head", Mean).values()} <= {"yes", "n/a"}


@pytest.mark.parametrize(
    "members, rows, complaint",
    [
        (
            {"forward": lambda self, features: self.layer(features.pooled).mean()},
            ["one row per item", "batch of 1", "anisotropic patch"],
            "one row per item",
        ),
        ({"dense": True}, ["one row per item", "batch of 1", "anisotropic patch"], "must return 5 axes"),
        ({"forward": lambda self, features: self.layer(features.pooled) / 0}, ["finite", "bf16"], "finite"),
        (
            {"forward": lambda self, features: self.layer(features.pooled.detach())},
            ["gradient reaches the network"],
            "reaches the backbone",
        ),
        ({"__init__": idle_layer}, ["gradient reaches every parameter"], "no gradient reaches idle.weight"),
        (
            {"forward": lambda self, features: self.layer(features.pooled) + next(NUMBERS)},
            ["same seed, same answer", "state dict round trip", "compiled"],
            "equal seeds",
        ),
        (
            {"__init__": hidden_weight, "forward": lambda self, features: self.layer(features.pooled) + self.hidden[0]},
            ["state dict round trip"],
            "with equal state",
        ),
        (
            {"forward": lambda self, features: self.layer(features.pooled) + torch.compiler.is_compiling()},
            ["compiled"],
            "compiled",
        ),
    ],
)
def test_broken_promises(members, rows, complaint, breaks):
    breaks("head", broken(Mean, **members), rows, complaint)


def test_what_it_refuses_is_no_break():
    check_head(broken(Mean, forward=picky))
    row = report("head", broken(Mean, forward=picky))["batch of 1"]
    assert (row.outcome, row.note) == ("refused", "mean compares items: give it two at least")
