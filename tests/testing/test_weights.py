"""Registered weights have a name and a licence."""

import pytest

from umzoo.testing import check_weights
from umzoo.weights.entry import WeightsEntry


@pytest.mark.parametrize(
    "changes, rows, complaint",
    [
        ({"name": "genesis_unet"}, ["name is architecture.tag"], "architecture.tag, got 'genesis_unet'"),
        ({"licence": "unknown"}, ["licence stated"], "must be stated, got 'unknown'"),
        ({"licence": " "}, ["licence stated"], "must be stated"),
        ({"licence": "other"}, ["licence stated"], "needs a licence_link"),
    ],
)
def test_broken_promises(changes, rows, complaint, breaks):
    sound = {"name": "genesis_unet.lab", "location": "org/name", "licence": "mit"}
    check_weights(WeightsEntry(**sound))
    breaks("weights", WeightsEntry(**{**sound, **changes}), rows, complaint)


def test_a_licence_of_its_own_has_a_link():
    check_weights(WeightsEntry("a.b", "org/name", "other", licence_link="https://example.org/licence"))
