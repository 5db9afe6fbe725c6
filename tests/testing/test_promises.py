"""Promises: their order, and what is made once for several."""

import pytest

import umzoo
from umzoo.testing import CHECKS, ConformanceError
from umzoo.testing.promises import Checks, UnreachedError, made_once, promise


class Sample(Checks):
    made = 0

    @made_once
    def thing(self):
        """The thing."""
        Sample.made += 1
        if self.name == "bad":
            raise ValueError("cannot")
        return self.made

    @promise("first")
    def _first(self):
        self.require(self.thing, "no thing")

    @promise("second")
    def _second(self):
        self.require(False, "never holds")


def test_things_are_made_once_for_each():
    Sample.made = 0
    one, other = Sample("a"), Sample("b")
    assert (one.thing, one.thing, other.thing, one.thing) == (1, 1, 2, 1)


def test_failures_are_told_once():
    checks = Sample("bad")
    with pytest.raises(ValueError, match="cannot"):
        checks.thing  # noqa: B018
    with pytest.raises(UnreachedError, match="needs the thing, see above"):
        checks.thing  # noqa: B018


def test_order_and_choice():
    assert [it.title for it in Sample.promises()] == ["first", "second"]
    with pytest.raises(ConformanceError, match="a: never holds"):
        Sample("a").run()
    Sample("a").run("first")


def test_the_error_is_of_both_worlds():
    assert issubclass(ConformanceError, umzoo.UmzooError) and issubclass(ConformanceError, AssertionError)


def test_titles_differ_and_are_short():
    for checks in CHECKS.values():
        titles = [it.title for it in checks.promises()]
        assert len(set(titles)) == len(titles) and max(map(len, titles)) <= 33
