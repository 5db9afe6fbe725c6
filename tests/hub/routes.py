"""What a Hub answers: as much of the Hugging Face protocol as the real client needs to push, pull and look.

As on the real one, a private repository looks missing to strangers, files with Git LFS are stored under another host
name, to which no token may go, and metadata of a file stand on the redirect to it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .repositories import File, Repository, git_oid
from .wire import RefusalError, Reply, Request, reply_json, reply_range

if TYPE_CHECKING:
    from .server import HubServer

TOKEN, STRANGER = "hf_test_owner", "hf_test_stranger"
"""The owner of everything, and somebody else."""
LFS_SUFFIXES = (".safetensors", ".bin", ".pt")
SPACE_CARD = b"---\ntitle: Name\nemoji: X\nsdk: gradio\nsdk_version: 5.0.0\n---\n\nCheck out the reference.\n"
"""The card of a new Space."""
TIME = "2026-01-01T00:00:00.000Z"


def find(hub: HubServer, request: Request, name: str, write: bool = False) -> Repository:
    """The repository, if who asks may see it, or write to it."""
    repository = hub.repositories.get(name)
    if request.token not in (None, TOKEN, STRANGER):
        raise RefusalError(401, "Invalid credentials in Authorization header")
    if repository is None or (repository.private and request.token != TOKEN):
        raise RefusalError(404 if request.token else 401, "Repository not found", "RepoNotFound")
    if write and request.token != TOKEN:
        raise RefusalError(403 if request.token else 401, "You don't have the required permissions")
    return repository


def create(hub: HubServer, request: Request) -> Reply:
    asked = request.json()
    if request.token != TOKEN:
        raise RefusalError(403 if request.token == STRANGER else 401, "Invalid username or password.")
    is_space = asked.get("type") == "space"
    if is_space and asked.get("sdk") != "gradio":
        raise RefusalError(400, "Invalid sdk")
    name = f"{'spaces/' * is_space}{asked['organization']}/{asked['name']}"
    if name in hub.repositories:
        return reply_json({"url": f"{hub.url}/{name}"}, 409)
    hub.repositories[name] = Repository(asked.get("visibility") == "private" or asked.get("private") is True)
    files = {".gitattributes": b"", **({"README.md": SPACE_CARD} if is_space else {})}
    files = {path: File(content, git_oid(content)) for path, content in files.items()}
    hub.repositories[name].add(files, "initial commit")
    return reply_json({"url": f"{hub.url}/{name}"})


def describe(name: str, repository: Repository, revision: str = "main") -> dict[str, Any]:
    sha, files = repository.resolve(revision)
    card = repository.card()
    tags = [*card.get("tags", ()), card.get("library_name"), f"license:{card.get('license')}"]
    return {
        "id": name.removeprefix("spaces/"),
        "sha": sha,
        "private": repository.private,
        "gated": "manual" if repository.gated else False,
        "siblings": [{"rfilename": path, "size": len(file.content)} for path, file in files.items()],
        "tags": tags,
        "cardData": card,
        "downloads": 3,
        "likes": 0,
        "createdAt": TIME,
        "lastModified": TIME,
    }


def repository_info(hub: HubServer, request: Request, name: str, revision: str = "main") -> Reply:
    return reply_json(describe(name, find(hub, request, name), revision))


def list_models(hub: HubServer, request: Request) -> Reply:
    search, wanted = request.query.get("search", [""])[0].lower(), set(request.query.get("filter", ()))
    found = [
        describe(name, repository)
        for name, repository in hub.repositories.items()
        if not name.startswith("spaces/") and (not repository.private or request.token == TOKEN)
    ]
    limit = int(request.query.get("limit", ["1000"])[0])
    return reply_json([it for it in found if search in it["id"].lower() and wanted <= set(it["tags"])][:limit])


def tree(hub: HubServer, request: Request, name: str, revision: str) -> Reply:
    _, files = find(hub, request, name).resolve(revision)
    return reply_json([file.entry(path) for path, file in files.items()])


def paths_info(hub: HubServer, request: Request, name: str, revision: str) -> Reply:
    from urllib.parse import parse_qs

    _, files = find(hub, request, name).resolve(revision)
    asked = parse_qs(request.body.decode())["paths"]
    return reply_json([files[path].entry(path) for path in asked if path in files])


def refs(hub: HubServer, request: Request, name: str) -> Reply:
    repository = find(hub, request, name)
    heads = {name: sha for name, sha in repository.branches.items() if not name.startswith("refs/pr/")}

    def rows(known: dict[str, str], kind: str) -> list[dict[str, str]]:
        return [{"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": sha} for name, sha in known.items()]

    return reply_json({"branches": rows(heads, "heads"), "converts": [], "tags": rows(repository.tags, "tags")})


def branch(hub: HubServer, request: Request, name: str, branch: str) -> Reply:
    repository = find(hub, request, name, write=True)
    if branch in repository.branches:
        raise RefusalError(409, "Reference already exists")
    repository.branches[branch] = repository.resolve(request.json().get("startingPoint", "main"))[0]
    return reply_json({})


def tag(hub: HubServer, request: Request, name: str, revision: str) -> Reply:
    repository, asked = find(hub, request, name, write=True), request.json()["tag"]
    if asked in repository.tags:
        raise RefusalError(409, "Tag reference exists already")
    repository.tags[asked] = repository.resolve(revision)[0]
    return reply_json({})


def discussions(hub: HubServer, request: Request, name: str) -> Reply:
    titles = find(hub, request, name).titles
    rows = [
        {
            "num": int(ref.rpartition("/")[2]),
            "title": title,
            "author": {"name": "org"},
            "createdAt": TIME,
            "status": "open",
            "isPullRequest": True,
            "repo": {"name": name, "type": "model"},
        }
        for ref, title in titles.items()
    ]
    return reply_json({"discussions": rows, "count": len(rows), "start": 0})


def validate_card(hub: HubServer, request: Request) -> Reply:
    if "language: klingon" not in request.json()["content"]:
        return reply_json({"errors": [], "warnings": []})
    return reply_json({"errors": [{"message": '"language" must be an ISO 639 code'}], "warnings": []}, 400)


def preupload(hub: HubServer, request: Request, name: str, revision: str) -> Reply:
    _, known = find(hub, request, name, write=True).resolve(revision)
    ignored = known.get(".gitignore", File(b"", "")).content.decode().split()
    files = request.json()["files"]
    for file in files:
        file["uploadMode"] = "lfs" if file["path"].endswith(LFS_SUFFIXES) else "regular"
        file["oid"] = known[file["path"]].oid if file["path"] in known else None
        file["shouldIgnore"] = file["path"] in ignored
    return reply_json({"files": files})


def lfs_batch(hub: HubServer, request: Request, name: str) -> Reply:
    find(hub, request, name, write=True)
    objects = request.json()["objects"]
    for item in objects:
        if item["oid"] not in hub.objects:
            item["actions"] = {"upload": {"href": f"{hub.storage}/lfs/{item['oid']}"}}
    return reply_json({"transfer": "basic", "objects": objects})


def commit(hub: HubServer, request: Request, name: str, revision: str) -> Reply:
    repository = find(hub, request, name, write=True)
    header, *operations = (json.loads(line) for line in request.body.splitlines())
    head, files = repository.resolve(revision)
    parent, title = header["value"].get("parentCommit"), header["value"]["summary"]
    proposed = "create_pr" in request.query
    if parent not in (None, head) and not proposed:
        raise RefusalError(412, "A commit has happened since. Please refresh and try again.")
    files = dict(files)
    for operation in operations:
        _apply(hub, operation["key"], operation["value"], files)
    target = f"refs/pr/{len(repository.titles) + 1}" if proposed else revision
    sha = repository.add(files, title, target)
    answer = {"commitOid": sha, "commitUrl": f"{hub.url}/{name}/commit/{sha}"}
    if proposed:
        repository.titles[target] = title
        answer["pullRequestUrl"] = f"{hub.url}/{name}/discussions/{len(repository.titles)}"
    return reply_json(answer)


def _apply(hub: HubServer, kind: str, value: dict[str, Any], files: dict[str, File]) -> None:
    if kind == "deletedFile":
        del files[value["path"]]
    elif kind == "lfsFile":
        files[value["path"]] = File(hub.objects[value["oid"]], value["oid"], lfs=True)
    else:
        content = base64.b64decode(value["content"])
        files[value["path"]] = File(content, git_oid(content))


def resolve(hub: HubServer, request: Request, name: str, revision: str, path: str) -> Reply:
    repository = find(hub, request, name)
    sha, files = repository.resolve(revision)
    if repository.gated and request.token != TOKEN:
        raise RefusalError(403 if request.token else 401, f"Access to model {name} is restricted.", "GatedRepo")
    file = files.get(path)
    if file is None:
        raise RefusalError(404, "Entry not found", "EntryNotFound", **{"X-Repo-Commit": sha})
    headers = {"X-Repo-Commit": sha, "ETag": f'"{file.oid}"'}
    if not file.lfs:
        return reply_range(request, file.content, headers)
    linked = {"X-Linked-Etag": headers["ETag"], "X-Linked-Size": str(len(file.content))}
    return Reply(b"", 302, {**headers, **linked, "Location": f"{hub.storage}/lfs/{file.oid}"})


def lfs(hub: HubServer, request: Request, oid: str) -> Reply:
    if request.method == "GET":
        return reply_range(request, hub.objects[oid], {})
    if hashlib.sha256(request.body).hexdigest() != oid:
        raise RefusalError(400, "the content has another sha256")
    hub.objects[oid] = request.body
    return Reply()


def page(hub: HubServer, request: Request, name: str) -> Reply:
    """Any other server's file."""
    return Reply(hub.pages[name]) if name in hub.pages else Reply(b"no such page", 404)


