"""A Hub of our own, and the real client of Hugging Face made to talk to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants, file_download, utils
from torch import nn

import umzoo
from umzoo.hub import retry

from .routes import TOKEN
from .server import HubServer


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    """A running Hub, empty; ``huggingface_hub``, here and in subprocesses, knows no other.

    The client reads its environment once, when it is imported. So what it took from there is set too: the address,
    the cache, and the plain protocol of Git LFS instead of Xet. Its code runs as it is.
    """
    server = HubServer()
    settings = {
        "HF_ENDPOINT": server.url,
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_CACHE": str(tmp_path / "hf" / "hub"),
        "HF_ASSETS_CACHE": str(tmp_path / "hf" / "assets"),
        "HF_TOKEN": TOKEN,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "NO_PROXY": "127.0.0.1,localhost",
        "UMZOO_ALLOW_PRIVATE": "1",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
        if hasattr(constants, name):
            monkeypatch.setattr(constants, name, True if value == "1" else value)
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "hf" / "token"))
    template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
    for module in (constants, file_download):
        monkeypatch.setattr(module, "HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)
    monkeypatch.setattr(retry, "PAUSES", (0.01,) * 4)
    forget_connections()
    yield server
    server.stop()


def forget_connections() -> None:
    """Make the client read its settings anew; before version 1 this had another name."""
    getattr(utils, "close_session" if hasattr(utils, "close_session") else "reset_sessions")()


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """``HF_HUB_OFFLINE=1``."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    forget_connections()


@pytest.fixture
def backbone() -> umzoo.Backbone:
    return umzoo.create_model("genesis_unet", width=1)


@pytest.fixture
def folder(backbone: umzoo.Backbone, tmp_path: Path) -> Path:
    """A weights folder of *backbone*."""
    umzoo.save_pretrained(backbone, tmp_path / "weights", license="mit")
    return tmp_path / "weights"


@pytest.fixture
def commit(folder: Path, hub: HubServer) -> str:
    """The commit that pushed *folder* to ``org/name``; the list of requests is empty after it."""
    sha = umzoo.push_to_hub(folder, "org/name").rpartition("/")[2]
    hub.requests.clear()
    return sha


def same(model: nn.Module, other: nn.Module) -> bool:
    """Whether two networks have equal parameters."""
    return all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))
