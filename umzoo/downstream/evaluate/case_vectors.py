"""Vectors of a task's cases by several networks, cached on disk."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from umzoo.backbones.base import Backbone
from umzoo.downstream.embed.config import EmbedConfig
from umzoo.downstream.embed.vector_cache import file_name, save_arrays, signature
from umzoo.downstream.embed.vectors import embed
from umzoo.downstream.evaluate.common_crop import Cut, common_cut
from umzoo.downstream.finetune.cases import read_case
from umzoo.downstream.tasks import Case
from umzoo.errors import ConfigError, UmzooError
from umzoo.scans.listing import Progress
from umzoo.scans.load import input_of
from umzoo.scans.scan import Scan
from umzoo.scans.windows import Size
from umzoo.spec import InputSpec

log = logging.getLogger(__name__)

SIMPLE = "intensity and size"
"""Name of the control without anatomical features."""
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
View = Callable[[Scan, Case], Scan]
"""Transform of a scan before embedding; its ``repr`` is part of the cache key."""


def embed_cases(
    cases: Sequence[Case],
    pairs: Sequence[Mapping[str, Backbone]],
    cache: Path,
    config: EmbedConfig,
    crop: Size | None,
    progress: Progress,
    view: View | None = None,
) -> dict[str, dict[str, NDArray[Any]]]:
    """Return the vector of each case by network, and its simple features (:data:`SIMPLE`).

    The networks of one pair expect the same input, and their vectors are cached in one file per case. The simple
    features come from the input of the first pair. An unusable case is left out with a warning.

    Args:
        cases: cases to embed.
        pairs: networks by name.
        cache: folder of the cache.
        config: options of embedding.
        crop: size of a crop (D, H, W) at the center of the mask, or of the scan; None takes the whole scan.
        progress: called with the numbers of cases done, cases in total, and cases left out.
        view: transform of a scan before embedding, or None.
    """
    cuts = _cuts(cases, pairs, cache, crop, progress)
    folders = [
        cache / signature(nn.ModuleList(pair.values()), config, _seen(pair, cut, view))
        for pair, cut in zip(pairs, cuts, strict=True)
    ]
    found: dict[str, dict[str, NDArray[Any]]] = {name: {} for pair in pairs for name in (*pair, SIMPLE)}
    skipped = 0
    for done, case in enumerate(cases):
        progress(done, len(cases), skipped)
        scans: dict[str, Scan] = {}
        try:
            for pair, folder, cut in zip(pairs, folders, cuts, strict=True):
                rows = _rows(case, pair, folder / file_name(repr((case.id, case.images))), config, (cut, view), scans)
                for name, row in zip((*pair, SIMPLE), rows, strict=True):
                    found[name].setdefault(case.id, row)
        except ConfigError:
            raise
        except UmzooError as error:
            log.warning("%s is left out: %s", case.id, error)
            skipped += 1
    progress(len(cases), len(cases), skipped)
    return found


def _rows(
    case: Case,
    networks: Mapping[str, Backbone],
    file: Path,
    config: EmbedConfig,
    seen: tuple[Cut | None, View | None],
    scans: dict[str, Scan],
) -> list[NDArray[Any]]:
    """Return a vector per network and the simple features, from *file* if it exists; *scans* caches loaded scans."""
    if not file.is_file():
        spec = input_of(next(iter(networks.values())))
        key = _input(spec)
        if key not in scans:
            scan = read_case(case, spec)
            cut, view = seen
            scan = scan if cut is None else cut(scan, case)
            scans[key] = scan if view is None else view(scan, case)
        rows = [embed(network, scans[key], config).vector.numpy() for network in networks.values()]
        rows.append(simple_features(scans[key]))
        file.parent.mkdir(parents=True, exist_ok=True)
        save_arrays(file, {f"a{number}": row for number, row in enumerate(rows)})
    with np.load(file) as kept:
        return [kept[f"a{number}"] for number in range(len(kept.files))]


def _cuts(
    cases: Sequence[Case],
    pairs: Sequence[Mapping[str, Backbone]],
    cache: Path,
    crop: Size | None,
    progress: Progress,
) -> list[Cut | None]:
    """Return the crop of each of the *pairs*; networks with the same input have the same crop."""
    if crop is None:
        return [None] * len(pairs)
    done = count()
    specs = [input_of(next(iter(pair.values()))) for pair in pairs]
    made = {
        key: common_cut(cases, spec, crop, cache, lambda: progress(min(next(done), len(cases)), len(cases), 0))
        for key, spec in {_input(spec): spec for spec in specs}.items()
    }
    return [made[_input(spec)] for spec in specs]


def _input(spec: InputSpec) -> str:
    return spec.model_dump_json(exclude={"patch_size"})


def _seen(networks: Mapping[str, Backbone], cut: Cut | None, view: View | None) -> str:
    """Return a text that identifies the input of the networks, for the cache key."""
    return f"{input_of(next(iter(networks.values()))).model_dump_json()} {cut} {view}"


def simple_features(scan: Scan) -> NDArray[np.float32]:
    """Return mean, standard deviation and quantiles of each channel, and the size in voxels and in mm."""
    values = scan.image.flatten(1).double().numpy()
    numbers = [values.mean(1), values.std(1), *np.quantile(values, QUANTILES, axis=1)]
    shape = np.array(scan.image.shape[1:], float)
    return np.concatenate([*numbers, shape, shape * scan.spacing]).astype(np.float32)
