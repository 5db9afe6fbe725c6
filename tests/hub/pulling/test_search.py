"""Looking for weights and at them, without downloading them; the commands that share them."""

import pytest

import umzoo
from umzoo.errors import WeightsError
from umzoo.hub.client import Access
from umzoo.hub.pulling.search import look, search
from umzoo.plugins import zoo
from umzoo.weights.catalog.entry import WeightsEntry

from ..conftest import same
from ..routes import STRANGER


def test_search(folder, hub):
    umzoo.push_to_hub(folder, "org/first", private=False)
    umzoo.push_to_hub(folder, "org/second")
    hub.repositories["org/other"] = type(hub.repositories["org/first"])(private=False)
    hub.repositories["org/other"].add({}, "no umzoo")
    assert [it.repository for it in search()] == ["org/first", "org/second"]
    assert [it.repository for it in search(access=Access(token=STRANGER))] == ["org/first"]
    (found,) = search("SECOND")
    assert (found.license, found.private, found.gated) == ("mit", True, False)
    assert "genesis_unet" in found.tags and len(search(limit=1)) == 1 and search("nothing") == []


def test_search_needs_the_hub(hub, request):
    hub.faults["/api/models"] = 400
    with pytest.raises(WeightsError, match="cannot search the Hub: .*HTTP 400"):
        search()
    request.getfixturevalue("offline")
    with pytest.raises(WeightsError, match="cannot search the Hub offline"):
        search()


def test_looking_downloads_no_tensors(backbone, commit, hub, request):
    seen = look("org/name")
    stored = hub.files("org/name")["model.safetensors"]
    assert seen.where == f"org/name@{commit}"
    assert seen.sizes == {"model.safetensors": len(stored.content)}
    assert (seen.tensors, seen.values) == (
        len(backbone.state_dict()),
        sum(v.numel() for v in backbone.state_dict().values()),
    )
    assert seen.repository["visibility"] == "private"
    ranges = [request.headers["Range"] for request in hub.requests if request.path == f"/lfs/{stored.oid}"]
    assert ranges == ["bytes=0-100000"]
    hub.requests.clear()
    request.getfixturevalue("offline")
    assert look("org/name").info == seen.info and look("org/name").values is None
    assert hub.requests == []


def test_looking_at_what_is_gated(commit, hub):
    look("org/name")
    hub.repositories["org/name"].private, hub.repositories["org/name"].gated = False, True
    with pytest.raises(WeightsError, match="request access on its page"):
        look("org/name", access=Access(token=STRANGER, force_download=True))


def test_commands(backbone, folder, hub, run, tmp_path, monkeypatch):
    url = run("push", folder, "org/name", "--license", "cc-by-4.0", "--tag", "v1", "--message", "First").split()[-1]
    assert url.endswith(f"{hub.url}/org/name/commit/{hub.repositories['org/name'].resolve('v1')[0]}")
    assert hub.repositories["org/name"].private and hub.repositories["org/name"].messages[-1] == "First"
    assert "org/name (private)" in run("search", "name") and "cc-by-4.0" in run("search")
    assert "match 'zzz'" in run("search", "zzz")
    output = run("info", "org/name@v1")
    assert "cc-by-4.0" in output and "MB" in output and "values" in output
    assert "genesis_unet.custom" in run("info", "--offline", "org/name@v1")
    with pytest.raises(WeightsError, match="not in the cache"):
        run("info", "--offline", "org/name@v2")
    assert "install there: umzoo" in run("bundle", "org/name@v1", tmp_path / "b.tar")
    hub.stop()
    assert "genesis_unet.custom" in run("unbundle", tmp_path / "b.tar", tmp_path / "unpacked")
    assert same(umzoo.from_pretrained(tmp_path / "unpacked"), backbone)
    assert run("push", "--help").count("--public")


def test_list_of_registered_weights(run, monkeypatch, tmp_path):
    assert "no registered weights match 'zzz*': look on the Hub" in run("list", "--pretrained", "zzz*")
    entry = WeightsEntry("genesis_unet.lab", "org/name", "mit", revision="0" * 40, description="A test.")
    monkeypatch.setitem(zoo().weights._entries, entry.name, entry)
    monkeypatch.setitem(zoo().weights._owners, entry.name, "by hand")
    monkeypatch.setenv("UMZOO_CACHE", str(tmp_path))  # the listing that is kept lacks the entry
    output = run("list", "--pretrained", "genesis*")
    assert all(part in output for part in ("genesis_unet.lab", "org/name@000000000000", "mit", "A test."))
    assert umzoo.list_models("genesis*", pretrained=True) == ["genesis_unet.chest_ct", "genesis_unet.lab"]
