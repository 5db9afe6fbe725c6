"""Signatures: what is signed verifies with the right key, and nothing else does."""

import base64
import datetime
import json

import pytest

pytest.importorskip("model_signing", reason="Model Signing is not installed")
pytest.importorskip("OpenSSL", reason="pyOpenSSL is not installed")

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

import umzoo
from umzoo.errors import ConfigError, WeightsError
from umzoo.weights.signing.signature import read_signature
from umzoo.weights.signing.signer import PASSWORD, Signer, sign_folder, verify_folder


def make_key(folder, name, password=None):
    """Files with a new private and public key."""
    key = ec.generate_private_key(ec.SECP256R1())
    locked = pem.BestAvailableEncryption(password) if password else pem.NoEncryption()
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    private.write_bytes(key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, locked))
    public.write_bytes(key.public_key().public_bytes(pem.Encoding.PEM, pem.PublicFormat.SubjectPublicKeyInfo))
    return private, public


def make_root(folder, name):
    """A root certificate, and a certificate that it vouches for, with its key."""
    root, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    now, day = datetime.datetime.now(datetime.timezone.utc), datetime.timedelta(1)
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name} root")])

    def certificate(subject, public, authority):
        usage = dict.fromkeys(
            ("key_encipherment", "data_encipherment", "key_agreement", "content_commitment", "encipher_only",
             "decipher_only"), False,
        )  # fmt: skip
        builder = x509.CertificateBuilder(issuer, subject, public, x509.random_serial_number(), now - day, now + day)
        builder = builder.add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        use = x509.KeyUsage(digital_signature=not authority, key_cert_sign=authority, crl_sign=authority, **usage)
        return builder.add_extension(use, critical=True).sign(root, hashes.SHA256())

    leaf = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name} lab")])
    made = ("root", certificate(issuer, root.public_key(), True)), ("lab", certificate(leaf, key.public_key(), False))
    for file, it in made:
        (folder / f"{name}-{file}.crt").write_bytes(it.public_bytes(pem.Encoding.PEM))
    (folder / f"{name}.pem").write_bytes(
        key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption())
    )
    return folder / f"{name}-root.crt", Signer(folder / f"{name}.pem", folder / f"{name}-lab.crt")


@pytest.fixture
def folder(tmp_path):
    umzoo.save_pretrained(umzoo.create_model("genesis_unet", width=1), tmp_path / "w", license="mit")
    return tmp_path / "w"


@pytest.fixture
def keys(tmp_path):
    return make_key(tmp_path, "lab")


@pytest.fixture
def signed(folder, keys):
    sign_folder(folder, Signer(keys[0]))
    return folder


def flip(file):
    content = bytearray(file.read_bytes())
    content[-2] ^= 1
    file.write_bytes(content)


def test_what_was_signed_verifies_with_that_key_alone(signed, keys, tmp_path):
    found = verify_folder(signed, keys[1])
    assert set(found.files) == {"config.json", "model.safetensors"} and found.folder == signed
    assert umzoo.from_pretrained(found.folder).weights_info.license == "mit"
    with pytest.raises(WeightsError, match="does not match .*other.pub"):
        verify_folder(signed, make_key(tmp_path, "other")[1])


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_file_that_changed_is_named(signed, keys, name):
    flip(signed / name) if name != "config.json" else (signed / name).write_text((signed / name).read_text() + " ")
    with pytest.raises(WeightsError, match=rf"^{name} in .* changed after the weights were signed"):
        verify_folder(signed, keys[1])


def test_the_list_of_files_is_signed_too(signed, keys):
    """A list that fits the changed file, under the old signature."""
    (signed / "config.json").write_text((signed / "config.json").read_text() + " ")
    from umzoo.files import sha256

    old = read_signature(signed).files["config.json"]
    bundle = json.loads((signed / "model.sig").read_text())
    payload = base64.b64decode(bundle["dsseEnvelope"]["payload"]).decode()
    forged = payload.replace(old, sha256(signed / "config.json"))
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(forged.encode()).decode()
    (signed / "model.sig").write_text(json.dumps(bundle))
    with pytest.raises(WeightsError, match="does not match"):
        verify_folder(signed, keys[1])


def test_files_that_config_lists_must_be_signed(signed, keys):
    from umzoo.files import sha256

    (signed / "head.safetensors").write_bytes((signed / "model.safetensors").read_bytes())
    config = json.loads((signed / "config.json").read_text())
    config["files"]["head.safetensors"] = sha256(signed / "head.safetensors")
    (signed / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match=r"does not cover head\.safetensors"):
        verify_folder(signed, keys[1])
    (signed / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"signed files are missing in .*: model\.safetensors"):
        verify_folder(signed, keys[1])


