"""What the tests of the conformance kit share: a report on a component, and subclasses that break a promise."""

import pytest

from umzoo.authoring.check import check_entry
from umzoo.testing import CHECKS, ConformanceError


def broken(base, **members):
    """A subclass of *base* that breaks a promise."""
    return type("Broken", (base,), {"__doc__": base.__doc__, **members})


def report(kind, component, **options):
    """The rows of *component*, by title."""
    checks = CHECKS[kind](component, options) if options else CHECKS[kind](component)
    return {row.check: row for row in check_entry(kind, checks)}


@pytest.fixture
def breaks():
    """Asserts that of all rows of a component just *titles* are ``no``, the first with *complaint*, which raises."""

    def check(kind, component, titles, complaint):
        rows = report(kind, component)
        assert {title for title, row in rows.items() if row.outcome == "no"} == set(titles), rows
        assert complaint in rows[titles[0]].note
        with pytest.raises((ConformanceError, RuntimeError, TypeError)):
            CHECKS[kind](component).run(titles[0])

    return check
