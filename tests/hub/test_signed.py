"""Signed weights travel: by the Hub and in bundles, and are checked where they arrive."""

import pytest

import umzoo
from tests.weights.signing.test_signer import make_key
from umzoo.errors import WeightsError
from umzoo.hub.bundles.pack import write_bundle
from umzoo.hub.bundles.unpack import read_bundle
from umzoo.weights.folder.writer import rewrite_info
from umzoo.weights.signing.signer import Signer, sign_folder

from .repositories import File, git_oid


@pytest.fixture
def keys(tmp_path):
    return make_key(tmp_path, "lab")


def test_a_signed_push_is_pulled_and_verified(folder, hub, keys, tmp_path, run):
    before = "nothing was uploaded; genesis_unet.custom passes, license mit: README.md, config.json, model.safetensors"
    assert before in run("push", folder, "org/name", "--dry-run")
    assert f"{before[:-17]}model.safetensors, model.sig, to be made" in run(
        "push", folder, "org/name", "--dry-run", "--sign", keys[0]
    )
    assert not (folder / "model.sig").exists()
    run("push", folder, "org/name", "--sign", keys[0], "--license", "cc-by-4.0")
    assert "umzoo verify org/name --public-key" in hub.files("org/name")["README.md"].content.decode()
    umzoo.from_pretrained("org/name")
    hub.requests.clear()
    said = run("verify", "org/name", "--public-key", keys[1])
    assert "signed by the key" in said and "unchanged: config.json, model.safetensors" in said
    assert len(hub.requests) == 1, "for the branch; the signature came with the weights"
    assert umzoo.verify("org/name", public_key=keys[1], local_files_only=True).folder.name in said
    with pytest.raises(WeightsError, match="does not match"):
        umzoo.verify("org/name", public_key=make_key(tmp_path, "other")[1])
    assert "signed\tyes, not checked" in run("info", "org/name")


def test_what_is_not_signed_says_so(folder, hub, keys, commit, run):
    assert "signed\tno\n" in run("info", folder) and "signed\tno\n" in run("info", "org/name")
    umzoo.from_pretrained("org/name")
    for ref in (folder, "org/name", f"org/name@{commit}"):
        with pytest.raises(WeightsError, match="is not signed"):
            umzoo.verify(ref, public_key=keys[1])


def test_a_repository_that_was_changed_does_not_verify(folder, hub, keys):
    umzoo.push_to_hub(folder, "org/name", sign=Signer(keys[0]))
    files = dict(hub.files("org/name"))
    config = files["config.json"].content.replace(b'"mit"', b'"isc"')
    files["config.json"] = File(config, git_oid(config))
    hub.repositories["org/name"].add(files, "changed")
    with pytest.raises(WeightsError, match=r"^config\.json in .* changed after the weights were signed"):
        umzoo.verify("org/name", public_key=keys[1])


def test_a_signature_that_no_longer_fits_does_not_leave(folder, hub, keys, tmp_path):
    sign_folder(folder, Signer(keys[0]))
    with pytest.raises(WeightsError, match=r"another license changes config\.json .*, which is signed"):
        umzoo.push_to_hub(folder, "org/name", license="cc-by-4.0")
    rewrite_info(folder, license="cc-by-4.0")
    with pytest.raises(WeightsError, match=r"changed after the weights were signed: sign them again, or remove"):
        umzoo.push_to_hub(folder, "org/name")
    with pytest.raises(WeightsError, match="changed after the weights were signed"):
        write_bundle(folder, tmp_path / "b.tar")
    assert not hub.requests
    umzoo.push_to_hub(folder, "org/name", sign=Signer(keys[0]))
    umzoo.verify("org/name", public_key=keys[1])
    (folder / "model.sig").unlink()
    umzoo.push_to_hub(folder, "org/name")
    assert "model.sig" not in hub.files("org/name")


def test_a_push_of_a_network_is_signed_and_pushing_the_same_again_is_no_commit(backbone, folder, hub, keys):
    umzoo.push_to_hub(backbone, "org/net", license="mit", sign=Signer(keys[0]))
    umzoo.verify("org/net", public_key=keys[1])
    sign_folder(folder, Signer(keys[0]))
    assert umzoo.push_to_hub(folder, "org/name") == umzoo.push_to_hub(folder, "org/name")


def test_names_in_a_signature_are_searched(folder, hub, keys):
    from model_signing import hashing, signing

    renamed = folder.rename(folder.with_name("Mustermann_Max_19540312"))
    config = hashing.Config().set_ignored_paths(paths=["README.md", "model.sig"])
    signer = signing.Config().set_hashing_config(config).use_elliptic_key_signer(private_key=keys[0])
    signer.sign(renamed, renamed / "model.sig")
    with pytest.raises(WeightsError, match=r"could identify a patient.*model\.sig"):
        umzoo.push_to_hub(renamed, "org/name")


def test_a_bundle_takes_the_signature_along(folder, keys, tmp_path):
    sign_folder(folder, Signer(keys[0]))
    write_bundle(folder, tmp_path / "b.tar")
    read_bundle(tmp_path / "b.tar", tmp_path / "there")
    umzoo.verify(tmp_path / "there", public_key=keys[1])
