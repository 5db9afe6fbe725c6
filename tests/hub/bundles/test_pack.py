"""Bundles: what goes in comes out, and nothing else."""

import io
import json
import tarfile

import pytest

import umzoo
from umzoo.errors import WeightsError
from umzoo.hub.bundles.manifest import missing_plugins
from umzoo.hub.bundles.pack import write_bundle
from umzoo.hub.bundles.unpack import read_bundle
from umzoo.weights.folder.reader import read_info

from ..conftest import same


@pytest.fixture
def bundle(folder, tmp_path):
    write_bundle(folder, tmp_path / "b.tar", "org/name@" + "0" * 40)
    return tmp_path / "b.tar"


def members(bundle):
    """Names and contents of *bundle*."""
    with tarfile.open(bundle) as tar:
        return {header.name: tar.extractfile(header).read() for header in tar}


def write(bundle, contents, change=None):
    """Write *bundle* anew; *change* may alter each header."""
    with tarfile.open(bundle, "w") as tar:
        for name, content in contents.items():
            header = tarfile.TarInfo(name)
            header.size = len(content)
            if change:
                change(header)
            tar.addfile(header, io.BytesIO(content))


def test_round_trip(backbone, folder, bundle, tmp_path):
    manifest = read_bundle(bundle, tmp_path / "new" / "w")
    assert {file.name: file.read_bytes() for file in (tmp_path / "new" / "w").iterdir()} == {
        file.name: file.read_bytes() for file in folder.iterdir()
    }
    assert same(umzoo.from_pretrained(tmp_path / "new" / "w"), backbone)
    assert manifest.reference == "org/name@" + "0" * 40
    assert manifest.requires == {"umzoo": umzoo.__version__} and missing_plugins(manifest) == {}
    with pytest.raises(WeightsError, match="exists: choose another"):
        read_bundle(bundle, tmp_path / "new" / "w")
    with pytest.raises(WeightsError, match="exists: choose another"):
        write_bundle(folder, bundle)


def test_the_same_weights_are_the_same_bytes_and_tell_nothing_of_this_machine(folder, bundle, tmp_path):
    write_bundle(folder, tmp_path / "again.tar", "org/name@" + "0" * 40)
    assert bundle.read_bytes() == (tmp_path / "again.tar").read_bytes()
    with tarfile.open(bundle) as tar:
        assert {(header.uid, header.uname, header.mtime) for header in tar} == {(0, "", 0)}


def test_plugins_that_are_missing_are_listed(backbone, folder, bundle, tmp_path):
    from umzoo.backbones.state import canonical_state
    from umzoo.weights.folder.writer import save_folder

    info = read_info(folder).model_copy(update={"plugin": "umzoo-nowhere"})
    save_folder(folder, canonical_state(backbone), info)
    manifest = write_bundle(folder, tmp_path / "p.tar")
    assert missing_plugins(manifest) == {"umzoo-nowhere": ""}


def test_damaged_weights_are_not_bundled(folder, tmp_path):
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(WeightsError, match="checksum mismatch"):
        write_bundle(folder, tmp_path / "b.tar")
    assert not list(tmp_path.glob("*b.tar*"))


def refused(bundle, folder, match):
    """Whether *bundle* is refused with *match*, and nothing is left of it."""
    folder.parent.mkdir(exist_ok=True)
    around = folder.parent.parent
    before = sorted(around.rglob("*"))
    with pytest.raises(WeightsError, match=match):
        read_bundle(bundle, folder)
    assert sorted(around.rglob("*")) == before


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
def test_links_devices_and_folders_are_refused(bundle, tmp_path, kind):
    contents = members(bundle)

    def change(header):
        if header.name == "README.md":
            header.type, header.linkname, header.size = kind, "/etc/passwd", 0

    write(bundle, contents, change)
    refused(bundle, tmp_path / "in" / "w", "not a bundle of umzoo, or is damaged")


@pytest.mark.parametrize("name", ["../evil.py", "/tmp/evil.py", "sub/model.safetensors", "evil.py", "README.md\0x"])
def test_other_names_are_refused_even_if_listed(bundle, tmp_path, name):
    contents = members(bundle)
    write(bundle, {**contents, name: b"x"})
    refused(bundle, tmp_path / "in" / "w", "not a bundle of umzoo, or is damaged")
    manifest = json.loads(contents["bundle.json"])
    manifest["files"][name] = {"size": 1, "sha256": "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"}
    write(bundle, {**contents, "bundle.json": json.dumps(manifest).encode(), name: b"x"})
    refused(bundle, tmp_path / "in" / "w", "not a bundle of umzoo, or is damaged")


def test_altered_cut_and_doubled_files_are_refused(bundle, tmp_path):
    whole = bundle.read_bytes()
    for position in range(600, len(whole) - 11_000, 4999):
        bundle.write_bytes(whole[:position] + bytes([whole[position] ^ 255]) + whole[position + 1 :])
        if members_or_none(bundle) != members_or_none_of(whole, tmp_path):
            refused(bundle, tmp_path / "in" / "w", "not a bundle|damaged|format|is not a weights folder")
    for length in (0, 100, 512, 1024, len(whole) // 2):
        bundle.write_bytes(whole[:length])
        refused(bundle, tmp_path / "in" / "w", "not a bundle of umzoo, or is damaged")


def members_or_none(bundle):
    try:
        return members(bundle)
    except (tarfile.TarError, AttributeError):
        return None


def members_or_none_of(content, tmp_path):
    (tmp_path / "whole.tar").write_bytes(content)
    return members(tmp_path / "whole.tar")


def test_a_later_format_and_nonsense(bundle, tmp_path):
    contents = members(bundle)
    write(bundle, {**contents, "bundle.json": contents["bundle.json"].replace(b'"format": 1', b'"format": 2')})
    refused(bundle, tmp_path / "in" / "w", "bundle has format 2, this umzoo reads up to 1: update umzoo")
    for nonsense in (b"[]", b"{", b"\xff", b'{"format": 1}', b'{"format": 1, "format": 1}'):
        write(bundle, {**contents, "bundle.json": nonsense})
        refused(bundle, tmp_path / "in" / "w", "not a bundle of umzoo, or is damaged")
    with pytest.raises(WeightsError, match="cannot unpack"):
        read_bundle(tmp_path / "nowhere.tar", tmp_path / "w")
