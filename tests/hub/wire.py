"""Requests and replies."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: Message
    body: bytes

    @classmethod
    def read(cls, handler: BaseHTTPRequestHandler) -> Request:
        url = urlsplit(handler.path)
        if "chunked" in handler.headers.get("Transfer-Encoding", ""):
            body = b"".join(iter(lambda: _chunk(handler), b""))
        else:
            body = handler.rfile.read(int(handler.headers["Content-Length"] or 0))
        return cls(handler.command, url.path, parse_qs(url.query), handler.headers, body)

    @property
    def token(self) -> str | None:
        return (self.headers["Authorization"] or "").removeprefix("Bearer ") or None

    def json(self) -> Any:
        return json.loads(self.body)


def _chunk(handler: BaseHTTPRequestHandler) -> bytes:
    chunk = handler.rfile.read(int(handler.rfile.readline(), 16))
    handler.rfile.readline()
    return chunk


@dataclass
class Reply:
    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class RefusalError(Exception):
    """Becomes an answer with status, error code and message."""

    def __init__(self, status: int, message: str, code: str = "", **headers: str):
        headers |= {"X-Error-Message": message, "X-Error-Code": code}
        self.reply = reply_json({"error": message}, status, headers)


def reply_json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    return Reply(json.dumps(value).encode(), status, {"Content-Type": "application/json", **(headers or {})})


def reply_range(request: Request, content: bytes, headers: dict[str, str]) -> Reply:
    """*content*, or the part of it that the request's Range names."""
    asked = request.headers["Range"]
    if not asked:
        return Reply(content, 200, headers)
    first, _, last = asked.removeprefix("bytes=").partition("-")
    start, end = int(first), min(int(last or len(content)), len(content) - 1)
    return Reply(content[start : end + 1], 206, {**headers, "Content-Range": f"bytes {start}-{end}/{len(content)}"})
