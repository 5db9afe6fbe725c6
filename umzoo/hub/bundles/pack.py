"""One file for sites without a network: the weights, their card, checksums, and the plug-ins they need.

A bundle is a plain tar of ``bundle.json`` and the files of one weights folder. The same weights give the same bytes.
"""

from __future__ import annotations

import io
import json
import logging
import os
import tarfile
from pathlib import Path

from umzoo import __version__
from umzoo.errors import WeightsError
from umzoo.files import sha256, written_whole
from umzoo.hub.bundles.manifest import MANIFEST, Manifest, Member, installed_version
from umzoo.hub.pulling.pull import known_files
from umzoo.weights.folder.licenses import require_shareable
from umzoo.weights.folder.reader import CARD, CONFIG, FILES, SIGNATURE, checked_file
from umzoo.weights.folder.strict_json import own_file
from umzoo.weights.signing.signature import read_signature, require_covered

log = logging.getLogger(__name__)


def write_bundle(folder: Path, out: Path, reference: str = "") -> Manifest:
    """Write the weights in *folder* as the bundle *out*; return its manifest.

    Args:
        folder: a weights folder, which is checked first.
        out: the file to write, which must not exist.
        reference: ``org/name@commit`` if they came from the Hub.

    Raises:
        WeightsError: if weights are missing or altered (also after they were signed), or *out* exists or cannot be
            written.
    """
    manifest, files = _describe(folder, reference)
    if manifest.license in ("", "unknown"):
        log.warning("%s states no license: ask its authors before you pass the bundle on", manifest.name)
    if out.exists():
        raise WeightsError(f"{out} exists: choose another file, or remove it")
    try:
        with written_whole(out) as temporary, tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as tar:
            text = json.dumps(manifest.model_dump(mode="json"), indent=2, ensure_ascii=False).encode() + b"\n"
            tar.addfile(_header(MANIFEST, len(text)), io.BytesIO(text))
            for name, file in files.items():
                with file.open("rb") as stream:
                    tar.addfile(_header(name, manifest.files[name].size), stream)
    except OSError as error:
        raise WeightsError(f"cannot write {out}: {error}") from error
    return manifest


def _describe(folder: Path, reference: str) -> tuple[Manifest, dict[str, Path]]:
    info = known_files(folder)
    if info.base_model is not None:
        require_shareable(info)
    files = {name: checked_file(folder, name) for name in info.files}
    files |= {name: own_file(folder, name) for name in (CONFIG, CARD, SIGNATURE) if os.path.lexists(folder / name)}
    if (signature := read_signature(folder)) is not None:
        require_covered(folder, signature)
    ordered = {name: files[name] for name in FILES if name in files}
    plugins = filter(None, (info.plugin, info.head_plugin))
    requires = {"umzoo": __version__} | {name: installed_version(name) for name in plugins}
    members = {name: Member(size=file.stat().st_size, sha256=sha256(file)) for name, file in ordered.items()}
    return (
        Manifest(name=info.name, reference=reference, license=info.license, requires=requires, files=members),
        ordered,
    )


def _header(name: str, size: int) -> tarfile.TarInfo:
    """A tar header without metadata of this machine."""
    header = tarfile.TarInfo(name)
    header.size = size
    header.mode = 0o644
    return header
