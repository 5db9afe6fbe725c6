"""Unpacks a bundle into a weights folder; its content is untrusted."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path
from typing import IO

from umzoo.errors import ConfigError, WeightsError
from umzoo.files import sha256, written_whole
from umzoo.hub.bundles.manifest import FORMAT, MANIFEST, Manifest
from umzoo.hub.pulling.pull import known_files
from umzoo.weights.folder.reader import FILES
from umzoo.weights.folder.strict_json import strict_json

MAX_MANIFEST = 1 << 20


def read_bundle(bundle: Path, folder: Path) -> Manifest:
    """Unpack *bundle* into the new weights folder *folder*; return the manifest.

    Only regular files with the listed names, lengths and checksums are written, after all checks have passed.

    Raises:
        WeightsError: if *bundle* is not a bundle, is damaged, or holds anything else; or if *folder* exists.
    """
    if folder.exists():
        raise WeightsError(f"{folder} exists: choose another folder")
    try:
        with written_whole(folder) as temporary:
            temporary.mkdir(parents=True)
            with tarfile.open(bundle, "r:") as tar:
                manifest = _read_manifest(tar)
                _extract(tar, manifest, temporary)
            known_files(temporary)
    except (tarfile.TarError, EOFError) as error:
        raise WeightsError(f"{bundle} is not a bundle of umzoo, or is damaged: {error}") from None
    except OSError as error:
        raise WeightsError(f"cannot unpack {bundle} into {folder}: {error}") from error
    return manifest


def _read_manifest(tar: tarfile.TarFile) -> Manifest:
    first = tar.next()
    if first is None or first.name != MANIFEST or not _is_plain(first) or first.size > MAX_MANIFEST:
        raise tarfile.ReadError(f"it does not begin with {MANIFEST}")
    try:
        content = strict_json(_content(tar, first).read())
        if not isinstance(content, dict):
            raise tarfile.ReadError(f"{MANIFEST} is not a table")
        number = content.get("format")
        if isinstance(number, int) and number > FORMAT:
            raise WeightsError(f"the bundle has format {number}, this umzoo reads up to {FORMAT}: update umzoo")
        manifest = Manifest.parse(content)
    except (ConfigError, ValueError) as error:
        raise tarfile.ReadError(f"{MANIFEST}: {error}") from None
    if strange := sorted(set(manifest.files) - set(FILES)):
        raise tarfile.ReadError(f"it lists files that do not belong to a weights folder: {strange[:4]}")
    return manifest


def _extract(tar: tarfile.TarFile, manifest: Manifest, folder: Path) -> None:
    """Write the members of *tar* into *folder*, each once, with the length and checksum in *manifest*."""
    waiting = dict(manifest.files)
    while (header := tar.next()) is not None:
        expected = waiting.pop(header.name, None)
        if expected is None or not _is_plain(header) or header.size != expected.size:
            raise tarfile.ReadError(f"it holds {header.name[:80]!r}, which {MANIFEST} does not list in this form")
        file = folder / header.name
        with file.open("xb") as out:
            shutil.copyfileobj(_content(tar, header), out, 1 << 20)
        if sha256(file) != expected.sha256:
            raise tarfile.ReadError(f"{header.name} is altered: its sha256 differs from {MANIFEST}")
    if waiting:
        raise tarfile.ReadError(f"it is truncated: {', '.join(sorted(waiting))} missing")


def _content(tar: tarfile.TarFile, header: tarfile.TarInfo) -> IO[bytes]:
    content = tar.extractfile(header)
    if content is None:
        raise tarfile.ReadError(f"{header.name[:80]!r} is not a file")
    return content


def _is_plain(header: tarfile.TarInfo) -> bool:
    """Whether *header* describes a regular file: no link, folder, device or sparse file."""
    return header.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not header.issparse()
