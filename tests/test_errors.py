"""Errors that strangers raise, told in umzoo's way."""

import pytest

from umzoo.errors import file_error, in_one_line


def test_a_reason_becomes_one_line():
    assert in_one_line(ValueError("first\n  second\t third\n")) == "first second third"


def test_an_exception_without_a_text_gives_its_class():
    assert in_one_line(KeyboardInterrupt()) == "KeyboardInterrupt"


@pytest.mark.parametrize("length", [19, 20, 21, 500])
def test_a_long_reason_is_cut_where_that_shows(length):
    line = in_one_line("x" * length, 20)
    assert len(line) == min(length, 20)
    assert line.endswith(" ...") == (length > 20)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda folder: (folder / "file" / "sub").mkdir(),
            "file/sub is or lies below a file, where a folder is needed",
        ),
        (lambda folder: (folder / "file").mkdir(), "file exists already: choose"),
        (lambda folder: (folder / "none").read_text(), "none does not exist: check"),
        (lambda folder: folder.read_text(), "is a folder, where a file is needed"),
    ],
)
def test_errors_of_the_system_are_sentences(make, says, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"Errno") as caught:
        make(tmp_path)
    line = file_error(caught.value)
    assert says in line and line.startswith(str(tmp_path)) and "Errno" not in line


def test_an_unknown_error_of_the_system_keeps_its_text():
    assert file_error(OSError("the server is gone")) == "the server is gone"
