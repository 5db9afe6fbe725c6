"""Registered weights have a name and a license."""

import pytest

from umzoo.testing import check_weights
from umzoo.weights.catalog.entry import WeightsEntry


@pytest.mark.parametrize(
    "changes, rows, complaint",
    [
        ({"name": "genesis_unet"}, ["name is architecture.tag"], "architecture.tag, got 'genesis_unet'"),
        ({"license": "unknown"}, ["license stated"], "must be stated, got 'unknown'"),
        ({"license": "foo"}, ["license stated"], "'foo' is not a known license"),
        ({"license": " "}, ["license stated"], "must be stated"),
        ({"license": "other"}, ["license stated"], "needs a license_link"),
    ],
)
def test_broken_promises(changes, rows, complaint, breaks):
    sound = {"name": "genesis_unet.lab", "location": "org/name", "license": "mit"}
    check_weights(WeightsEntry(**sound))
    breaks("weights", WeightsEntry(**{**sound, **changes}), rows, complaint)


def test_a_license_of_its_own_has_a_link():
    check_weights(WeightsEntry("a.b", "org/name", "other", license_link="https://example.org/license"))
