"""Weights of other projects: downloaded and imported on first use, then cached as a weights folder."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

from umzoo import __version__
from umzoo.errors import WeightsError
from umzoo.files import written_whole
from umzoo.hub.client import Access
from umzoo.hub.pulling.addresses import Place
from umzoo.hub.pulling.checksum import is_whole
from umzoo.hub.pulling.original_files import brought
from umzoo.weights.catalog.entry import WeightsEntry
from umzoo.weights.folder.info import Origin, Provenance, WeightsInfo
from umzoo.weights.folder.reader import read_info
from umzoo.weights.importers.run_importer import run_importer

log = logging.getLogger(__name__)


def import_released(
    importer: Mapping[str, Any],
    place: Place,
    out: Path,
    access: Access,
    license: str = "unknown",
    license_link: str = "",
    provenance: Mapping[str, Any] | None = None,
) -> WeightsInfo:
    """Download the files at *place*, import them as the weights folder *out*, and return its ``config.json``.

    Args:
        importer: name and options of the importer.
        place: location of the files.
        out: the folder to write; an existing weights folder is replaced.
        access: access to the Hub.
        license: SPDX identifier.
        license_link: link to the text of a license without an SPDX identifier.
        provenance: known facts in addition to those in the files.

    Raises:
        WeightsError: if the files cannot be downloaded, or the importer refuses them.
    """
    from umzoo.weights.folder.writer import rewrite_info

    with brought(place, access) as released:
        run_importer(importer, released.source, out, license)
        origin = Origin(
            location=place.location,
            revision=released.revision,
            files=place.files or tuple(filter(None, (place.folder,))),
        )
        known = Provenance.parse({**read_info(out).provenance.model_dump(), **(provenance or {})}, "provenance")
        return rewrite_info(out, license_link=license_link, imported_from=origin, provenance=known)


def kept_folder(entry: WeightsEntry, revision: str | None, access: Access) -> Path:
    """Return the cache folder of *entry* after its import: among the assets in the cache of the Hub.

    A new version of umzoo imports it again, because importers improve.
    """
    from huggingface_hub import cached_assets_path, constants

    assets = Path(access.cache_dir) / "assets" if access.cache_dir else constants.HF_ASSETS_CACHE
    folder = cached_assets_path("umzoo", "imported", __version__, assets_dir=assets)
    return folder / re.sub(r"[^\w.@-]", "_", f"{entry.name}@{revision}" if revision else entry.name)


def imported(entry: WeightsEntry, revision: str | None, access: Access) -> Path:
    """Return the weights folder of *entry*; a cached folder is used without a request, unless *access* forces it.

    Raises:
        WeightsError: if it cannot be downloaded, the importer refuses it, or it holds another network than *entry*.
    """
    folder = kept_folder(entry, revision, access)
    if folder.is_dir() and not access.force_download:
        return folder
    with _lock(folder):
        if not folder.is_dir() or access.force_download:
            _import(entry, revision, folder, access)
    return folder


def mend_imported(entry: WeightsEntry, revision: str | None, access: Access) -> bool:
    """Import *entry* again if its cached folder is damaged; return whether it was.

    Raises:
        WeightsError: if it cannot be downloaded again.
    """
    folder = kept_folder(entry, revision, access)
    if all(is_whole(folder / name, recorded) for name, recorded in read_info(folder).files.items()):
        return False
    log.warning("%s is damaged, importing it again", folder)
    with _lock(folder):
        _import(entry, revision, folder, access)
    return True


def _lock(folder: Path) -> FileLock:
    """A lock that keeps other processes from importing to *folder* at the same time."""
    return FileLock(folder.with_name(f".{folder.name}.lock"))


def _import(entry: WeightsEntry, revision: str | None, folder: Path, access: Access) -> None:
    """Import to *folder*; an existing folder is replaced at the end."""
    log.warning("%s: importing %s, once; license %s", entry.name, entry.location, entry.license)
    importer = {"name": entry.importer, "tag": entry.tag, **entry.options}
    recorded = ("", 0) if revision else (entry.sha256, entry.size)
    place = Place(entry.location, entry.files, revision or entry.revision, *recorded)
    fresh = folder.with_name(f".{folder.name}.fresh")
    shutil.rmtree(fresh, ignore_errors=True)
    with written_whole(fresh) as temporary:
        info = import_released(importer, place, temporary, access, entry.license, entry.license_link, entry.provenance)
        if info.name != entry.name:
            raise WeightsError(f"{entry.location} holds a {info.name}, expected the {entry.name} of the catalog")
    if folder.is_dir():
        shutil.rmtree(folder)
    fresh.rename(folder)
