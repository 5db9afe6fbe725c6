"""A Hub in one process: the wire, the list of requests, and what goes wrong with them. The answers are in routes.py."""

from __future__ import annotations

import re
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

from .repositories import File, Repository
from .routes import ROUTES
from .wire import RefusalError, Reply, Request


@dataclass
class Fault:
    """What goes wrong with the next *times* requests of *method* (any if empty).

    Attributes:
        status: what is answered instead, with *headers* and *body*.
        cut: the connection is closed after so many bytes of the body.
        reset: the connection is reset after so many bytes of the body.
        flip: the last byte of the body is wrong.
        lost: all is done as asked, and the connection closed without an answer.
        pause: seconds before each quarter of the body.
    """

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int | None = None
    reset: int | None = None
    flip: bool = False
    lost: bool = False
    pause: float = 0.0
    times: int = 10**6
    method: str = ""


class HubServer(ThreadingHTTPServer):
    """The server and all it knows. ``faults`` maps the beginning of a path to a fault, or the status of one."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url, self.storage = (f"http://{name}:{self.server_port}" for name in ("127.0.0.1", "localhost"))
        self.repositories: dict[str, Repository] = {}
        self.objects: dict[str, bytes] = {}
        self.pages: dict[str, bytes] = {}
        self.requests: list[Request] = []
        self.faults: dict[str, int | Fault] = {}
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()

    def files(self, name: str, revision: str = "main") -> dict[str, File]:
        return self.repositories[name].resolve(revision)[1]

    def count(self, method: str, part: str) -> int:
        """How many requests of *method* had *part* in their path."""
        return sum(request.method == method and part in request.path for request in self.requests)

    def fault(self, request: Request) -> Fault:
        """What goes wrong with *request*."""
        for start, fault in self.faults.items():
            chosen = Fault(fault) if isinstance(fault, int) else fault
            if request.path.startswith(start) and chosen.method in ("", request.method) and chosen.times:
                chosen.times -= 1
                return chosen
        return Fault()

    def answer(self, request: Request) -> Reply:
        for methods, pattern, function in ROUTES:
            if request.method in methods.split() and (match := re.fullmatch(pattern, request.path)):
                try:
                    return function(self, request, *(unquote(part) for part in match.groups() if part))
                except RefusalError as refusal:
                    return refusal.reply
        return RefusalError(404, f"no route {request.method} {request.path}").reply


class Handler(BaseHTTPRequestHandler):
    server: HubServer

    def respond(self) -> None:
        request = Request.read(self)
        self.server.requests.append(request)
        fault = self.server.fault(request)
        reply = Reply(fault.body, fault.status, fault.headers) if fault.status else self.server.answer(request)
        if fault.lost:
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            body = reply.body[:-1] + bytes([reply.body[-1] ^ 1]) if fault.flip else reply.body
            self._send(body, fault)

    def _send(self, body: bytes, fault: Fault) -> None:
        end = next((end for end in (fault.cut, fault.reset) if end is not None), len(body))
        size = max(1, len(body) // 4)
        for start in range(0, min(end, len(body)), size):
            time.sleep(fault.pause)
            self.wfile.write(body[start : min(start + size, end)])
        if end < len(body):
            self.close_connection = True
            self.wfile.flush()
        if fault.reset is not None:
            time.sleep(0.05)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.wfile = self.rfile

    do_GET = do_HEAD = do_POST = do_PUT = respond  # noqa: N815

    def log_message(self, *arguments: object) -> None:
        """The list of requests is the log."""
