"""Features of several weights for the cases of a task, with the controls that go with them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from umzoo.backbones.base import Backbone
from umzoo.downstream.embed.config import EmbedConfig
from umzoo.downstream.embed.kept import file_name, save_arrays, signature
from umzoo.downstream.embed.vectors import embed
from umzoo.downstream.evaluate.cut import Cut, common_cut
from umzoo.downstream.evaluate.table import FeatureTable
from umzoo.downstream.finetune.cases import read_case
from umzoo.downstream.finetune.network import fresh_backbone
from umzoo.downstream.tasks import Case, Task
from umzoo.errors import ConfigError, DataError, UmzooError
from umzoo.scans.listing import Progress, no_progress
from umzoo.scans.load import input_of
from umzoo.scans.scan import Scan
from umzoo.scans.windows import Size
from umzoo.spec import InputSpec

log = logging.getLogger(__name__)

SIMPLE = "intensity and size"
"""Name of the control that knows no anatomy."""
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


def feature_table(
    task: Task,
    references: Mapping[str, Backbone],
    cache: Path,
    config: EmbedConfig,
    crop: Size | None = None,
    seed: int = 0,
    progress: Progress = no_progress,
) -> tuple[FeatureTable, tuple[str, ...]]:
    """Embed the cases of *task* with every reference, with random weights of the same networks, and by simple numbers.

    Cases of the split "test" stay out. A case that cannot be used by one reference is left out for all.

    Args:
        task: its cases are what is embedded; no segmentation.
        references: networks of :func:`umzoo.from_pretrained` by name.
        cache: folder that keeps what is done.
        config: options of embedding.
        crop: voxels (D, H, W) cut about the center of the mask, or of the scan, fewer where a scan has no more (see
            :func:`~umzoo.downstream.evaluate.cut.common_cut`); None takes the whole scan.
        seed: of the random weights.
        progress: called with cases done, cases in all, and cases left out.

    Returns:
        The table and the ids of its cases.

    Raises:
        ConfigError: if the task is a segmentation.
        DataError: if no case can be used.
    """
    if task.kind == "segmentation":
        raise ConfigError("a vector answers for a whole scan, not for masks: use evaluate_masks")
    cases = [case for case in task.cases if case.split != "test"]
    random = control_names(references)
    pairs = [{name: network, random[name]: random_twin(network, seed)} for name, network in references.items()]
    features = _embedded(cases, pairs, cache, config, crop, progress)
    kept = [case for case in cases if all(case.id in rows for rows in features.values())]
    if not kept:
        raise DataError(f"none of {len(cases)} cases could be used: see the reasons above")
    return _table(task, kept, features, random), tuple(case.id for case in kept)


def control_names(references: Mapping[str, Backbone]) -> dict[str, str]:
    """Return the name of each reference's control, random weights of the same network."""
    return {
        name: f"random {network.name}" if len(references) == 1 else f"random weights like {name}"
        for name, network in references.items()
    }


def random_twin(network: Backbone, seed: int) -> Backbone:
    """Return the same network with random weights, which expects the same input."""
    twin = fresh_backbone(network.spec, seed)
    twin.weights_info = network.weights_info
    return twin.to(next(network.parameters()).device).eval()


def _embedded(
    cases: Sequence[Case],
    pairs: Sequence[Mapping[str, Backbone]],
    cache: Path,
    config: EmbedConfig,
    crop: Size | None,
    progress: Progress,
) -> dict[str, dict[str, NDArray[Any]]]:
    """Vectors of each case by network, and its simple numbers as the first network sees it.

    The networks of one of the *pairs* expect the same input, and what they give is kept in one file a case.
    """
    cuts = _cuts(cases, pairs, cache, crop, progress)
    folders = [
        cache / signature(nn.ModuleList(pair.values()), config, _seen(pair, cut))
        for pair, cut in zip(pairs, cuts, strict=True)
    ]
    found: dict[str, dict[str, NDArray[Any]]] = {name: {} for pair in pairs for name in (*pair, SIMPLE)}
    skipped = 0
    for done, case in enumerate(cases):
        progress(done, len(cases), skipped)
        scans: dict[str, Scan] = {}
        try:
            for pair, folder, cut in zip(pairs, folders, cuts, strict=True):
                rows = _rows(case, pair, folder / file_name(repr((case.id, case.images))), config, cut, scans)
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
    cut: Cut | None,
    scans: dict[str, Scan],
) -> list[NDArray[Any]]:
    """A vector by each network and the simple numbers, from *file* if it is there; *scans* holds what was read."""
    if not file.is_file():
        spec = input_of(next(iter(networks.values())))
        key = _input(spec)
        if key not in scans:
            scan = read_case(case, spec)
            scans[key] = scan if cut is None else cut(scan, case)
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


def _seen(networks: Mapping[str, Backbone], cut: Cut | None) -> str:
    """What the networks see of a case."""
    return f"{input_of(next(iter(networks.values()))).model_dump_json()} {cut}"


def simple_features(scan: Scan) -> NDArray[np.float32]:
    """Mean, deviation and quantiles of each channel, and size in mm and voxels: all that knows no anatomy."""
    values = scan.image.flatten(1).double().numpy()
    numbers = [values.mean(1), values.std(1), *np.quantile(values, QUANTILES, axis=1)]
    shape = np.array(scan.image.shape[1:], float)
    return np.concatenate([*numbers, shape, shape * scan.spacing]).astype(np.float32)


def _table(
    task: Task, cases: Sequence[Case], features: Mapping[str, Mapping[str, Any]], random: Mapping[str, str]
) -> FeatureTable:
    targets = np.array([case.targets for case in cases])
    if task.kind == "classification":
        targets = targets[:, 0].astype(np.int64)
    folds = [case.fold for case in cases]
    return FeatureTable(
        {name: np.stack([rows[case.id] for case in cases]) for name, rows in features.items()},
        targets,
        np.array([case.subject for case in cases]),
        task.kind,  # type: ignore[arg-type]
        dict(random),
        SIMPLE,
        task.classes,
        np.array(folds) if all(folds) else None,
    )


def at_spacing(network: Backbone, spacing: str) -> Backbone:
    """Return *network*, which from now on expects *spacing*: mm "D,H,W", "native", or "" for that of its weights.

    Raises:
        ConfigError: if *spacing* is something else.
    """
    if not spacing:
        return network
    try:
        values = None if spacing == "native" else tuple(float(part) for part in spacing.split(","))
    except ValueError:
        values = ()
    if values is not None and (len(values) != 3 or min(values) <= 0):
        raise ConfigError(f"--spacing expects three numbers of mm D,H,W, or native, got '{spacing}'")
    if (info := network.weights_info) is not None:
        input = info.input.model_copy(update={"spacing": values})
        network.weights_info = info.model_copy(update={"input": input})
    return network


def named(references: Sequence[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yield networks under the names of their weights, numbered where two have one name."""
    counts: dict[str, int] = {}
    for name, network in references:
        counts[name] = counts.get(name, 0) + 1
        yield (name if counts[name] == 1 else f"{name} ({counts[name]})"), network
