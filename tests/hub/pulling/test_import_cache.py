"""What other projects released: brought from a Hub and from the web, imported once, kept, and loaded by name."""

import hashlib
import io
import threading
import zipfile

import pytest
import torch

import umzoo
from umzoo.backbones.state import named_tensors
from umzoo.cli.models import import_, info
from umzoo.errors import WeightsError
from umzoo.hub.client import Access
from umzoo.hub.pulling.addresses import Place, place_of_address
from umzoo.hub.pulling.import_cache import imported, kept_folder
from umzoo.hub.pulling.original_files import brought
from umzoo.hub.pulling.references import place_of, resolve
from umzoo.plugins import zoo
from umzoo.weights.catalog.entry import WeightsEntry
from umzoo.weights.folder.reader import read_info

from ..repositories import File, Repository
from ..server import Fault

NAME = "resnet3d_10.lab"


@pytest.fixture
def network():
    return umzoo.create_model("resnet3d_10", width=2)


@pytest.fixture
def released(network):
    """A file as MedicalNet's authors write it."""
    state = {f"module.{name.partition('.')[2]}": it for name, it in named_tensors(network).items()}
    stream = io.BytesIO()
    torch.save({"state_dict": {name: it for name, it in state.items() if ".conv_seg." not in name}}, stream)
    return stream.getvalue()


def store(hub, repository, **files):
    """A repository with *files*, as Git LFS keeps them."""
    found = hub.repositories.setdefault(repository, Repository(private=False))
    kept = {name: File(it, hashlib.sha256(it).hexdigest(), lfs=True) for name, it in files.items()}
    hub.objects |= {file.oid: file.content for file in kept.values()}
    return found.add(kept, "files")


@pytest.fixture
def on_hub(hub, released):
    return store(hub, "lab/resnet", **{"sub/resnet_10.pth": released, "notes.txt": b"notes"})


def register(monkeypatch, **fields):
    fields = {"name": NAME, "location": "lab/resnet", "license": "MIT", "importer": "medicalnet"} | fields
    entry = WeightsEntry(**fields)
    monkeypatch.setitem(zoo().weights._entries, entry.name, entry)
    monkeypatch.setitem(zoo().weights._owners, entry.name, "umzoo")
    return entry


def test_loaded_by_name(monkeypatch, hub, on_hub, network, released):
    seen = {"modalities": {"ct": 8}, "volumes": 8}
    register(monkeypatch, files=("sub/resnet_10.pth",), sha256=hashlib.sha256(released).hexdigest(), provenance=seen)
    loaded = umzoo.from_pretrained(NAME)
    assert all(
        torch.equal(it, named_tensors(network.encoder)[name]) for name, it in named_tensors(loaded.encoder).items()
    )
    said = loaded.weights_info
    assert (said.name, said.license) == (NAME, "MIT")
    assert said.provenance.volumes == 8 and "Trained on ct only" in (resolve(NAME) / "README.md").read_text()
    origin = said.imported_from
    assert (origin.location, origin.revision, origin.files) == ("lab/resnet", on_hub, ("sub/resnet_10.pth",))
    assert on_hub in (resolve(NAME) / "README.md").read_text()
    assert not any("notes" in request.path for request in hub.requests)


def test_kept_without_a_request(monkeypatch, hub, on_hub, offline_after):
    entry = register(monkeypatch, files=("sub/resnet_10.pth",))
    with pytest.raises(WeightsError, match="not in the cache"):
        imported(entry, None, Access(local_files_only=True))
    first = resolve(NAME)
    asked = len(hub.requests)
    offline_after()
    assert resolve(NAME) == first and len(hub.requests) == asked


@pytest.fixture
def offline_after(request):
    return lambda: request.getfixturevalue("offline")


def test_a_revision_is_kept_apart(monkeypatch, hub, on_hub, released):
    register(monkeypatch, files=("sub/resnet_10.pth",))
    store(hub, "lab/resnet", **{"sub/resnet_10.pth": b"no checkpoint"})
    with pytest.raises(WeightsError, match="cannot be read as a checkpoint"):
        resolve(NAME)
    assert read_info(resolve(NAME, on_hub)).imported_from.revision == on_hub
    with pytest.raises(WeightsError, match="cannot be read as a checkpoint"):
        resolve(NAME)


