"""Vectors of many scans in one file: resumed where it was interrupted, and the same bytes however often that was."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from umzoo.backbones.base import Backbone
from umzoo.downstream.embed.config import EmbedConfig
from umzoo.downstream.embed.vectors import Embedding, embed
from umzoo.errors import ConfigError, UmzooError, in_one_line
from umzoo.files import written_whole
from umzoo.heads.model import Model
from umzoo.scans.listing import Listed, Listing
from umzoo.scans.scan import Scan

log = logging.getLogger(__name__)

SUFFIXES = (".parquet", ".csv", ".npz")
Progress = Callable[[int, int, int], None]


@dataclass(frozen=True)
class Embedded:
    """What came of it: rows written, and scans that were left out with the reason."""

    rows: int
    skipped: tuple[tuple[str, str], ...]


def embed_scans(
    model: Backbone | Model,
    listing: Listing,
    out: Path,
    config: EmbedConfig,
    mask_of: Callable[[Listed, Scan], Tensor] | None = None,
    progress: Progress = lambda done, total, skipped: None,
) -> Embedded:
    """Embed every scan of *listing* and write the table *out*, a row for each vector.

    What is done is kept in ``OUT.partial`` until the table is written, so an interrupted call goes on. A scan that
    cannot be used is left out and named.

    Args:
        model: a network of :func:`umzoo.from_pretrained`.
        listing: of :func:`umzoo.scans.listing.list_scans`.
        out: a name that ends in .parquet, .csv or .npz.
        config: options.
        mask_of: gives the mask of a scan, for ``per = "roi"``.
        progress: called with scans done, scans in all, and scans left out.

    Raises:
        ConfigError: if the suffix is another one, or ``OUT.partial`` was begun with other weights or options.
    """
    if out.suffix not in SUFFIXES:
        raise ConfigError(f"--out expects a name that ends in {', '.join(SUFFIXES)}, got '{out.name}'")
    partial = out.with_name(f"{out.name}.partial")
    _begin(partial, _signature(model, config))
    skipped = list(listing.refused)
    for done, scan in enumerate(listing.scans):
        progress(done, len(listing.scans), len(skipped))
        file = partial / f"{hashlib.sha256(scan.name.encode()).hexdigest()[:32]}.npz"
        if not file.is_file() and (reason := _embed_one(model, scan, file, config, mask_of)):
            skipped.append((scan.name, reason))
    rows = _write(out, [scan for scan in listing.scans], partial)
    shutil.rmtree(partial)
    progress(len(listing.scans), len(listing.scans), len(skipped))
    return Embedded(rows, tuple(skipped))


def _embed_one(
    model: Backbone | Model,
    listed: Listed,
    file: Path,
    config: EmbedConfig,
    mask_of: Callable[[Listed, Scan], Tensor] | None,
) -> str:
    """Keep the vectors of one scan in *file*; return why there are none, if so."""
    try:
        scan = listed.read()
        found = embed(model, scan, config, roi=mask_of(listed, scan) if mask_of else None)
    except ConfigError:
        raise
    except UmzooError as error:
        return in_one_line(error)
    _keep(file, found)
    return ""


def _keep(file: Path, found: Embedding) -> None:
    with written_whole(file) as temporary, temporary.open("wb") as stream:
        np.savez(stream, vectors=found.vectors.numpy(), regions=np.array(found.regions))


def _signature(model: Backbone | Model, config: EmbedConfig) -> str:
    """What makes vectors what they are: options and the values of the network."""
    backbone = model.backbone if isinstance(model, Model) else model
    digest = hashlib.sha256(config.model_dump_json(exclude={"batch_size"}).encode())
    for name, tensor in backbone.state_dict().items():
        values = tensor.detach().cpu().contiguous().flatten().view(torch.uint8)
        digest.update(name.encode() + values.numpy().tobytes())
    return digest.hexdigest()


def _begin(partial: Path, signature: str) -> None:
    file = partial / "options.json"
    if not file.is_file():
        partial.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"signature": signature}), encoding="utf-8")
    elif json.loads(file.read_text(encoding="utf-8"))["signature"] != signature:
        raise ConfigError(f"{partial} was begun with other weights or options: remove it, or choose another --out")


def _write(out: Path, scans: Sequence[Listed], partial: Path) -> int:
    """Write the table of all that is in *partial*, in the order of *scans*; return the number of rows."""
    columns: dict[str, list[str]] = {"scan": [], "subject": [], "region": []}
    vectors: list[Any] = []
    for scan in scans:
        file = partial / f"{hashlib.sha256(scan.name.encode()).hexdigest()[:32]}.npz"
        if not file.is_file():
            continue
        with np.load(file) as kept:
            for vector, region in zip(kept["vectors"], kept["regions"].tolist(), strict=True):
                vectors.append(vector)
                for name, value in zip(columns, (scan.name, scan.subject, region), strict=True):
                    columns[name].append(value)
    if not vectors:
        raise ConfigError("no scan could be embedded, so there is no table: see the reasons above")
    out.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(out) as temporary:
        _write_as(out.suffix, temporary, columns, np.stack(vectors))
    return len(vectors)


def _write_as(suffix: str, file: Path, columns: dict[str, list[str]], vectors: Any) -> None:
    if suffix == ".npz":
        with file.open("wb") as stream:
            arrays: dict[str, Any] = {name: np.array(values) for name, values in columns.items()}
            np.savez(stream, features=vectors, **arrays)
        return
    import pandas

    table = pandas.DataFrame(columns)
    features = pandas.DataFrame(vectors, columns=[f"f{number}" for number in range(vectors.shape[1])])
    table = pandas.concat([table, features], axis=1)
    if suffix == ".csv":
        table.to_csv(file, index=False)
    else:
        table.to_parquet(file, index=False)


def read_table(file: Path) -> tuple[list[str], list[str], list[str], Any]:
    """Return scans, subjects, regions and float32 features ``(n, d)`` of a table of :func:`embed_scans`."""
    if file.suffix == ".npz":
        with np.load(file) as kept:
            return kept["scan"].tolist(), kept["subject"].tolist(), kept["region"].tolist(), kept["features"]
    import pandas

    names = {"scan": str, "subject": str, "region": str}
    table = (
        pandas.read_csv(file, dtype=names, keep_default_na=False)
        if file.suffix == ".csv"
        else pandas.read_parquet(file)
    )
    features = table.drop(columns=list(names)).to_numpy(np.float32)
    return table["scan"].tolist(), table["subject"].tolist(), table["region"].tolist(), features
