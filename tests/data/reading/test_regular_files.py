from __future__ import annotations

import os
from pathlib import Path

import pytest

from umzoo.data.reading.regular_files import oddity, read_json
from umzoo.errors import DataError


def test_what_is_no_file_says_what_it_is(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "self").symlink_to("self")
    (tmp_path / "gone").symlink_to("annex/object")
    (tmp_path / "file").write_text("x")
    assert oddity(tmp_path / "file") == ""
    assert oddity(tmp_path / "pipe") == "a named pipe, not a file"
    assert "points to itself" in oddity(tmp_path / "self")
    assert "fetch" in oddity(tmp_path / "gone")
    assert oddity(tmp_path / "absent") == "no such file"
    assert "a device" in oddity(Path("/dev/null"))
    assert "no file can have" in oddity(tmp_path / "nul\0")
    assert "no file can have" in oddity(tmp_path / "half\ud800")


def test_what_nobody_may_read(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("x")
    monkeypatch.setattr("umzoo.data.reading.regular_files.os.access", lambda path, mode: False)
    assert oddity(tmp_path / "file").startswith("permission denied")


@pytest.mark.parametrize(
    "content, problem",
    [
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a": ', "is damaged"),
        (b'{"a": "\xe9"}', "utf-8"),
        (b'{"a": \0}', "is damaged"),
        (b"[1]", "expected a table, got list"),
    ],
)
def test_json_that_is_none(tmp_path, content, problem):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(DataError, match=problem) as caught:
        read_json(tmp_path / "x.json")
    assert "x.json" in str(caught.value) and "\n" not in str(caught.value)


def test_json_with_a_mark_and_none_at_all(tmp_path):
    (tmp_path / "x.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json(tmp_path / "x.json") == {"a": 1}
    assert read_json(tmp_path / "absent.json") == {}
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(DataError, match="a named pipe"):
        read_json(tmp_path / "pipe.json")
