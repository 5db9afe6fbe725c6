"""Errors that strangers raise, told in umzoo's way."""

import pytest

from umzoo.errors import in_one_line


def test_a_reason_becomes_one_line():
    assert in_one_line(ValueError("first\n  second\t third\n")) == "first second third"


def test_an_exception_without_a_text_gives_its_class():
    assert in_one_line(KeyboardInterrupt()) == "KeyboardInterrupt"


@pytest.mark.parametrize("length", [19, 20, 21, 500])
def test_a_long_reason_is_cut_where_that_shows(length):
    line = in_one_line("x" * length, 20)
    assert len(line) == min(length, 20)
    assert line.endswith(" ...") == (length > 20)
