"""Downloads a file from a web address, with limits: public servers, size, time, number of redirects."""

from __future__ import annotations

import ipaddress
import re
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from umzoo import __version__
from umzoo.errors import WeightsError
from umzoo.printable import printable

TIMEOUT = 30.0
"""Maximum seconds of silence of a server."""
OPENING = 60.0
"""Maximum seconds until the first byte of the file; the speed is checked after that time."""
SLOWEST = 10_000
"""Minimum average speed in bytes per second."""
LONGEST = 24 * 3600.0
"""Maximum seconds of a download."""
MAX_BYTES, MAX_UNANNOUNCED = 32 << 30, 4 << 30
"""Maximum bytes of a file, if the server announces its size and if it does not."""
MAX_REDIRECTS = 5


def file_name(address: str) -> str:
    """Return a file name for *address*, of letters, digits, ``_``, ``-`` and ``.``."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", Path(unquote(urlsplit(address).path)).name)[-100:].lstrip(".")
    return name or "file"


def download(address: str, file: Path, allow_private: bool = False, size: int = 0) -> None:
    """Download the web *address* to *file*.

    Args:
        address: ``https://`` or ``http://``.
        file: file to write; it is overwritten.
        allow_private: also allow this machine and private networks.
        size: maximum bytes; 0 is the size announced by the server, or else ``MAX_UNANNOUNCED``.

    Raises:
        OSError: if the server cannot be reached or refuses, or if the connection breaks.
        WeightsError: if the server or the file breaks a limit; a retry would not help.
    """
    with _opened(address, allow_private) as response:
        announced = _announced(response)
        _require_room(announced, size, file)
        got = _write(response, file, size or announced or MAX_UNANNOUNCED, announced)
    if announced and got != announced:
        raise ConnectionError(f"the connection broke after {got} of {announced} bytes")


def _announced(response: Any) -> int:
    text = response.headers.get("Content-Length") or ""
    return int(text) if re.fullmatch(r"\d{1,18}", text) else 0


def _require_room(announced: int, size: int, file: Path) -> None:
    most = size or MAX_BYTES
    if announced > most:
        raise WeightsError(f"the server announces {announced:,} bytes, and at most {most:,} are allowed")
    if announced > (free := shutil.disk_usage(file.parent).free):
        raise WeightsError(f"the file has {announced:,} bytes, and {file.parent} has room for {free:,}")


def _write(response: Any, file: Path, most: int, announced: int) -> int:
    from huggingface_hub.utils import tqdm

    begin, got = time.monotonic(), 0
    label = {"unit": "B", "unit_scale": True, "desc": printable(file.name)}
    with file.open("wb") as target, tqdm(total=announced or None, **label) as bar:
        while block := response.read1(1 << 20):
            got += len(block)
            passed = time.monotonic() - begin
            if got > most:
                raise WeightsError(f"it has more than the allowed {most:,} bytes: the download was stopped")
            if passed > LONGEST or (passed > OPENING and got < SLOWEST * passed):
                raise WeightsError(f"it arrives too slowly: {got:,} bytes in {passed:.0f} s; the download was stopped")
            target.write(block)
            bar.update(len(block))
    return got


@contextmanager
def _opened(address: str, allow_private: bool) -> Iterator[Any]:
    """The response of the server, after its headers arrived in time."""
    sockets: list[socket.socket] = []
    opener = _opener(_connector(allow_private, sockets), allow_private)
    late = threading.Event()
    timer = threading.Timer(OPENING, _shut, (sockets, late))
    timer.daemon = True
    timer.start()
    try:
        response = opener.open(Request(address, headers={"User-Agent": f"umzoo/{__version__}"}), timeout=TIMEOUT)
    except (HTTPException, OSError) as error:
        _require_in_time(late)
        if isinstance(error, HTTPException):
            raise ConnectionError(f"{type(error).__name__}: {error}") from None
        raise
    finally:
        timer.cancel()
    with response:
        _require_in_time(late)
        yield response


def _require_in_time(late: threading.Event) -> None:
    if late.is_set():
        raise WeightsError(f"the server did not respond completely in {OPENING:.0f} s")


def _shut(sockets: list[socket.socket], late: threading.Event) -> None:
    late.set()
    for it in sockets:
        try:
            it.shutdown(socket.SHUT_RDWR)
        except OSError:
            continue


def _opener(connect: Callable[..., socket.socket], allow_private: bool) -> OpenerDirector:
    """An opener for ``http`` and ``https`` only."""
    opener = OpenerDirector()
    for handler in (
        ProxyHandler(),
        _Plain(connect),
        _Encrypted(connect),
        HTTPDefaultErrorHandler(),
        _Redirects(allow_private),
        HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


class _Plain(HTTPHandler):
    def __init__(self, connect: Callable[..., socket.socket]) -> None:
        super().__init__()
        self.connect = connect

    def http_open(self, request: Request) -> Any:
        return self.do_open(_with(HTTPConnection, self.connect, request.has_proxy()), request)


class _Encrypted(HTTPSHandler):
    def __init__(self, connect: Callable[..., socket.socket]) -> None:
        super().__init__()
        self.connect = connect

    def https_open(self, request: Request) -> Any:
        tunnel = bool(getattr(request, "_tunnel_host", None))
        return self.do_open(_with(HTTPSConnection, self.connect, tunnel), request)


class _Redirects(HTTPRedirectHandler):
    max_redirections = max_repeats = MAX_REDIRECTS

    def __init__(self, allow_private: bool) -> None:
        self.allow_private = allow_private

    def redirect_request(self, request: Request, *arguments: Any) -> Request | None:
        """Follow redirects to web addresses, but never from ``https`` to ``http``."""
        address = str(arguments[-1])
        if not address.startswith(("https://", "http://")):
            raise WeightsError(f"the server redirects to {address[:200]!r}, which is not a web address")
        if request.full_url.startswith("https://") and not address.startswith("https://"):
            raise WeightsError(f"the server redirects to {address[:200]!r}, which is not encrypted")
        require_public_name(address, self.allow_private)
        return super().redirect_request(request, *arguments)


def _with(kind: Any, connect: Callable[..., socket.socket], proxy: bool) -> Callable[..., Any]:
    """A factory of connections of *kind*. A proxy belongs to the user, and resolves names itself."""

    def make(host: str, **options: Any) -> Any:
        connection = kind(host, **options)
        connection._create_connection = (lambda *it, **more: connect(*it, checked=False, **more)) if proxy else connect
        return connection

    return make


def _connector(allow_private: bool, sockets: list[socket.socket]) -> Callable[..., socket.socket]:
    def connect(address: tuple[str, int], timeout: Any = TIMEOUT, source: Any = None, checked: bool = True) -> Any:
        found = socket.getaddrinfo(address[0], address[1], type=socket.SOCK_STREAM)
        if checked and not allow_private:
            for *_, place in found:
                _require_public(address[0], str(place[0]))
        made = _first_connection([place[:2] for *_, place in found], timeout, source)
        sockets.append(made)
        return made

    return connect


def _first_connection(places: list[Any], timeout: Any, source: Any) -> socket.socket:
    """Connect to the first of *places* (host, port) that answers: an IPv6 address, for example, may have no route."""
    for place in places[:-1]:
        try:
            return socket.create_connection(place, timeout, source)
        except OSError:
            continue
    return socket.create_connection(places[-1], timeout, source)


def require_public_name(address: str, allow_private: bool) -> None:
    """Refuse an *address* whose host is written as this machine or a private network, with or without a proxy.

    Raises:
        WeightsError: if it is, and *allow_private* is not set.
    """
    host = urlsplit(address).hostname or ""
    if allow_private:
        return
    if host == "localhost" or host.endswith(".localhost"):
        _require_public(host, "127.0.0.1")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return
    _require_public(host, host)


def _require_public(host: str, number: str) -> None:
    found = ipaddress.ip_address(number.partition("%")[0])
    found = getattr(found, "ipv4_mapped", None) or getattr(found, "sixtofour", None) or found
    if not found.is_global or found.is_multicast:
        raise WeightsError(
            f"{printable(host)} is {number}, of this machine or a private network, and only public servers are allowed:"
            " to allow it, give --allow-private or set UMZOO_ALLOW_PRIVATE=1"
        )
