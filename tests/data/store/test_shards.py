"""Packed stores: read in place, on disk and over HTTP on 127.0.0.1."""

import json
import pickle
import re
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from umzoo.data.loading.config import DataConfig
from umzoo.data.loading.loader import Loader
from umzoo.data.loading.open_store import open_store
from umzoo.data.preparing.maintenance import verify
from umzoo.data.store import remote
from umzoo.data.store.halves import make_half
from umzoo.data.store.remote import as_url, located
from umzoo.data.store.shards import pack
from umzoo.data.store.targets import update_targets
from umzoo.data.store.writer import StoreWriter
from umzoo.engine.recipe import load_recipe
from umzoo.engine.run import Run, open_data, open_run
from umzoo.errors import DataError

CONFIG = DataConfig(patch_size=(8, 8, 8), scales=(1.0, 2.0), batch_size=4, workers=0)


@pytest.fixture
def packed(tiny_store, tmp_path):
    pack(tiny_store.path, tmp_path / "packed", size=150_000)
    return tmp_path / "packed"


def batch(store):
    with Loader(store, CONFIG, 0) as loader:
        return next(loader)["voxels"]


def test_a_packed_store_is_the_same_in_few_files(tiny_store, packed):
    store = open_store(packed)
    shards = sorted(packed.glob("shard-*.bin"))
    assert 1 < len(shards) < len(store) == 6 and not (packed / "volumes").exists()
    for index, record in enumerate(store.records):
        assert record == tiny_store.records[index]
        assert np.array_equal(
            store.read(index, (0, 0, 0), record.shape), tiny_store.read(index, (0, 0, 0), record.shape)
        )
    assert (batch(store) == batch(tiny_store)).all()
    some = open_store(packed, only=("v4", "v1"))
    assert np.array_equal(some.read(1, (3, 4, 5), (9, 9, 9)), tiny_store.read(1, (3, 4, 5), (9, 9, 9)))
    members = np.arange(6)
    assert store.stored_bytes(members) == tiny_store.stored_bytes(members) == sum(it.stat().st_size for it in shards)
    assert pickle.loads(pickle.dumps(store)).read(0, (0, 0, 0), (1, 1, 1)).shape == (1, 1, 1)


def test_copies_at_half_the_resolution_are_packed_too(tiny_store, tmp_path):
    for name in ("v0", "v3"):
        make_half(tiny_store.path, name)
    assert pack(tiny_store.path, tmp_path / "packed")[0] == 6
    whole, store = open_store(tiny_store.path), open_store(tmp_path / "packed")
    assert [store.has_half(index) for index in range(6)] == [name in ("v0", "v3") for name in store.records.ids]
    for index in range(6):
        one, other = (it.read_half(index, (1, 2, 3), (5, 6, 6)) for it in (store, whole))
        assert np.array_equal(one, other)
    assert (batch(store) == batch(whole)).all() and verify(tmp_path / "packed").sound
    end = max(int(store.place(f"{name}.half")["offset"]) for name in ("v0", "v3"))
    shard = tmp_path / "packed" / "shard-00000.bin"
    content = bytearray(shard.read_bytes())
    content[end + 40] ^= 1
    shard.write_bytes(content)
    assert list(verify(tmp_path / "packed").damaged) == ["v3"]


def test_damage_in_a_shard_is_found_and_named(packed):
    assert verify(packed).sound
    shard = sorted(packed.glob("shard-*.bin"))[0]
    content = bytearray(shard.read_bytes())
    content[100] ^= 1
    shard.write_bytes(content)
    assert list(verify(packed).damaged) == ["v0"]


def test_what_cannot_be_packed_is_refused(tiny_store, packed, tmp_path):
    with pytest.raises(DataError, match="already exists"):
        pack(tiny_store.path, packed)
    with pytest.raises(DataError, match="is already packed"):
        pack(packed, tmp_path / "twice")
    with pytest.raises(DataError, match="is packed, so it is read-only"):
        StoreWriter(packed)
    (tiny_store.path / "volumes" / "v3.b2nd").unlink()
    with pytest.raises(DataError, match="v3: the array cannot be read"):
        pack(tiny_store.path, tmp_path / "third")
    assert not (tmp_path / "third").exists()


