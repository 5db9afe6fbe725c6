"""Connections that break, servers that are busy, bytes that change on the way, disks that are full."""

import resource
import time

import pytest
from huggingface_hub import constants

import umzoo
from umzoo.errors import WeightsError

from .conftest import same
from .server import Fault


@pytest.fixture
def stored(commit, hub):
    """Where the tensors of ``org/name`` are served from."""
    return f"/lfs/{hub.files('org/name')['model.safetensors'].oid}"


def test_a_cut_download_goes_on_where_it_stopped(backbone, stored, hub, monkeypatch):
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 500)
    hub.faults[stored] = Fault(cut=1000, times=1)
    assert same(umzoo.from_pretrained("org/name"), backbone)
    asked = [request.headers["Range"] for request in hub.requests if request.path == stored]
    assert asked == [None, "bytes=1000-"]


def test_a_reset_is_tried_again(backbone, stored, hub):
    hub.faults[stored] = Fault(reset=1000, times=2)
    assert same(umzoo.from_pretrained("org/name"), backbone)


def test_resets_without_end_are_an_error(stored, hub):
    hub.faults[stored] = Fault(reset=1000)
    with pytest.raises(WeightsError, match="model.safetensors of org/name could not be downloaded from the Hub"):
        umzoo.from_pretrained("org/name")
    assert 5 <= hub.count("GET", stored) <= 40


@pytest.mark.parametrize("path", ["/lfs/", "/org/name/resolve/", "/api/models/org/name"])
def test_a_busy_server_is_asked_again_when_it_says(backbone, commit, hub, path):
    hub.faults[path] = Fault(503, {"Retry-After": "1"}, times=1, method="GET")
    start = time.monotonic()
    assert same(umzoo.from_pretrained("org/name"), backbone)
    assert 1 <= time.monotonic() - start < 10


def test_a_server_that_stays_busy_is_an_error(stored, hub):
    hub.faults[stored] = 503
    with pytest.raises(WeightsError, match="model.safetensors of org/name could not be downloaded from the Hub: .*503"):
        umzoo.from_pretrained("org/name")
    hub.faults[stored] = Fault(503, {"Retry-After": "3600"})
    hub.requests.clear()
    with pytest.raises(WeightsError, match="503"):
        umzoo.from_pretrained("org/name")


@pytest.mark.parametrize("path", ["/lfs/", "/org/name/resolve/"])
def test_a_byte_that_flips_on_the_way_is_noticed_and_fetched_again(backbone, commit, hub, path):
    hub.faults[path] = Fault(flip=True, times=1, method="GET")
    assert same(umzoo.from_pretrained("org/name"), backbone)


def test_a_byte_that_flips_in_the_cache_is_fetched_again(backbone, stored, commit, hub, tmp_path, request):
    umzoo.from_pretrained("org/name")
    blob = next(tmp_path.glob("hf/hub/*/snapshots/*/model.safetensors")).resolve()
    content = blob.read_bytes()
    for load in (umzoo.from_pretrained, lambda ref: umzoo.transfer(ref, umzoo.create_model("genesis_unet", width=1))):
        blob.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        hub.requests.clear()
        load("org/name")
        assert hub.count("GET", stored) == 1
        assert blob.read_bytes() == content
    blob.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    request.getfixturevalue("offline")
    with pytest.raises(WeightsError, match="damaged and was removed from the cache: load it again with"):
        umzoo.from_pretrained("org/name")
    with pytest.raises(WeightsError, match="the cache lacks model.safetensors"):
        umzoo.from_pretrained("org/name")


def test_a_slow_server_is_waited_for(backbone, stored, hub):
    hub.faults[stored] = Fault(pause=0.1)
    assert same(umzoo.from_pretrained("org/name"), backbone)


def test_a_full_disk_is_said_once_and_leaves_nothing_behind(backbone, stored, hub, tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(WeightsError, match="model.safetensors of org/name .*File too large"):
            umzoo.from_pretrained("org/name")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert hub.count("GET", stored) == 1
    assert not list(tmp_path.glob("hf/hub/*/snapshots/*/model.safetensors"))
    assert same(umzoo.from_pretrained("org/name"), backbone)
