"""Each broken promise of a corruption is found, in its row."""

import pytest
import torch
from pydantic import Field

import umzoo
from umzoo.errors import ConfigError
from umzoo.testing import check_corruption

from .conftest import broken, report


class Shift(umzoo.Corruption):
    """Add a number per item."""

    name = "shift"

    def draw(self, image, rng):
        return {"by": rng.uniform((len(image), 1, 1, 1, 1), 0, 0.1)}

    def apply(self, image, params):
        return (image + params["by"]).clamp(0, 1)


class Bare(umzoo.Config):
    """An option without a description."""

    p: float = 0.5


class Open(umzoo.Config):
    """Options that take anything."""

    model_config = {"extra": "allow"}


def pairs(self, image, params):
    if len(image) == 1:
        raise ConfigError("needs two")
    return Shift.apply(self, image, params)


def test_a_sound_one_passes():
    check_corruption(Shift)
    assert {row.outcome for row in report("corruption", Shift).values()} <= {"yes", "n/a"}


@pytest.mark.parametrize(
    "members, rows, complaint",
    [
        ({"name": "CamelCase"}, ["name and docstring"], "lower_snake_case"),
        ({"__doc__": ""}, ["name and docstring"], "docstring"),
        ({"Config": Bare}, ["options documented"], "description: p"),
        ({"Config": Open}, ["unknown options refused"], "reject unknown keys"),
        (
            {"draw": lambda self, image, rng: {"by": torch.rand(len(image), 1, 1, 1, 1)}},
            ["draws from rng only", "same seed, same draws", "devices not mixed"],
            "global random state",
        ),
        (
            {"draw": lambda self, image, rng: {"by": torch.zeros(())}},
            ["draws are per item", "items independent", "one item in place"],
            "must be the batch of 4, got ()",
        ),
        (
            {"apply": lambda self, image, params: (image * torch.linspace(0.5, 1, image.shape[-1])).clamp(0, 1)},
            ["devices not mixed"],
            "on a GPU, aten::mul has operands on the device and on the CPU (16,)",
        ),
        (
            {"apply": lambda self, image, params: image.mul_(0.99)},
            ["inputs unchanged"],
            "in place: image",
        ),
        (
            {"apply": lambda self, image, params: image + 1},
            ["values stay in [0, 1]", "batch of 1", "anisotropic patch", "bf16"],
            "must stay in [0, 1], got [1",
        ),
        (
            {"apply": lambda self, image, params: image[..., :8]},
            ["shape and type kept", "one item in place", "batch of 1", "anisotropic patch", "bf16"],
            "must keep shape",
        ),
        (
            {"apply": lambda self, image, params: (image + params["by"][0]).clamp(0, 1)},
            ["items independent", "one item in place"],
            "must not depend",
        ),
        (
            {"apply_item_": lambda self, item, params: item.zero_()},
            ["one item in place"],
            "the same result for an item as apply",
        ),
        (
            {"apply": lambda self, image, params: torch.nn.functional.conv3d(image, torch.ones(1, 1, 1, 1, 1))},
            ["bf16", "devices not mixed"],
            "torch.bfloat16",
        ),
    ],
)
def test_broken_promises(members, rows, complaint, breaks):
    breaks("corruption", broken(Shift, **members), rows, complaint)


def test_what_cannot_be_made_is_told_once():
    rows = report("corruption", broken(Shift, __init__=lambda self, config: 1 / 0))
    assert rows["builds"].outcome == "no" and "ZeroDivisionError" in rows["builds"].note
    later = list(rows.values())[list(rows).index("builds") + 1 : -1]
    assert {row.outcome for row in later} == {"unknown"}
    assert "needs the component, see above" in rows["batch of 1"].note


def test_some_things_may_be_refused():
    component = broken(Shift, apply=pairs, apply_item_=lambda self, item, params: None)
    assert report("corruption", component)["batch of 1"].outcome == "refused"


def test_required_options_are_told():
    class Config(umzoo.Config):
        """Options."""

        p: float = Field(description="probability")

    rows = report("corruption", broken(Shift, Config=Config))
    assert rows["builds"].outcome == "no" and "missing key 'p'" in rows["builds"].note
