"""Signs and verifies weights with OpenSSF Model Signing, with a key or a certificate, offline.

The signature covers ``config.json`` and every file that it lists, so everything that loading reads. The model card is
not signed, because people edit it on the Hub.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from umzoo.errors import ConfigError, WeightsError, in_one_line
from umzoo.files import written_whole
from umzoo.weights.card.model_card import merge_card, model_card
from umzoo.weights.folder.reader import CARD, CONFIG, SIGNATURE, checked_file, read_card, read_info
from umzoo.weights.folder.strict_json import own_file
from umzoo.weights.signing.signature import Signature, require_covered, required_signature

PEM = "expected a PEM file with a key on curve P-256, P-384 or P-521"
PASSWORD = "UMZOO_SIGN_PASSWORD"
"""Environment variable with the password of an encrypted private key."""


@dataclass(frozen=True)
class Signer:
    """Key and certificates for signing.

    Attributes:
        key: PEM file with the private key, on curve P-256, P-384 or P-521.
        certificate: PEM file with the certificate of the key; without it, the key alone identifies the signer.
        chain: PEM file with the intermediate certificates up to the root.
    """

    key: Path
    certificate: Path | None = None
    chain: Path | None = None


@dataclass(frozen=True)
class Verified:
    """Weights with a verified signature: *folder*, signed *files*, and *signer*."""

    folder: Path
    files: tuple[str, ...]
    signer: str


def sign_folder(folder: Path | str, signer: Signer) -> Signature:
    """Write ``model.sig`` into the weights folder *folder*, add instructions to its card, and return the signature.

    Raises:
        ConfigError: if Model Signing is not installed, or a key or certificate cannot be used.
        WeightsError: if the weights were modified, or *folder* cannot be written.
    """
    folder = Path(folder)
    info, config = read_info(folder), _signing(signer)
    files = {CONFIG: own_file(folder, CONFIG)} | {name: checked_file(folder, name) for name in info.files}
    with tempfile.TemporaryDirectory() as temporary, _one_line(ConfigError, f"cannot sign with {signer.key}"):
        place = Path(temporary) / (re.sub(r"[^\w.-]+", "-", info.name) or "weights")
        place.mkdir()
        for name, file in files.items():
            _lay(file, place / name)
        config.sign(place, Path(temporary) / SIGNATURE)
        content = (Path(temporary) / SIGNATURE).read_bytes()
    try:
        with written_whole(folder / SIGNATURE) as file:
            file.write_bytes(content)
        (folder / CARD).write_text(merge_card(read_card(folder), model_card(info, signed=True)), encoding="utf-8")
    except OSError as error:
        raise WeightsError(f"cannot write {folder}: {error}") from error
    return required_signature(folder)


def verify_folder(folder: Path | str, public_key: Path | str | None = None, root: Path | str | None = None) -> Verified:
    """Verify offline that the weights in *folder* were signed by the owner of a key or certificate.

    Args:
        folder: a weights folder.
        public_key: PEM file with the trusted public key.
        root: PEM file with the trusted root certificates, for weights signed with a certificate. A certificate that
            has expired since the signing is accepted.

    Raises:
        ConfigError: unless exactly one of *public_key* and *root* is given, or if it cannot be used, or Model Signing
            is not installed.
        WeightsError: if the weights are not signed, were signed by someone else, or were changed since.
    """
    folder = Path(folder)
    read_info(folder)
    signature = required_signature(folder)
    _require_installed()
    require_covered(folder, signature)
    needed, given = ("root certificates", root) if signature.certificate else ("a public key", public_key)
    if given is None or (public_key is None) == (root is None):
        raise ConfigError(f"the signature of {folder} claims {_named(signature)}: give {needed} that you trust")
    config = _verifying(public_key, root)
    with _one_line(WeightsError, f"the signature of {folder} does not match {public_key or root}"):
        config.verify(folder, own_file(folder, SIGNATURE))
    return Verified(folder, tuple(signature.files), _named(signature))


def _signing(signer: Signer) -> Any:
    """The signing configuration of Model Signing, without the card and the signature itself."""
    _require_installed()
    from model_signing import hashing, signing

    config = signing.Config().set_hashing_config(hashing.Config().set_ignored_paths(paths=[CARD, SIGNATURE]))
    password = os.environ.get(PASSWORD)
    with _one_line(ConfigError, f"cannot sign with {signer.key}: {PEM}, and its password, if any, in {PASSWORD}"):
        if signer.certificate is None:
            secret: Any = password.encode() if password else None
            return config.use_elliptic_key_signer(private_key=signer.key, password=secret)
        chain = [signer.chain or signer.certificate]
        return config.use_certificate_signer(
            private_key=signer.key, signing_certificate=signer.certificate, certificate_chain=chain
        )


def _verifying(public_key: Path | str | None, root: Path | str | None) -> Any:
    """The verification configuration of Model Signing: allows links, as in the Hub cache; ignores unsigned files."""
    from model_signing import hashing, verifying

    config = verifying.Config().set_ignore_unsigned_files(True)
    config.set_hashing_config(hashing.Config().set_allow_symlinks(True))
    expected = PEM if public_key else "expected a PEM file with certificates"
    with _one_line(ConfigError, f"cannot verify with {public_key or root}: {expected}"):
        if public_key is not None:
            return config.use_elliptic_key_verifier(public_key=public_key)
        return config.use_certificate_verifier(certificate_chain=[Path(str(root))])


def _require_installed() -> None:
    if find_spec("model_signing") is None or find_spec("OpenSSL") is None:
        raise ConfigError("signatures require Model Signing, which is not installed: pip install 'umzoo[sign]'")


def _named(signature: Signature) -> str:
    """The signer according to the signature."""
    if not signature.certificate:
        return f"the key {signature.key[:16]}"
    from cryptography import x509

    with _one_line(WeightsError, "the certificate in the signature cannot be read"):
        return f"the certificate of {x509.load_der_x509_certificate(signature.certificate).subject.rfc4514_string()}"


def _lay(file: Path, target: Path) -> None:
    """Link or copy *file* to *target*."""
    try:
        os.link(file.resolve(), target)
    except OSError:
        shutil.copyfile(file, target)


@contextmanager
def _one_line(kind: type[ConfigError | WeightsError], what: str) -> Iterator[None]:
    """Convert exceptions of the libraries to an error of *kind*."""
    try:
        yield
    except _refusals() as error:
        raise kind(f"{what} ({in_one_line(error, 200)})") from error


def _refusals() -> tuple[type[Exception], ...]:
    from cryptography.exceptions import InvalidSignature
    from OpenSSL.crypto import Error, X509StoreContextError

    return OSError, ValueError, TypeError, LookupError, AttributeError, InvalidSignature, X509StoreContextError, Error
