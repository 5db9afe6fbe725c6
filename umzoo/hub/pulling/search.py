"""Information on weights before they are downloaded: searching the Hub, and inspecting a repository."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from umzoo.errors import WeightsError
from umzoo.hub.client import DEFAULT, Access
from umzoo.hub.errors import SENSELESS, client_errors, one_line
from umzoo.hub.pulling.import_cache import imported, kept_folder
from umzoo.hub.pulling.pull import pull_config, whole_info
from umzoo.hub.pulling.references import parse
from umzoo.hub.retry import retry
from umzoo.weights.catalog.entry import WeightsEntry
from umzoo.weights.folder.info import WeightsInfo
from umzoo.weights.folder.reader import MODEL, SIGNATURE, read_info, read_shapes

if TYPE_CHECKING:
    from huggingface_hub import HfApi, ModelInfo

LIBRARY_TAG = "umzoo"
NO_CATALOG: Mapping[str, WeightsEntry] = MappingProxyType({})


@dataclass(frozen=True)
class Found:
    """A repository found by a search."""

    repository: str
    license: str
    tags: tuple[str, ...]
    downloads: int
    updated: str
    private: bool
    gated: bool


@dataclass(frozen=True)
class Look:
    """Information on weights without loading their tensors.

    Attributes:
        info: content of ``config.json``.
        where: the folder, or ``org/name@commit``.
        sizes: bytes of each file, if known.
        tensors: number of tensors; None if unknown offline.
        values: number of their values.
        repository: the Hub's metadata of the repository; empty for a folder, and offline.
        signed: whether there is a signature; None if unknown offline. It is not verified.
    """

    info: WeightsInfo
    where: str
    sizes: dict[str, int] = field(default_factory=dict)
    tensors: int | None = None
    values: int | None = None
    repository: dict[str, str] = field(default_factory=dict)
    signed: bool | None = None


def search(query: str = "", author: str | None = None, limit: int = 20, access: Access = DEFAULT) -> list[Found]:
    """Return repositories of umzoo weights on the Hub whose names contain *query*, most downloaded first.

    Args:
        query: part of the name; empty for all.
        author: organization or user.
        limit: maximum number of results.
        access: token.

    Raises:
        WeightsError: if the Hub cannot be reached.
    """
    api = access.api()
    with one_line("cannot search the Hub"):
        if access.offline:
            raise WeightsError("cannot search the Hub offline; 'umzoo list --pretrained' shows registered weights")
        return [_found(model) for model in _listed(api, query, author, limit)]


def look(
    ref: Path | str,
    revision: str | None = None,
    access: Access = DEFAULT,
    catalog: Mapping[str, WeightsEntry] = NO_CATALOG,
) -> Look:
    """Return what is known of the weights *ref*; of a Hub repository only ``config.json`` is downloaded.

    *catalog* holds registered weights that are known already, so that no plug-in has to be imported.

    Raises:
        WeightsError: if there are no such weights, or the Hub refuses.
    """
    found = parse(ref, revision, catalog)
    if found.entry is not None:
        return _look_at_folder(imported(found.entry, found.revision, access))
    if found.folder is not None:
        return _look_at_folder(found.folder)
    folder = pull_config(found.repository, found.revision, access)
    info, commit = whole_info(found.repository, folder, access), folder.name
    where = f"{found.repository}@{commit}"
    if access.offline:
        signed = access.cached(found.repository, SIGNATURE, commit)
        return Look(info, where, *_on_disk(folder, info), signed=None if signed is None else bool(signed))
    with one_line(f"cannot look at {found.repository}"):
        model = retry(
            lambda: access.api().model_info(found.repository, revision=commit, files_metadata=True), found.repository
        )
        sizes = {file.rfilename: file.size or 0 for file in model.siblings or () if file.rfilename in info.files}
        signed = any(file.rfilename == SIGNATURE for file in model.siblings or ())
        facts = _facts(model)
    return Look(info, where, sizes, *_header(access.api(), found.repository, commit), facts, signed)


def not_imported(
    ref: str, access: Access = DEFAULT, catalog: Mapping[str, WeightsEntry] = NO_CATALOG
) -> WeightsEntry | None:
    """Return the registered weights that *ref* names, if another project released them and they are not here yet."""
    found = parse(ref, catalog=catalog)
    missing = found.entry and not kept_folder(found.entry, found.revision, access).is_dir()
    return found.entry if missing else None


def _look_at_folder(folder: Path) -> Look:
    if not folder.is_dir():
        raise WeightsError(f"there is no folder {folder}")
    info = read_info(folder)
    return Look(info, str(folder), *_on_disk(folder, info), signed=(folder / SIGNATURE).is_file())


def _on_disk(folder: Path, info: WeightsInfo) -> tuple[dict[str, int], int | None, int | None]:
    sizes = {name: (folder / name).stat().st_size for name in info.files if (folder / name).is_file()}
    if MODEL not in sizes:
        return sizes, None, None
    shapes = read_shapes(folder)
    return sizes, len(shapes), sum(map(prod, shapes.values()))


def _header(api: HfApi, repository: str, commit: str) -> tuple[int | None, int | None]:
    """Number of tensors and of values, from the header of the file; None if it is not accessible (gated)."""
    from huggingface_hub.errors import SafetensorsParsingError

    try:
        header = api.parse_safetensors_file_metadata(repository, MODEL, revision=commit)
        return len(header.tensors), sum(header.parameter_count.values())
    except client_errors() + SENSELESS + (SafetensorsParsingError,):
        return None, None


def _listed(api: HfApi, query: str, author: str | None, limit: int) -> Iterable[ModelInfo]:
    return api.list_models(
        filter=LIBRARY_TAG, search=query or None, author=author, sort="downloads", limit=limit, full=True
    )


def _found(model: ModelInfo) -> Found:
    tags = tuple(model.tags or ())
    license = next((tag.removeprefix("license:") for tag in tags if tag.startswith("license:")), "unknown")
    shown = tuple(tag for tag in tags if ":" not in tag and tag != LIBRARY_TAG)
    updated = f"{model.last_modified:%Y-%m-%d}" if model.last_modified else ""
    return Found(model.id, license, shown, model.downloads or 0, updated, bool(model.private), bool(model.gated))


def _facts(model: ModelInfo) -> dict[str, Any]:
    facts = {
        "visibility": "private" if model.private else "public",
        "gated": "request access on its page" if model.gated else "",
        "downloads": f"{model.downloads:,} in the last month" if model.downloads else "",
        "updated": f"{model.last_modified:%Y-%m-%d}" if model.last_modified else "",
    }
    return {name: value for name, value in facts.items() if value}
