"""Downloads by address from servers that mean harm: too much, too slow, or from elsewhere."""

import socket
import socketserver
import threading
import time
import zipfile
from urllib.error import HTTPError
from urllib.request import Request

import pytest

from umzoo.errors import WeightsError
from umzoo.hub.client import Access
from umzoo.hub.pulling import http_download as web
from umzoo.hub.pulling.addresses import Place, place_of_address
from umzoo.hub.pulling.http_download import download, file_name
from umzoo.hub.pulling.original_files import _require_small, brought


@pytest.fixture
def serve():
    """A function that starts a server, which answers every request with *answer(socket)*; returns its address."""
    servers = []

    def start(answer):
        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                self.request.recv(65536)
                try:
                    answer(self.request)
                except OSError:
                    return

        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}/w.pth"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def endless(client):
    client.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
    while True:
        client.sendall(bytes(1 << 16))


def announcing(count):
    def answer(client):
        client.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % count)
        endless(client)

    return answer


def dripping(client):
    client.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        client.sendall(b"x")
        time.sleep(0.05)


def dripping_headers(client):
    client.sendall(b"HTTP/1.0 200 OK\r\nX: ")
    while True:
        client.sendall(b"x")
        time.sleep(0.05)


def sending_to(address):
    def answer(client):
        client.sendall(f"HTTP/1.0 302 Found\r\nLocation: {address}\r\nContent-Length: 0\r\n\r\n".encode())

    return answer


def test_the_next_address_of_a_name_is_tried(serve, tmp_path, monkeypatch):
    """An IPv6 address without a route, as many machines have, before the one that answers."""
    address, real = serve(announcing(0)), socket.getaddrinfo
    tried = []

    def two(host, *arguments, **options):
        family, kind, protocol, name, place = real(host, *arguments, **options)[0]
        tried.append(place)
        return [(family, kind, protocol, name, ("127.0.0.1", 9)), (family, kind, protocol, name, place)]

    monkeypatch.setattr(web.socket, "getaddrinfo", two)
    download(address, tmp_path / "w", True)
    assert tried and (tmp_path / "w").read_bytes() == b""


def test_an_endless_file_is_given_up(serve, tmp_path, monkeypatch):
    monkeypatch.setattr(web, "MAX_UNANNOUNCED", 1 << 20)
    with pytest.raises(WeightsError, match="more than the allowed 1,048,576 bytes"):
        download(serve(endless), tmp_path / "w", True)
    assert (tmp_path / "w").stat().st_size <= 1 << 20


@pytest.mark.parametrize(
    ("count", "size", "message"), [(10**15, 0, "at most"), (2000, 1000, "at most 1,000"), (30 << 30, 0, "room for")]
)
def test_too_large_files_are_refused_by_what_is_announced(serve, tmp_path, monkeypatch, count, size, message):
    monkeypatch.setattr(web.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1 << 30}))
    with pytest.raises(WeightsError, match=message):
        download(serve(announcing(count)), tmp_path / "w", True, size)
    assert not (tmp_path / "w").exists()


def test_more_than_recorded_is_not_taken(serve, tmp_path):
    with pytest.raises(WeightsError, match="more than the allowed 1,000 bytes"):
        download(serve(endless), tmp_path / "w", True, 1000)


def test_slow_servers_are_given_up(serve, tmp_path, monkeypatch):
    monkeypatch.setattr(web, "OPENING", 0.5)
    with pytest.raises(WeightsError, match="too slowly"):
        download(serve(dripping), tmp_path / "w", True)
    with pytest.raises(WeightsError, match="not respond completely"):
        download(serve(dripping_headers), tmp_path / "w", True)


@pytest.mark.parametrize(
    "target", ["ftp://127.0.0.1/x", "file:///etc/passwd", "data:,x", "gopher://x/y"], ids=lambda it: it[:4]
)
def test_redirects_lead_to_web_addresses_only(serve, tmp_path, target):
    with pytest.raises((WeightsError, HTTPError), match="not a web address|not allowed"):
        download(serve(sending_to(target)), tmp_path / "w", True)


def test_redirects_without_end(serve, tmp_path):
    address = serve(lambda client: sending_to(address)(client))
    with pytest.raises(OSError, match="redirect"):
        download(address, tmp_path / "w", True)


PRIVATE = [
    "http://127.0.0.1/w.pth",
    "http://localhost/w.pth",
    "https://x.localhost/w.pth",
    "http://[::1]/w.pth",
    "http://[::ffff:10.0.0.1]/w.pth",
    "http://10.1.2.3/w.pth",
    "http://169.254.169.254/latest/meta-data",
    "http://192.168.0.1:8080/w.pth",
    "http://0.0.0.0/w.pth",
    "http://2130706433/w.pth",
    "http://0x7f.1/w.pth",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_refused(monkeypatch, address):
    monkeypatch.delenv("UMZOO_ALLOW_PRIVATE", raising=False)
    with pytest.raises(WeightsError, match="only public servers are allowed"), brought(Place(address), Access()):
        pass


def test_names_are_judged_by_where_they_lead(monkeypatch, tmp_path):
    """A public name may point anywhere; what was looked up is what is connected to."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (number, 80)) for number in ("8.8.8.8", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    monkeypatch.setattr(socket, "create_connection", lambda *_: pytest.fail("it connected"))
    with pytest.raises(WeightsError, match=r"10\.0\.0\.1, of this machine or a private network"):
        download("http://weights.example.org/w.pth", tmp_path / "w")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("http://127.0.0.1/x", "not encrypted"),
        ("https://127.0.0.1/x", "only public"),
        ("https://[::1]/", "only public"),
    ],
)
def test_public_servers_cannot_send_on_to_private_ones(target, message):
    request = Request("https://weights.example.org/w.pth")
    with pytest.raises(WeightsError, match=message):
        web._Redirects(False).redirect_request(request, None, 302, "Found", {}, target)


def test_private_servers_are_asked_if_that_is_meant(serve, tmp_path):
    def answer(client):
        client.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")

    download(serve(answer), tmp_path / "w", allow_private=True)
    assert (tmp_path / "w").read_bytes() == b"ok"


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://a/b/c.pth", "c.pth"),
        ("https://a/..", "file"),
        ("https://a/%2e%2e%2fc", "c"),
        ("https://a/%1b]0;x%07.zip", "__0_x_.zip"),
        ("https://a/" + "x" * 300 + ".zip", "x" * 96 + ".zip"),
        ("https://a/%00", "_"),
    ],
)
def test_names_of_files_are_harmless(address, name):
    assert file_name(address) == name


@pytest.mark.parametrize(
    "address",
    [
        "https://[::1",
        "https://",
        "https://x",
        "https://me:secret@x/y.pth",
        "https://x/\x1b]0;y",
        "http://[x]/y",
        "https://huggingface.co/a/b/resolve/main/%2e%2e/x",
        "https://huggingface.co/a/b/tree/%1b",
    ],
)
def test_malformed_addresses(address):
    with pytest.raises(WeightsError) as failure:
        place_of_address(address)
    assert "secret" not in str(failure.value)


def test_archives_may_not_grow_without_bounds(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("w", bytes(50 << 20))
    assert (tmp_path / "w.zip").stat().st_size < 100_000
    with pytest.raises(ValueError, match="at most"):
        _require_small(tmp_path / "w.zip")
