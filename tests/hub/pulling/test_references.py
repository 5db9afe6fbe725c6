"""References: folders, registered names, and repositories on a Hub."""

import re
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import umzoo
from umzoo.errors import WeightsError
from umzoo.hub.pulling.addresses import Place
from umzoo.hub.pulling.references import Reference, parse, place_of, resolve
from umzoo.plugins import zoo
from umzoo.weights.catalog.entry import WeightsEntry
from umzoo.weights.folder.reader import read_info


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
    umzoo.push_to_hub(backbone, "org/name", license="mit", weights_tag="second")
    entry = WeightsEntry("genesis_unet.lab", "org/name", "mit", revision=first)
    monkeypatch.setitem(zoo().weights._entries, entry.name, entry)
    assert read_info(resolve("genesis_unet.lab")).name == "genesis_unet.custom"
    assert read_info(resolve("org/name")).name == "genesis_unet.second"
    with pytest.raises(WeightsError, match=r"did you mean 'genesis_unet\.lab'"):
        resolve("genesis_unet.lap")


@pytest.fixture
def package(folder, tmp_path, monkeypatch):
    """A package that brings weights: their location."""
    place = tmp_path / "packages" / "lab_weights"
    place.mkdir(parents=True)
    (place / "__init__.py").write_text("")
    shutil.copytree(folder, place / "small")
    monkeypatch.syspath_prepend(place.parent)
    return "package:lab_weights/small"


def test_weights_may_come_with_a_package(package, hub, monkeypatch):
    entry = WeightsEntry("genesis_unet.small", package, "mit")
    monkeypatch.setitem(zoo().weights._entries, entry.name, entry)
    assert read_info(resolve("genesis_unet.small")) == read_info(resolve(package))
    assert umzoo.from_pretrained("genesis_unet.small").name == "genesis_unet"
    assert hub.requests == []


@pytest.mark.parametrize("location", ["package:lab_weights", "package:lab_weights/../..", "package:lab_weights//etc"])
def test_a_location_does_not_lead_out_of_its_package(package, location):
    with pytest.raises(WeightsError, match="not a place in a package"):
        resolve(location)


@pytest.mark.parametrize("location", ["package:no_such_package/x", "package:/etc", "package:", "package:a.b/c"])
def test_a_package_must_be_there(location):
    with pytest.raises(WeightsError, match="not installed"):
        resolve(location)


COMMIT = "0123456789abcdef" * 2 + "01234567"


@pytest.mark.parametrize(
    "ref, revision, repository, expected",
    [
        ("org/name", None, "org/name", None),
        ("org/name@v1.0", None, "org/name", "v1.0"),
        ("hf-hub:org/name@refs/pr/3", None, "org/name", "refs/pr/3"),
        ("hf-hub:o_r-g.x/n.a-m_e", COMMIT, "o_r-g.x/n.a-m_e", COMMIT),
        (f"org/name@{COMMIT}", COMMIT, "org/name", COMMIT),
    ],
)
def test_repositories_and_revisions(ref, revision, repository, expected):
    assert parse(ref, revision) == Reference(None, repository, expected)


@pytest.mark.parametrize(
    "ref, revision, reason",
    [
        ("org/name@v1", "v2", "names revision 'v1', and revision='v2' was given"),
        ("org/name@", None, "is not a revision"),
        ("org/name@-x", None, "is not a revision"),
        ("org/name", "../../x", "is not a revision"),
        ("org/name@a..b", None, "is not a revision"),
        (".", "v1", "is a folder and has no revisions, got"),
        ("org/../name", None, "no weights"),
        ("org/na--me", None, "no weights"),
        ("org/.name", None, "no weights"),
        ("hf-hub:name", None, "no weights"),
    ],
)
def test_references_that_are_refused(ref, revision, reason):
    with pytest.raises(WeightsError, match=reason):
        parse(ref, revision)


def test_a_path_is_never_taken_for_a_repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "org" / "name").mkdir(parents=True)
    assert parse("org/name").folder == Path("org/name")
    assert parse("hf-hub:org/name").repository == "org/name"
    for text in ("./org/other", "/org/name", "../org/name", "~/name"):
        assert parse(text).repository == ""


@settings(max_examples=1000, deadline=None)
@given(
    st.one_of(
        st.text(max_size=300),
        st.text("aZ0/@:.-_~\\ \0\n%", max_size=40),
        st.builds("{}{}".format, st.sampled_from(["hf-hub:", "local-dir:", "org/name@", "org/"]), st.text(max_size=60)),
    ),
    st.one_of(st.none(), st.text(max_size=60)),
)
def test_any_text_is_a_reference_or_one_clear_error(text, revision):
    try:
        found = parse(text, revision)
    except WeightsError as error:
        assert "\n" not in str(error)
        return
    if found.folder is None and found.entry is None:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+", found.repository, re.ASCII) and ".." not in found.repository
        assert found.revision is None or not re.search(r"\.\.|[\s\\?#%]|^[-/]", found.revision)
        assert parse(str(found)) == found or Path(str(found)).is_dir()


@pytest.mark.parametrize("form", ["{folder}/best.pth", "local-dir:{folder}/best.pth", "w/best.pth", "./w/best.pth"])
def test_files_are_named_as_such_and_need_no_hub(form, tmp_path, hub, monkeypatch):
    """A relative path of a folder and a file looks like the name of a repository."""
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "best.pth").write_bytes(b"PK")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WeightsError, match=r"best\.pth' is a file.*umzoo import IMPORTER .*best\.pth FOLDER.*nnssl"):
        resolve(form.format(folder=tmp_path / "w"))
    assert hub.requests == []


def test_files_of_a_weights_folder_are_no_folder(folder, tmp_path, hub):
    with pytest.raises(WeightsError, match="give the folder"):
        resolve(folder / "model.safetensors")
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n"
    (folder / "model.safetensors").write_text(pointer)
    with pytest.raises(WeightsError, match="git lfs pull"):
        umzoo.from_pretrained(folder)
    (tmp_path / "best.pth").write_text(pointer)
    with pytest.raises(WeightsError, match="git lfs pull"):
        resolve(tmp_path / "best.pth")
    with pytest.raises(WeightsError, match="git lfs pull"):
        zoo().importers.build("medicalnet").run(tmp_path / "best.pth", tmp_path / "out")
    assert hub.requests == []


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("org/name", Place("org/name")),
        ("org/name/tree/main", Place("org/name", revision="main")),
        ("org/name/tree/feature%2Fx", Place("org/name", revision="feature/x")),
        ("org/name/tree/main/sub/deeper", Place("org/name", revision="main", folder="sub/deeper")),
        ("org/name/resolve/feature%2Fx/a/b%20c.pth?download=true", Place("org/name", ("a/b c.pth",), "feature/x")),
        ("org/name/blob/refs%2Fpr%2F1/f.pth", Place("org/name", ("f.pth",), "refs/pr/1")),
        ("org/name/resolve/refs/pr/1/f.pth", Place("org/name", ("f.pth",), "refs/pr/1")),
    ],
)
def test_addresses_of_a_browser(path, expected):
    assert place_of(f"https://huggingface.co/{path}") == expected


def test_pages_of_repositories_are_references():
    page = "https://huggingface.co/org/name/tree/refs%2Fpr%2F1"
    assert parse(page) == Reference(repository="org/name", revision="refs/pr/1")
    for wrong in ("org/name/tree/main/sub", "org/name/blob/main/f.pth", "/[::1"):
        with pytest.raises(WeightsError, match="not a weights folder"):
            parse(f"https://huggingface.co/{wrong}")
