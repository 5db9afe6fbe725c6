"""Verifies the signature of weights by reference, before anything is loaded."""

from __future__ import annotations

from pathlib import Path

from umzoo.hub.client import Access
from umzoo.hub.pulling.pull import pull_signature
from umzoo.hub.pulling.references import parse, resolve
from umzoo.weights.signing.signer import Verified, verify_folder


def verify(
    ref: Path | str,
    *,
    public_key: Path | str | None = None,
    root: Path | str | None = None,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: Path | str | None = None,
    local_files_only: bool = False,
) -> Verified:
    """Check that the weights *ref* were signed by the owner of a key or certificate, and were not changed since.

    ``umzoo.from_pretrained(umzoo.verify("org/name", public_key="KEY.pub").folder)`` loads the verified weights.

    Args:
        ref: a reference as for :func:`umzoo.from_pretrained`; weights on the Hub are downloaded first.
        public_key: PEM file with the trusted public key.
        root: PEM file with the trusted root certificates, for weights signed with a certificate.
        revision: commit, tag or branch of a Hub repository.
        token: token for the Hub; None uses ``HF_TOKEN`` or the token of ``hf auth login``, False sends none.
        cache_dir: cache of the Hub; None is the default of ``huggingface_hub``.
        local_files_only: use cached files only, without a request.

    Raises:
        ConfigError: unless exactly one of *public_key* and *root* is given and can be used, and Model Signing is
            installed.
        WeightsError: if the weights are not signed, somebody else signed them, they were changed since, or they cannot
            be downloaded.
    """
    folder = resolve(ref, revision, token=token, cache_dir=cache_dir, local_files_only=local_files_only)
    if repository := parse(ref, revision).repository:
        pull_signature(repository, folder.name, Access(token, cache_dir, local_files_only))
    return verify_folder(folder, public_key, root)
