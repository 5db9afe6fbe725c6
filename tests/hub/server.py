"""A Hub in one process: as much of the Hugging Face protocol as the real client needs to push and pull models.

As on the real one, a private repository looks missing to strangers, files with Git LFS are stored under another host
name, to which no token may go, and metadata of a file stand on the redirect to it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_test"
LFS_SUFFIXES = (".safetensors", ".bin", ".pt")


@dataclass(frozen=True)
class File:
    content: bytes
    oid: str
    lfs: bool = False


@dataclass
class Repository:
    private: bool
    commits: dict[str, dict[str, File]] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    def resolve(self, revision: str) -> tuple[str, dict[str, File]]:
        """The commit that *revision* names, and its files."""
        sha = list(self.commits)[-1] if revision == "main" else revision
        if sha not in self.commits:
            raise RefusalError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return sha, self.commits[sha]

    def add(self, files: dict[str, File], message: str) -> str:
        sha = hashlib.sha1(f"{len(self.commits)} {message}".encode()).hexdigest()
        self.commits[sha] = files
        self.messages.append(message)
        return sha


@dataclass
class Request:
    method: str
    path: str
    headers: Message
    body: bytes

    @property
    def token(self) -> str | None:
        return (self.headers["Authorization"] or "").removeprefix("Bearer ") or None


@dataclass
class Reply:
    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class RefusalError(Exception):
    """Becomes an answer with status, error code and message."""

    def __init__(self, status: int, message: str, code: str = ""):
        self.reply = reply_json({"error": message}, status, {"X-Error-Message": message, "X-Error-Code": code})


class HubServer(ThreadingHTTPServer):
    """The server and all it knows. ``faults`` maps the beginning of a path to the status that such requests get."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url, self.storage = (f"http://{name}:{self.server_port}" for name in ("127.0.0.1", "localhost"))
        self.repositories: dict[str, Repository] = {}
        self.objects: dict[str, bytes] = {}
        self.requests: list[Request] = []
        self.faults: dict[str, int] = {}
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()

    def files(self, name: str, revision: str = "main") -> dict[str, File]:
        return self.repositories[name].resolve(revision)[1]

    def repository(self, request: Request, name: str) -> Repository:
        """The repository, if who asks may see it."""
        repository = self.repositories.get(name)
        if request.token not in (None, TOKEN):
            raise RefusalError(401, "Invalid credentials in Authorization header")
        if repository is None or (request.token is None and (repository.private or request.method == "POST")):
            raise RefusalError(404 if request.token else 401, "Repository not found", "RepoNotFound")
        return repository

    def answer(self, request: Request) -> Reply:
        self.requests.append(request)
        for start, status in self.faults.items():
            if request.path.startswith(start):
                return Reply(b"", status)
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
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        reply = self.server.answer(Request(self.command, urlsplit(self.path).path, self.headers, body))
        self.send_response(reply.status)
        for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    do_GET = do_HEAD = do_POST = do_PUT = respond  # noqa: N815

    def log_message(self, *arguments: object) -> None:
        """The list of requests is the log."""


def reply_json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    return Reply(json.dumps(value).encode(), status, {"Content-Type": "application/json", **(headers or {})})


def git_oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def create(hub: HubServer, request: Request) -> Reply:
    if request.token != TOKEN:
        raise RefusalError(401, "Invalid username or password.")
    asked = json.loads(request.body)
    name = f"{asked['organization']}/{asked['name']}"
    if name in hub.repositories:
        return reply_json({"url": f"{hub.url}/{name}"}, 409)
    hub.repositories[name] = Repository(asked.get("visibility") == "private" or asked.get("private") is True)
    hub.repositories[name].add({".gitattributes": File(b"", git_oid(b""))}, "initial commit")
    return reply_json({"url": f"{hub.url}/{name}"})


def model_info(hub: HubServer, request: Request, name: str, revision: str = "main") -> Reply:
    repository = hub.repository(request, name)
    return reply_json({"id": name, "sha": repository.resolve(revision)[0], "private": repository.private})