ID = r"((?:spaces/)?[^/]+/[^/]+)"
API = r"/api/(?:models/|(?=spaces/))" + ID
"""A repository is called ``org/name``, that of a Space ``spaces/org/name``."""
ROUTES: tuple[tuple[str, str, Callable[..., Reply]], ...] = (
    ("POST", "/api/repos/create", create),
    ("GET", "/api/models", list_models),
    ("GET", rf"{API}(?:/revision/([^/]+))?", repository_info),
    ("GET", rf"{API}/tree/([^/]+)", tree),
    ("POST", rf"{API}/paths-info/([^/]+)", paths_info),
    ("GET", rf"{API}/refs", refs),
    ("POST", rf"{API}/branch/([^/]+)", branch),
    ("POST", rf"{API}/tag/([^/]+)", tag),
    ("GET", rf"{API}/discussions", discussions),
    ("POST", "/api/validate-yaml", validate_card),
    ("POST", rf"{API}/preupload/([^/]+)", preupload),
    ("POST", rf"/{ID}\.git/info/lfs/objects/batch", lfs_batch),
    ("POST", rf"{API}/commit/([^/]+)", commit),
    ("HEAD GET", rf"/{ID}/resolve/([^/]+)/(.+)", resolve),
    ("GET PUT", "/lfs/([^/]+)", lfs),
    ("GET", "/files/(.+)", page),
)
