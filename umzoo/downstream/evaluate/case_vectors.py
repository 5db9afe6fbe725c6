"""Vectors of a task's cases by several networks, each kept on disk."""

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
"""Name of the control that knows no anatomy."""
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
View = Callable[[Scan, Case], Scan]
"""What becomes of a scan before it is embedded; its ``repr`` says what it does."""


def embed_cases(
    cases: Sequence[Case],
    pairs: Sequence[Mapping[str, Backbone]],
    cache: Path,
    config: EmbedConfig,
    crop: Size | None,
    progress: Progress,
    view: View | None = None,
) -> dict[str, dict[str, NDArray[Any]]]:
    """Return the vector of each case by network, and its simple numbers (:data:`SIMPLE`) as the first network sees it.

    The networks of one of the *pairs* expect the same input, and what they give is kept in one file a case. A case
    that cannot be used is left out with a warning.

    Args:
        cases: what is embedded.
        pairs: networks by name.
        cache: folder that keeps what is done.
        config: options of embedding.
        crop: voxels (D, H, W) about the center of the mask, or of the scan; None takes the whole scan.
        progress: called with cases done, cases in all, and cases left out.
        view: what becomes of a scan before it is embedded; None leaves it as it is.
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
    """A vector by each network and the simple numbers, from *file* if it is there; *scans* holds what was read."""
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
    """What is cut for each of the *pairs*; networks that expect the same input share it."""
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
    """What the networks see of a case."""
    return f"{input_of(next(iter(networks.values()))).model_dump_json()} {cut} {view}"


def simple_features(scan: Scan) -> NDArray[np.float32]:
    """Mean, deviation and quantiles of each channel, and size in mm and voxels: all that knows no anatomy."""
    values = scan.image.flatten(1).double().numpy()
    numbers = [values.mean(1), values.std(1), *np.quantile(values, QUANTILES, axis=1)]
    shape = np.array(scan.image.shape[1:], float)
    return np.concatenate([*numbers, shape, shape * scan.spacing]).astype(np.float32)
