"""Each broken promise of an importer is found, in its row."""

import pytest
import torch

import umzoo
from umzoo.errors import ConfigError, WeightsError
from umzoo.testing import check_importer
from umzoo.weights.importers.base import Importer
from umzoo.weights.importers.checkpoint import read_state

from .conftest import broken, report


class Reader(Importer):
    """Take one tensor."""

    name = "reader"

    def run(self, source, out, license="unknown"):
        if "weight" not in read_state(source):
            raise WeightsError(f"{source} holds no 'weight'")


def unpickles(self, source, out, license="unknown"):
    if "weight" not in torch.load(source, weights_only=True):
        raise WeightsError("no weight")


def trusts(self, source, out, license="unknown"):
    read_state(source)


def begins(self, source, out, license="unknown"):
    out.mkdir()
    Reader.run(self, source, out)


def raises(error):
    def run(self, source, out, license="unknown"):
        raise error

    return run


class Bare(umzoo.Config):
    """An option without a description."""

    tag: str = ""


def test_a_sound_one_passes():
    check_importer(Reader)
    assert {row.outcome for row in report("importer", Reader).values()} == {"yes"}


@pytest.mark.parametrize(
    "members, rows, complaint",
    [
        ({"Config": Bare}, ["options documented"], "description: tag"),
        (
            {"run": unpickles},
            ["refuses what is not a checkpoint"],
            "a missing file must raise a WeightsError, got FileNotF",
        ),
        ({"run": trusts}, ["refuses other tensors"], "unknown network must raise a WeightsError, got nothing"),
        ({"run": begins}, ["refusals leave nothing behind"], "a missing file left out behind"),
        (
            {"run": raises(WeightsError("a\nb"))},
            ["refuses what is not a checkpoint", "refuses other tensors"],
            "must be one line",
        ),
        (
            {"run": raises(ConfigError("no"))},
            ["refuses what is not a checkpoint", "refuses other tensors"],
            "got ConfigError: no",
        ),
    ],
)
def test_broken_promises(members, rows, complaint, breaks):
    breaks("importer", broken(Reader, **members), rows, complaint)
