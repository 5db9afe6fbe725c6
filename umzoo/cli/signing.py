"""``umzoo sign`` and ``umzoo verify``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from umzoo.cli.hub import Offline
from umzoo.cli.output import say

if TYPE_CHECKING:
    from umzoo.weights.signing.signer import Signer


def sign(
    folder: Annotated[Path, typer.Argument(help="weights folder")],
    key: Annotated[Path, typer.Argument(help="private key (PEM), on one of the curves P-256, P-384 and P-521")],
    certificate: Annotated[Path | None, typer.Option(help="certificate of that key (PEM)")] = None,
    chain: Annotated[Path | None, typer.Option(help="certificates up to the root (PEM)")] = None,
) -> None:
    """Sign a weights folder: config.json and the tensors, not the card. Pushes and bundles include model.sig."""
    from umzoo.weights.signing.signer import Signer, sign_folder

    signature = sign_folder(folder, Signer(key, certificate, chain))
    trusted = "--root CERTIFICATES" if certificate else "--public-key KEY"
    say(f"signed {', '.join(signature.files)} in {folder}; verify with: umzoo verify {folder} {trusted}")


def verify(
    ref: Annotated[str, typer.Argument(help="weights folder, org/name[@revision], or architecture.tag")],
    public_key: Annotated[Path | None, typer.Option(help="public key that you trust (PEM)")] = None,
    root: Annotated[
        Path | None, typer.Option(help="root certificates that you trust (PEM), if signed with a certificate")
    ] = None,
    offline: Offline = False,
) -> None:
    """Check that weights were signed by the owner of a key or certificate, and are unchanged."""
    from umzoo.hub.pulling.verify import verify as verify_weights

    found = verify_weights(ref, public_key=public_key, root=root, local_files_only=offline)
    say(f"{found.folder}: signed by {found.signer}; unchanged: {', '.join(found.files)}")


def signer_of(key: Path | None, certificate: Path | None, chain: Path | None) -> Signer | None:
    """Return the signer for the options of a command; None without a key.

    Raises:
        ConfigError: if there are certificates without a key.
    """
    from umzoo.errors import ConfigError
    from umzoo.weights.signing.signer import Signer

    if key is None and (certificate or chain):
        raise ConfigError("--certificate and --chain go with --sign KEY")
    return Signer(key, certificate, chain) if key else None