class Ranges(BaseHTTPRequestHandler):
    """Serves a folder, whole files and ranges of bytes; fails as often as it is told to."""

    def do_GET(self):
        file, asked = self.server.folder / self.path.lstrip("/"), self.headers.get("Range")
        self.server.log.append((self.path, asked))
        if self.server.failures:
            self.server.failures -= 1
            self.send_error(503)
            return
        if not file.is_file():
            self.send_error(404)
            return
        content = file.read_bytes()
        if asked:
            start, end = map(int, re.fullmatch(r"bytes=(\d+)-(\d+)", asked).groups())
            content = content[start : end + 1]
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments):
        pass


@contextmanager
def serving(folder):
    with ThreadingHTTPServer(("127.0.0.1", 0), Ranges) as server:
        server.folder, server.log, server.failures = folder, [], 0
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def server(packed, tmp_path, monkeypatch):
    pytest.importorskip("aiohttp")
    monkeypatch.setenv("UMZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(remote, "PAUSE", 0.001)
    with serving(packed) as server:
        server.url = f"http://127.0.0.1:{server.server_port}"
        yield server


def test_over_http_volumes_are_read_by_range_and_once(server, tiny_store):
    store = open_store(server.url)
    assert [path for path, _ in server.log] == ["/store.json", "/index.jsonl", "/shards.npy", "/targets.json"]
    asked = len(server.log)
    assert np.array_equal(store.read(2, (1, 2, 3), (9, 9, 9)), tiny_store.read(2, (1, 2, 3), (9, 9, 9)))
    ((path, span),) = server.log[asked:]
    first, last = map(int, re.findall(r"\d+", span))
    assert path.startswith("/shard-") and last - first + 1 == (tiny_store.path / "volumes" / "v2.b2nd").stat().st_size
    assert (batch(store) == batch(tiny_store)).all()
    asked = len(server.log)
    again = open_store(Path(server.url))  # as the command line gives it
    assert (batch(again) == batch(tiny_store)).all()
    assert len(server.log) == asked + 4, "volumes are kept"


def test_over_http_targets_and_small_copies_come_too(server, tiny_store, packed):
    make_half(tiny_store.path, "v2")
    update_targets(tiny_store.path, {"v1": {"age": "40"}, "v2": {"age": "60"}}, tiny_store.records.ids)
    server.folder = packed.with_name("again")
    pack(tiny_store.path, server.folder)
    store = open_store(server.url)
    assert store.targets.values["age"].tolist()[1:3] == [40, 60]
    asked = len(server.log)
    half = open_store(tiny_store.path).read_half(2, (0, 0, 0), (4, 4, 4))
    assert np.array_equal(store.read_half(2, (0, 0, 0), (4, 4, 4)), half)
    assert len(server.log) == asked + 1 and store.read_half(1, (0, 0, 0), (4, 4, 4)) is None


def test_a_server_that_stumbles_is_asked_again(server, tiny_store):
    store = open_store(server.url)
    server.failures = 2
    assert store.read(0, (0, 0, 0), (4, 4, 4)).shape == (4, 4, 4)
    server.failures = 3
    with pytest.raises(DataError, match="cannot be downloaded"):
        store.read(1, (0, 0, 0), (4, 4, 4))


def test_the_oldest_volumes_make_room(server, tiny_store, monkeypatch):
    monkeypatch.setenv(remote.LIMIT, str(2.5 * (tiny_store.path / "volumes" / "v0.b2nd").stat().st_size / 1e9))
    store = open_store(server.url)
    for index in (0, 1, 2, 3, 0):
        store.read(index, (0, 0, 0), (4, 4, 4))
    assert len(list(store.path.glob("volumes/*.b2nd"))) == 2


def test_a_run_remembers_the_address(server, tmp_path):
    run = Run(tmp_path / "run", load_recipe("universal_tiny"), Path(server.url))
    run.begin(open_data(run).records.ids)
    assert json.loads((run.folder / "run.json").read_text())["data"] == server.url
    assert len(open_data(open_run(run.folder))) == 6


def test_where_there_is_no_store(server):
    with pytest.raises(DataError, match="is missing: expected a store written by 'umzoo store pack'"):
        open_store(f"{server.url}/elsewhere")
    with pytest.raises(DataError, match="requires a package for nosuch://"):
        open_store("nosuch://bucket/store")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://bucket/a/", "s3://bucket/a"),
        (Path("hf://datasets/lab/scans"), "hf://datasets/lab/scans"),
        ("C:/data", None),
        ("/data/x:y", None),
        ("data", None),
    ],
)
def test_what_is_an_address(text, expected):
    assert as_url(text) == expected
    assert located(Path(text)) == (expected or str(Path(text).resolve()))