def test_the_card_may_change_and_says_how_to_verify(signed, keys):
    card = (signed / "README.md").read_text()
    assert "umzoo verify FOLDER --public-key" in card
    (signed / "README.md").write_text(card + "\nWritten later.\n")
    (signed / "notes.txt").write_text("mine")
    verify_folder(signed, keys[1])
    sign_folder(signed, Signer(keys[0]))
    assert "Written later." in (signed / "README.md").read_text()


def test_model_signing_itself_agrees(signed, keys):
    """Other tools verify the folder as it is."""
    from model_signing import verifying

    verifying.Config().use_elliptic_key_verifier(public_key=keys[1]).verify(signed, signed / "model.sig")
    flip(signed / "model.safetensors")
    with pytest.raises(ValueError, match="Signature mismatch"):
        verifying.Config().use_elliptic_key_verifier(public_key=keys[1]).verify(signed, signed / "model.sig")


def test_certificates(folder, tmp_path):
    root, signer = make_root(tmp_path, "ours")
    other, _ = make_root(tmp_path, "theirs")
    sign_folder(folder, signer)
    assert verify_folder(folder, root=root).signer == "the certificate of CN=ours lab"
    with pytest.raises(WeightsError, match=r"does not match .*theirs-root\.crt"):
        verify_folder(folder, root=other)
    for wrong in ({"public_key": other}, {"public_key": other, "root": root}, {}):
        with pytest.raises(ConfigError, match="claims the certificate of CN=ours lab: give root certificates"):
            verify_folder(folder, **wrong)


def test_the_signature_says_nothing_of_this_machine(signed):
    assert read_signature(signed).name == "genesis_unet.custom"
    assert str(signed.parent) not in (signed / "model.sig").read_text()


def test_what_is_missing_or_wrong_is_said(folder, keys, tmp_path, monkeypatch):
    with pytest.raises(WeightsError, match=r"is not signed: it has no model\.sig"):
        verify_folder(folder, keys[1])
    with pytest.raises(ConfigError, match="cannot sign with .*lab.pub"):
        sign_folder(folder, Signer(keys[1]))
    with pytest.raises(ConfigError, match="cannot sign with .*nowhere"):
        sign_folder(folder, Signer(tmp_path / "nowhere"))
    assert not (folder / "model.sig").exists()
    key = rsa.generate_private_key(65537, 2048)
    (tmp_path / "rsa").write_bytes(key.private_bytes(pem.Encoding.PEM, pem.PrivateFormat.PKCS8, pem.NoEncryption()))
    with pytest.raises(ConfigError, match=r"cannot sign with .*rsa: expected a PEM file with a key on curve"):
        sign_folder(folder, Signer(tmp_path / "rsa"))
    locked, public = make_key(tmp_path, "locked", b"secret")
    with pytest.raises(ConfigError, match="cannot sign with"):
        sign_folder(folder, Signer(locked))
    monkeypatch.setenv(PASSWORD, "secret")
    sign_folder(folder, Signer(locked))
    verify_folder(folder, public)
    for wrong in ({}, {"root": public}):
        with pytest.raises(ConfigError, match="claims the key .*: give a public key"):
            verify_folder(folder, **wrong)
    with pytest.raises(ConfigError, match="cannot verify with .*locked.pem"):
        verify_folder(folder, locked)
    monkeypatch.setattr("umzoo.weights.signing.signer.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'umzoo\[sign\]'"):
        verify_folder(folder, public)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b'{"dsseEnvelope": {"payload": "e30="}}', b"[" * 99])
def test_damaged_signatures_are_one_line(folder, keys, content):
    (folder / "model.sig").write_bytes(content)
    with pytest.raises(WeightsError, match=r"model\.sig is not a valid signature, or is corrupted"):
        verify_folder(folder, keys[1])


def test_a_signature_says_each_thing_once_and_by_whom(signed, keys):
    """A second list under another spelling could be the one that is checked; a key without a name is anybody's."""
    bundle = json.loads((signed / "model.sig").read_text())
    unnamed = {**bundle, "verificationMaterial": {"publicKey": {"hint": ""}, "tlogEntries": []}}
    for changed, message in (
        (bundle | {"dsse_envelope": bundle["dsseEnvelope"]}, "unexpected entries .'dsse_envelope'"),
        (bundle | {"dsseEnvelope": bundle["dsseEnvelope"] | {"payload_": ""}}, "unexpected entries .'payload_'"),
        (unnamed, "names neither a key nor a certificate"),
    ):
        (signed / "model.sig").write_text(json.dumps(changed))
        with pytest.raises(WeightsError, match=message):
            verify_folder(signed, keys[1])


def test_saving_anew_removes_the_signature(signed, keys):
    umzoo.save_pretrained(umzoo.create_model("genesis_unet", width=1), signed, license="mit")
    with pytest.raises(WeightsError, match="is not signed"):
        verify_folder(signed, keys[1])