def test_another_file_than_recorded_is_refused(monkeypatch, hub, on_hub):
    entry = register(monkeypatch, files=("sub/resnet_10.pth",), sha256="0" * 64)
    with pytest.raises(WeightsError, match="is not the file that was recorded"):
        resolve(NAME)
    assert not kept_folder(entry, None, Access()).exists()


def test_another_network_than_registered_is_refused(monkeypatch, hub, on_hub):
    entry = register(monkeypatch, name="resnet3d_18.lab", files=("sub/resnet_10.pth",))
    with pytest.raises(WeightsError, match=r"holds a resnet3d_10\.lab, expected the resnet3d_18\.lab of the catalog"):
        resolve(entry.name)
    assert not kept_folder(entry, None, Access()).exists()


def test_a_damaged_folder_is_imported_again(monkeypatch, hub, on_hub):
    register(monkeypatch, files=("sub/resnet_10.pth",))
    file = resolve(NAME) / "model.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    umzoo.from_pretrained(NAME)
    assert file.read_bytes() == content


def test_force_download_imports_again(monkeypatch, hub, on_hub):
    register(monkeypatch, files=("sub/resnet_10.pth",))
    marker = resolve(NAME) / "marker"
    marker.touch()
    umzoo.from_pretrained(NAME, force_download=True)
    assert not marker.exists()


def test_what_is_kept_is_not_lost_when_a_new_download_fails(monkeypatch, hub, on_hub):
    register(monkeypatch, files=("sub/resnet_10.pth",))
    kept = resolve(NAME)
    hub.faults["/"] = 404
    with pytest.raises(WeightsError):
        umzoo.from_pretrained(NAME, force_download=True)
    assert umzoo.from_pretrained(NAME).name == "resnet3d_10"
    assert [it.name for it in kept.parent.iterdir() if it.is_dir()] == [kept.name]


