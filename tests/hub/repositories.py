"""What a Hub stores: repositories of commits, branches, tags and pull requests."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import yaml

from .wire import RefusalError


def git_oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@dataclass(frozen=True)
class File:
    content: bytes
    oid: str
    lfs: bool = False

    def entry(self, path: str) -> dict[str, object]:
        """As in a list of files."""
        size = len(self.content)
        lfs = {"lfs": {"oid": self.oid, "size": size, "pointerSize": 130}} if self.lfs else {}
        return {"type": "file", "path": path, "size": size, "oid": git_oid(self.content), **lfs}


@dataclass
class Repository:
    private: bool
    gated: bool = False
    commits: dict[str, dict[str, File]] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    titles: dict[str, str] = field(default_factory=dict)
    """Title of each pull request, by its branch ``refs/pr/N``."""

    def resolve(self, revision: str) -> tuple[str, dict[str, File]]:
        """The commit that *revision* names, and its files."""
        sha = self.branches.get(revision) or self.tags.get(revision) or revision
        if sha not in self.commits:
            raise RefusalError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return sha, self.commits[sha]

    def add(self, files: dict[str, File], message: str, branch: str = "main") -> str:
        sha = hashlib.sha1(f"{len(self.commits)} {message}".encode()).hexdigest()
        self.commits[sha] = files
        self.branches[branch] = sha
        self.messages.append(message)
        return sha

    def card(self) -> dict[str, object]:
        """The front matter of the model card."""
        text = self.resolve("main")[1].get("README.md", File(b"", "")).content.decode()
        return yaml.safe_load(text.split("---\n")[1]) if text.startswith("---\n") else {}