def tree(hub: HubServer, request: Request, name: str, revision: str) -> Reply:
    _, files = hub.repository(request, name).resolve(revision)
    entries = []
    for path, file in files.items():
        size = len(file.content)
        entries.append({"type": "file", "path": path, "size": size, "oid": git_oid(file.content)})
        if file.lfs:
            entries[-1]["lfs"] = {"oid": file.oid, "size": size, "pointerSize": 130}
    return reply_json(entries)


def validate_card(hub: HubServer, request: Request) -> Reply:
    if "license:" in json.loads(request.body)["content"]:
        return reply_json({"errors": [], "warnings": []})
    return reply_json({"errors": [{"message": '"license" is required'}], "warnings": []}, 400)


def preupload(hub: HubServer, request: Request, name: str, revision: str) -> Reply:
    _, known = hub.repository(request, name).resolve(revision)
    files = json.loads(request.body)["files"]
    for file in files:
        file["uploadMode"] = "lfs" if file["path"].endswith(LFS_SUFFIXES) else "regular"
        file["oid"] = known[file["path"]].oid if file["path"] in known else None
        file["shouldIgnore"] = False
    return reply_json({"files": files})


def lfs_batch(hub: HubServer, request: Request, name: str) -> Reply:
    hub.repository(request, name)
    objects = json.loads(request.body)["objects"]
    for item in objects:
        if item["oid"] not in hub.objects:
            item["actions"] = {"upload": {"href": f"{hub.storage}/lfs/{item['oid']}"}}
    return reply_json({"transfer": "basic", "objects": objects})


def commit(hub: HubServer, request: Request, name: str, revision: str) -> Reply:
    repository = hub.repository(request, name)
    header, *operations = (json.loads(line) for line in request.body.splitlines())
    files = dict(repository.resolve(revision)[1])
    for operation in operations:
        kind, value = operation["key"], operation["value"]
        if kind == "deletedFile":
            del files[value["path"]]
        elif kind == "lfsFile":
            files[value["path"]] = File(hub.objects[value["oid"]], value["oid"], lfs=True)
        else:
            content = base64.b64decode(value["content"])
            files[value["path"]] = File(content, git_oid(content))
    sha = repository.add(files, header["value"]["summary"])
    return reply_json({"commitOid": sha, "commitUrl": f"{hub.url}/{name}/commit/{sha}"})


def resolve(hub: HubServer, request: Request, name: str, revision: str, path: str) -> Reply:
    sha, files = hub.repository(request, name).resolve(revision)
    file = files.get(path)
    if file is None:
        raise RefusalError(404, "Entry not found", "EntryNotFound")
    headers = {"X-Repo-Commit": sha, "ETag": f'"{file.oid}"'}
    if not file.lfs:
        return Reply(file.content, 200, headers)
    linked = {"X-Linked-Etag": headers["ETag"], "X-Linked-Size": str(len(file.content))}
    return Reply(b"", 302, {**headers, **linked, "Location": f"{hub.storage}/lfs/{file.oid}"})


def lfs(hub: HubServer, request: Request, oid: str) -> Reply:
    if request.method == "GET":
        return Reply(hub.objects[oid])
    if hashlib.sha256(request.body).hexdigest() != oid:
        raise RefusalError(400, "the content has another sha256")
    hub.objects[oid] = request.body
    return Reply()


ID = r"([^/]+/[^/]+)"
ROUTES: tuple[tuple[str, str, Callable[..., Reply]], ...] = (
    ("POST", "/api/repos/create", create),
    ("GET", rf"/api/models/{ID}(?:/revision/([^/]+))?", model_info),
    ("GET", rf"/api/models/{ID}/tree/([^/]+)", tree),
    ("POST", "/api/validate-yaml", validate_card),
    ("POST", rf"/api/models/{ID}/preupload/([^/]+)", preupload),
    ("POST", rf"/{ID}\.git/info/lfs/objects/batch", lfs_batch),
    ("POST", rf"/api/models/{ID}/commit/([^/]+)", commit),
    ("HEAD GET", rf"/{ID}/resolve/([^/]+)/(.+)", resolve),
    ("GET PUT", "/lfs/([^/]+)", lfs),
)
