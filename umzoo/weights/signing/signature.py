"""Reads ``model.sig``, the signature of a weights folder, without checking the signer.

It is a Sigstore bundle in the format of OpenSSF Model Signing: a list of files with their sha256, and a signature of
that list. :mod:`umzoo.weights.signing.signer` checks the signer.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from umzoo.errors import WeightsError, in_one_line
from umzoo.files import sha256
from umzoo.weights.folder.reader import CONFIG, SIGNATURE, read_info
from umzoo.weights.folder.strict_json import own_file, strict_json

MAX_SIGNATURE = 1 << 20
"""Maximum size of ``model.sig`` in bytes."""
_STATEMENT = "https://model_signing/signature/v1.0"
_KEYS, _ENVELOPE = {"mediaType", "verificationMaterial", "dsseEnvelope"}, {"payload", "payloadType", "signatures"}


@dataclass(frozen=True)
class Signature:
    """The content of a signature.

    Attributes:
        name: name of the signed weights.
        files: sha256 of each file that was signed.
        key: sha256 of the public key in PEM form; empty if there is a certificate.
        certificate: the signer's certificate in DER form; empty if there is a key.
    """

    name: str
    files: Mapping[str, str] = field(default_factory=dict)
    key: str = ""
    certificate: bytes = b""


def read_signature(folder: Path | str) -> Signature | None:
    """Return the content of the signature in *folder*; None if there is none.

    Raises:
        WeightsError: if ``model.sig`` is corrupted, not a signature, or a link out of the folder.
    """
    if not os.path.lexists(Path(folder) / SIGNATURE):
        return None
    file = own_file(folder, SIGNATURE)
    with file.open("rb") as stream:
        content = stream.read(MAX_SIGNATURE + 1)
    try:
        if len(content) > MAX_SIGNATURE:
            raise ValueError(f"it has more than {MAX_SIGNATURE} bytes")
        return _parse(strict_json(content))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"{file} is not a valid signature, or is corrupted: {in_one_line(error, 120)}; download or sign it again"
        ) from None


def required_signature(folder: Path | str) -> Signature:
    """Return the content of the signature in *folder*.

    Raises:
        WeightsError: if there is none, or it is corrupted.
    """
    signature = read_signature(folder)
    if signature is None:
        raise WeightsError(f"{folder} is not signed: it has no {SIGNATURE}")
    return signature


def require_covered(folder: Path | str, signature: Signature) -> None:
    """Require that the files of *folder* are the signed ones; the card and unknown files are ignored.

    Raises:
        WeightsError: if files were changed, removed or added since; the error names them.
    """
    folder = Path(folder)
    ours = (CONFIG, *read_info(folder).files)
    if missing := [name for name in signature.files if not (folder / name).is_file()]:
        raise WeightsError(f"signed files are missing in {folder}: {', '.join(missing)}")
    if unsigned := [name for name in ours if name not in signature.files]:
        raise WeightsError(f"the signature of {folder} does not cover {', '.join(unsigned)}")
    if changed := [name for name in ours if sha256(own_file(folder, name)) != signature.files[name]]:
        raise WeightsError(f"{' and '.join(changed)} in {folder} changed after the weights were signed")


def _parse(content: Any) -> Signature:
    envelope = content["dsseEnvelope"]
    if strange := sorted((set(content) - _KEYS) | (set(envelope) - _ENVELOPE)):  # another name of the same field
        raise ValueError(f"unexpected entries {strange[:4]}")
    statement = strict_json(base64.b64decode(envelope["payload"], validate=True))
    if statement["predicateType"] != _STATEMENT:
        raise ValueError(f"the predicate type is {statement['predicateType']}, expected {_STATEMENT}")
    resources = statement["predicate"]["resources"]
    if strange := sorted({str(item["algorithm"]) for item in resources} - {"sha256"}):
        raise ValueError(f"expected sha256 checksums only, got {strange[:4]}")
    material, (subject,) = content["verificationMaterial"], statement["subject"]
    key = material.get("publicKey") or {}
    chain = (material.get("x509CertificateChain") or {}).get("certificates") or [{}]
    certificate = base64.b64decode(chain[0].get("rawBytes", ""), validate=True)
    if not key.get("hint") and not certificate:
        raise ValueError("it names neither a key nor a certificate")
    files = {str(item["name"]): str(item["digest"]) for item in resources}
    return Signature(str(subject["name"]), files, str(key.get("hint") or ""), certificate)
