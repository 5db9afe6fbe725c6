"""References: folders, registered names and the Hub, which is never reached here."""

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from umzoo.errors import WeightsError
from umzoo.hub.refs import resolve
from umzoo.plugins import zoo
from umzoo.weights.entry import WeightsEntry


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A Hub that notes what it is asked for."""
    asked = []

    def snapshot_download(repo_id, revision=None, allow_patterns=None):
        asked.append((repo_id, revision, tuple(allow_patterns)))
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return asked


def test_folders(tmp_path, hub):
    assert resolve(tmp_path) == resolve(str(tmp_path)) == resolve(f"local-dir:{tmp_path}") == tmp_path
    assert hub == []
    for ref in (tmp_path / "no", f"local-dir:{tmp_path}/no"):
        with pytest.raises(WeightsError, match="there is no folder"):
            resolve(ref)


@pytest.mark.parametrize("ref", ["org/name", "hf-hub:org/name"])
def test_repositories(ref, hub, tmp_path):
    assert resolve(ref, "v1") == tmp_path
    ((repository, revision, patterns),) = hub
    assert (repository, revision) == ("org/name", "v1")
    assert "model.safetensors" in patterns and not any(p.endswith((".pth", ".pt", ".bin")) for p in patterns)


def test_registered_weights_are_pinned(hub, monkeypatch):
    entry = WeightsEntry("genesis_unet.lab", "org/name", "mit", revision="abc123")
    monkeypatch.setitem(zoo().weights._entries, entry.name, entry)
    resolve("genesis_unet.lab")
    assert hub[0][:2] == ("org/name", "abc123")
    with pytest.raises(WeightsError, match="did you mean 'genesis_unet.lab'"):
        resolve("genesis_unet.lap")


@pytest.mark.parametrize("ref", ["nothing", "a/b/c", "/no/such/folder", "../no"])
def test_nonsense(ref, hub):
    with pytest.raises(WeightsError, match="no weights|no folder"):
        resolve(ref)
    assert hub == []


def test_an_unreachable_hub_is_one_line(monkeypatch):
    def offline(*_, **__):
        raise LocalEntryNotFoundError("cannot reach\n the Hub")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    with pytest.raises(WeightsError, match="cannot reach the Hub"):
        resolve("org/name")
