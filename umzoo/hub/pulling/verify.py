"""Weights by reference whose signature is checked before anything is loaded."""

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
    """Check that the weights *ref* are those that the owner of a key or certificate signed, and were not changed since.

    ``umzoo.from_pretrained(umzoo.verify("org/name", public_key="KEY.pub").folder)`` loads what was checked.

    Args:
        ref: a reference as for :func:`umzoo.from_pretrained`; what is on the Hub is downloaded first.
        public_key: file with the public key that is trusted, PEM.
        root: file with the root certificates that are trusted, PEM, for weights signed with a certificate.
        revision: commit, tag or branch of a Hub repository.
        token: token for the Hub; None takes ``HF_TOKEN`` or the one of ``hf auth login``, False sends none.
        cache_dir: cache of the Hub; None is the one ``huggingface_hub`` uses.
        local_files_only: ask nothing of the network.

    Raises:
        ConfigError: if not one of *public_key* and *root* is given, it cannot be used, or Model Signing is not
            installed.
        WeightsError: if the weights are not signed, somebody else signed them, they were changed since, or cannot be
            had.
    """
    folder = resolve(ref, revision, token=token, cache_dir=cache_dir, local_files_only=local_files_only)
    if repository := parse(ref, revision).repository:
        pull_signature(repository, folder.name, Access(token, cache_dir, local_files_only))
    return verify_folder(folder, public_key, root)
