"""Writes vectors of many scans to one table; an interrupted run can be resumed and gives identical bytes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from umzoo.backbones.base import Backbone
from umzoo.downstream.embed.config import EmbedConfig
from umzoo.downstream.embed.table_files import COLUMNS, SUFFIXES, write_table
from umzoo.downstream.embed.vector_cache import file_name, save_arrays, signature
from umzoo.downstream.embed.vectors import embed
from umzoo.errors import ConfigError
from umzoo.files import read_json, written_whole
from umzoo.heads.model import Model
from umzoo.scans.listing import Listed, Listing, Progress, for_each_scan, no_progress
from umzoo.scans.scan import Scan


@dataclass(frozen=True)
class Embedded:
    """Result of embedding: number of rows, and skipped scans with reasons."""

    rows: int
    skipped: tuple[tuple[str, str], ...]


def embed_scans(
    model: Backbone | Model,
    listing: Listing,
    out: Path,
    config: EmbedConfig,
    mask_of: Callable[[Listed, Scan], Tensor] | None = None,
    progress: Progress = no_progress,
) -> Embedded:
    """Embed every scan of *listing* and write the table *out*, one row per vector.

    Finished vectors are cached in ``OUT.partial`` until the table is written, so an interrupted call can be resumed.
    Unusable scans are skipped and reported.

    Args:
        model: a network of :func:`umzoo.from_pretrained`.
        listing: of :func:`umzoo.scans.listing.list_scans`.
        out: file that ends in .parquet, .csv or .npz.
        config: options.
        mask_of: returns the mask of a scan, for ``per = "roi"``.
        progress: called with the numbers of scans done, scans in total, and scans skipped.

    Raises:
        ConfigError: if the suffix is not supported, or ``OUT.partial`` was begun with other weights or options.
    """
    if out.suffix not in SUFFIXES:
        raise ConfigError(f"--out expects a name that ends in {', '.join(SUFFIXES)}, got '{out.name}'")
    partial = out.with_name(f"{out.name}.partial")
    backbone = model.backbone if isinstance(model, Model) else model
    _begin(partial, signature(backbone, config, *COLUMNS))

    def keep(listed: Listed, scan: Scan) -> None:
        found = embed(model, scan, config, roi=mask_of(listed, scan) if mask_of else None)
        about = np.array(["+".join(scan.modality), scan.source])
        arrays = {"vectors": found.vectors.numpy(), "regions": np.array(found.regions), "about": about}
        save_arrays(partial / file_name(listed.name), arrays)

    skipped = for_each_scan(listing, keep, progress, lambda listed: (partial / file_name(listed.name)).is_file())
    rows = _write(out, listing.scans, partial)
    shutil.rmtree(partial)
    return Embedded(rows, skipped)


def _begin(partial: Path, made_by: str) -> None:
    file = partial / "options.json"
    if not file.is_file():
        partial.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"signature": made_by}), encoding="utf-8")
    elif read_json(file, "signature", remedy=f"remove {partial}")["signature"] != made_by:
        raise ConfigError(f"{partial} was begun with other weights or options: remove it, or choose another --out")


def _write(out: Path, scans: Sequence[Listed], partial: Path) -> int:
    """Write the table of all that is in *partial*, in the order of *scans*; return the number of rows."""
    columns: dict[str, list[str]] = {name: [] for name in COLUMNS}
    vectors: list[Any] = []
    for scan in scans:
        file = partial / file_name(scan.name)
        if not file.is_file():
            continue
        with np.load(file) as kept:
            for vector, region in zip(kept["vectors"], kept["regions"].tolist(), strict=True):
                vectors.append(vector)
                texts = (scan.name, scan.subject, region, *kept["about"].tolist())
                for name, value in zip(columns, texts, strict=True):
                    columns[name].append(value)
    if not vectors:
        raise ConfigError("no scan could be embedded, so there is no table: see the reasons above")
    out.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(out) as temporary:
        write_table(out.suffix, temporary, columns, np.stack(vectors))
    return len(vectors)
