"""Answers that no Hub gives: lists in the place of tables, other types, no JSON; each ends in one line."""

import json
import struct

import pytest

import umzoo
from umzoo.errors import UmzooError, WeightsError
from umzoo.hub.pulling.search import look, search

from .server import Fault


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    """New tries come at once."""
    monkeypatch.setattr("umzoo.hub.retry.time.sleep", lambda seconds: None)


ANSWERS = {
    "a list": b"[]",
    "a list of lists": b"[[1], [2]]",
    "a text": b'"x"',
    "nothing": b"null",
    "a number": b"5",
    "an empty table": b"{}",
    "no bytes": b"",
    "a web page": b"<html>moved</html>",
    "cut short": b'{"id": ',
    "Latin-1": b'{"id": "\xe9"}',
    "nested": b"[" * 100_000,
    "other types": json.dumps({
        "id": 5, "sha": [], "siblings": 5, "tags": {"a": 1}, "private": "x", "downloads": "x", "cardData": [],
        "lastModified": 5, "files": 5, "errors": 5, "objects": 5, "branches": {}, "tags ": 1, "discussions": 5,
    }).encode(),
    "other types in lists": json.dumps([{"id": [], "siblings": [5], "tags": [5], "downloads": [], "path": 5}]).encode(),
    "other types within": json.dumps({
        "id": "org/name", "sha": "x", "siblings": [[1]], "tags": [1], "branches": [5], "files": [[]], "objects": [5],
    }).encode(),
}  # fmt: skip


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
def test_answers_about_repositories(folder, commit, hub, answer):
    for fault in (Fault(200, {"Content-Type": "application/json"}, answer), Fault(404, {}, answer)):
        hub.faults["/api/"] = fault
        asked = {
            "load": lambda: umzoo.from_pretrained("org/name"),
            "look": lambda: look("org/name"),
            "push": lambda: umzoo.push_to_hub(folder, "org/name"),
            "push anew": lambda: umzoo.push_to_hub(folder, "org/other", create_pr=True),
            "search": lambda: search("name"),
        }
        for ask in asked.values():
            try:
                ask()
            except UmzooError as error:
                assert "\n" not in str(error) and len(str(error)) < 600


HEADERS = (
    *(b"[]", b"null", b'"x"', b"[" * 5000, b'{"a": 5}', b'{"a": {"dtype": 5, "shape": 5}}'),
    b'{"a": {"dtype": "F32", "shape": ["x"], "data_offsets": [0, 4]}}',
    b'{"__metadata__": [], "a": {"dtype": "F32", "shape": {}, "data_offsets": 5}}',
)


@pytest.mark.parametrize("answer", HEADERS)
def test_headers_of_tensors(commit, hub, answer):
    """They are not known then, and all else is."""
    hub.faults[f"/lfs/{hub.files('org/name')['model.safetensors'].oid}"] = Fault(
        200, {}, struct.pack("<Q", len(answer)) + answer
    )
    found = look("org/name")
    assert found.info.name and (found.tensors, found.values) == (None, None)


@pytest.mark.parametrize("headers", [
    {}, {"ETag": ""}, {"ETag": "[]", "X-Repo-Commit": "a" * 40}, {"ETag": '"a"', "X-Repo-Commit": "main"},
    {"ETag": '"a"', "X-Repo-Commit": "a" * 40, "X-Linked-Size": "x"},
    {"ETag": '"a"', "X-Repo-Commit": "a" * 40, "Content-Length": "x"},
    {"ETag": '"a"', "X-Repo-Commit": "a" * 40, "Location": "nowhere:"},
])  # fmt: skip
def test_headers_of_files(commit, hub, headers):
    for status in (200, 302):
        hub.faults["/org/name/resolve/"] = Fault(status, headers, b"[]")
        with pytest.raises(WeightsError) as caught:
            umzoo.from_pretrained("org/name")
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 600