def test_two_at_once_import_once(monkeypatch, hub, on_hub):
    entry = register(monkeypatch, files=("sub/resnet_10.pth",))
    results = []
    threads = [threading.Thread(target=lambda: results.append(imported(entry, None, Access()))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4 and len(set(results)) == 1
    assert hub.count("GET", "/lfs/") == 1


def test_a_file_at_a_web_address(monkeypatch, hub, released):
    hub.pages["resnet_10.pth"] = released
    register(monkeypatch, location=f"{hub.url}/files/resnet_10.pth", sha256=hashlib.sha256(released).hexdigest())
    said = umzoo.from_pretrained(NAME).weights_info
    assert said.imported_from.location == f"{hub.url}/files/resnet_10.pth"
    assert all(request.token is None for request in hub.requests)


@pytest.mark.parametrize("fault", [Fault(503, times=1), Fault(cut=1000, times=1), Fault(reset=10, times=1)])
def test_a_broken_download_is_tried_again(monkeypatch, hub, released, fault):
    hub.pages["resnet_10.pth"] = released
    hub.faults["/files/"] = fault
    register(monkeypatch, location=f"{hub.storage}/files/resnet_10.pth")
    assert umzoo.from_pretrained(NAME).name == "resnet3d_10"


def test_a_missing_page_is_asked_for_once(monkeypatch, hub):
    register(monkeypatch, location=f"{hub.url}/files/gone.pth")
    with pytest.raises(WeightsError, match="404"):
        resolve(NAME)
    assert len(hub.requests) == 1


def test_offline_asks_no_web_server(monkeypatch, hub, offline):
    register(monkeypatch, location=f"{hub.url}/files/gone.pth")
    with pytest.raises(WeightsError, match="no request is allowed"):
        resolve(NAME)
    assert hub.requests == []


def zipped(**files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def test_a_part_of_an_archive(monkeypatch, hub, released):
    hub.pages["model.zip"] = zipped(**{"top/weights/resnet_10.pth": released, "top/other.txt": b"text"})
    register(monkeypatch, location=f"{hub.url}/files/model.zip", files=("resnet_10.pth",))
    assert umzoo.from_pretrained(NAME).name == "resnet3d_10"


@pytest.mark.parametrize(
    "content, complaint",
    [(b"not an archive", "not an archive that can be unpacked"), (zipped(a=b"1"), "0 times"), (None, "2 times")],
)
def test_an_archive_without_the_part_is_refused(hub, content, complaint):
    hub.pages["model.zip"] = content or zipped(**{"a/x.pth": b"1", "b/x.pth": b"2"})
    place = Place(f"{hub.url}/files/model.zip", ("x.pth",))
    with pytest.raises(WeightsError, match=complaint), brought(place, Access()):
        pass


def test_archives_write_nowhere_else(hub, tmp_path):
    hub.pages["model.zip"] = zipped(**{"../../outside.txt": b"1", "inside.txt": b"2"})
    with brought(Place(f"{hub.url}/files/model.zip"), Access()) as found:
        assert [file.name for file in found.source.rglob("*")] == ["inside.txt"]
        assert not list(found.source.parents[1].glob("outside.txt"))


def test_a_whole_repository(hub, on_hub):
    with brought(Place("lab/resnet"), Access()) as found:
        assert (found.source / "sub" / "resnet_10.pth").is_file() and (found.source / "notes.txt").is_file()
        assert found.revision == on_hub


def test_a_folder_of_a_repository(hub, on_hub):
    with brought(Place("lab/resnet", folder="sub"), Access()) as found:
        assert [file.name for file in found.source.iterdir()] == ["resnet_10.pth"] and found.revision == on_hub
        assert not (found.source.parent / "notes.txt").exists()
    with pytest.raises(WeightsError, match="has no folder"), brought(Place("lab/resnet", folder="no"), Access()):
        pass


@pytest.mark.parametrize(
    "text, expected",
    [
        ("https://huggingface.co/lab/resnet", Place("lab/resnet")),
        ("https://huggingface.co/lab/a/resolve/main/b/c.pt?download=true", Place("lab/a", ("b/c.pt",), "main")),
        ("https://huggingface.co/lab/resnet/blob/v1/b.pth", Place("lab/resnet", ("b.pth",), "v1")),
        ("https://example.org/files/b%20c.pth", Place("https://example.org/files/b%20c.pth")),
        ("lab/resnet@v1", Place("lab/resnet", (), "v1")),
        ("hf-hub:lab/resnet", Place("lab/resnet")),
        ("resnet_10.pth", None),
        ("some/resnet_10.pth", None),
        ("./folder", None),
    ],
)  # fmt: skip
def test_places(text, expected):
    assert place_of(text) == expected


@pytest.mark.parametrize("address", ["https://", "https://example.org", "https://example.org/"])
def test_no_address_of_a_file(address):
    with pytest.raises(WeightsError, match="not an address of a file"):
        place_of_address(address)


def test_registered_names_need_no_import():
    with pytest.raises(WeightsError, match="needs no import"):
        place_of("genesis_unet.chest_ct")


def test_import_by_hand_from_the_hub_and_the_web(hub, on_hub, released, tmp_path):
    hub.pages["resnet_10.pth"] = released
    sources = (
        "lab/resnet",
        f"{hub.url}/lab/resnet/resolve/main/sub/resnet_10.pth",
        f"{hub.storage}/files/resnet_10.pth",
    )
    for number, source in enumerate(sources):
        import_("medicalnet", source, tmp_path / str(number), ["tag=mine"], "MIT")
    infos = [read_info(tmp_path / str(number)) for number in range(3)]
    assert [info.imported_from.revision for info in infos] == [on_hub, on_hub, ""]
    assert len({info.files["model.safetensors"] for info in infos}) == 1
    assert {(info.name, info.license) for info in infos} == {("resnet3d_10.mine", "MIT")}


def test_import_of_several_files_names_them(hub, released, tmp_path):
    store(hub, "lab/two", **{"a.pth": released, "b.pth": released})
    with pytest.raises(WeightsError, match=r"contains 2 checkpoints \(a\.pth, b\.pth\)"):
        import_("medicalnet", "lab/two", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_import_leaves_what_is_there(hub, on_hub, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").touch()
    with pytest.raises(WeightsError, match="out"):
        import_("medicalnet", "lab/resnet", tmp_path / "out")
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["thesis.tex"]


def test_info_says_what_a_name_would_bring(monkeypatch, hub, on_hub, capsys, tmp_path):
    monkeypatch.setenv("UMZOO_CACHE", str(tmp_path / "listing"))
    register(monkeypatch, files=("sub/resnet_10.pth",), description="a lab's network")
    info(NAME)
    before = capsys.readouterr().out
    assert "a lab's network" in before and "on first use" in before and hub.requests == []
    resolve(NAME)
    info(NAME)
    assert on_hub in capsys.readouterr().out
