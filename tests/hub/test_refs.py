"""References: folders, registered names, and repositories on a Hub."""

import pytest

import umzoo
from umzoo.errors import WeightsError
from umzoo.hub.refs import resolve
from umzoo.plugins import zoo
from umzoo.weights.entry import WeightsEntry
from umzoo.weights.io import read_info


def test_folders_need_no_hub(tmp_path, hub):
    assert resolve(tmp_path) == resolve(str(tmp_path)) == resolve(f"local-dir:{tmp_path}") == tmp_path
    for ref in (tmp_path / "no", f"local-dir:{tmp_path}/no"):
        with pytest.raises(WeightsError, match="there is no folder"):
            resolve(ref)
    assert hub.requests == []


@pytest.mark.parametrize("ref", ["nothing", "a/b/c", "/no/such/folder", "../no"])
def test_nonsense_needs_no_hub(ref, hub):
    with pytest.raises(WeightsError, match="no weights|no folder"):
        resolve(ref)
    assert hub.requests == []


def test_only_files_of_the_format_are_fetched(folder, hub):
    umzoo.push_to_hub(folder, "org/name")
    files = hub.files("org/name")
    files["pytorch_model.bin"] = files["README.md"]
    pulled = resolve("hf-hub:org/name")
    assert pulled == resolve("org/name")
    assert {file.name for file in pulled.iterdir()} == {"README.md", "config.json", "model.safetensors"}
    assert all(file.read_bytes() == files[file.name].content for file in pulled.iterdir())
    assert not any("pytorch_model" in request.path for request in hub.requests)


def test_registered_weights_are_pinned(backbone, folder, hub, monkeypatch):
    first = umzoo.push_to_hub(folder, "org/name").rpartition("/")[2]
    umzoo.push_to_hub(backbone, "org/name", licence="mit", weights_tag="second")
    entry = WeightsEntry("genesis_unet.lab", "org/name", "mit", revision=first)
    monkeypatch.setitem(zoo().weights._entries, entry.name, entry)
    assert read_info(resolve("genesis_unet.lab")).name == "genesis_unet.custom"
    assert read_info(resolve("org/name")).name == "genesis_unet.second"
    with pytest.raises(WeightsError, match=r"did you mean 'genesis_unet\.lab'"):
        resolve("genesis_unet.lap")
