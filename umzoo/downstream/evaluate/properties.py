"""Probes of scan properties in the features: modality, source, spacing, side and scale.

Low scores are better for properties that predictions should not depend on. Side and scale are synthetic: half of the
scans are mirrored, or resampled to another scale.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.nn import functional

from umzoo.backbones.base import Backbone
from umzoo.downstream.embed.config import EmbedConfig
from umzoo.downstream.evaluate.case_vectors import SIMPLE, View, embed_cases
from umzoo.downstream.evaluate.feature_table import FeatureTable, Kind
from umzoo.downstream.evaluate.references import control_names, stacked, with_controls
from umzoo.downstream.finetune.cases import read_case
from umzoo.downstream.tasks import Case, Task
from umzoo.errors import ConfigError, UmzooError
from umzoo.scans.listing import Progress, no_progress
from umzoo.scans.load import input_of
from umzoo.scans.scan import Scan
from umzoo.scans.windows import Size

ZOOM = 4 / 3
"""Factor between the two scales."""
LEAST = 10
"""Minimum number of subjects of each class of a property."""
SPREAD = 0.05
"""Standard deviation of the log spacing up to which spacings are considered equal."""


def is_altered(case: Case) -> bool:
    """Return whether *case* is altered; a hash of its id selects about half of the cases."""
    return bool(zlib.crc32(case.id.encode()) & 1)


@dataclass(frozen=True)
class Mirrored:
    """Mirrors half of the scans from left to right."""

    def __call__(self, scan: Scan, case: Case) -> Scan:
        """Return *scan*, or its mirror image."""
        axis = int(np.abs(scan.grid.affine[0, :3] / np.array(scan.spacing)).argmax())
        return replace(scan, image=scan.image.flip(1 + axis)) if is_altered(case) else scan


@dataclass(frozen=True)
class Zoomed:
    """Magnifies the center of half of the scans to the full size; the other scans keep their scale.

    Both are resampled through the grid of the center, so that sharpness does not distinguish them.
    """

    factor: float = ZOOM

    def __call__(self, scan: Scan, case: Case) -> Scan:
        """Return *scan* at one of the two scales, with unchanged size."""
        size = scan.image.shape[1:]
        small = [max(1, round(n / self.factor)) for n in size]
        if is_altered(case):
            z, y, x = (slice((n - m) // 2, (n - m) // 2 + m) for n, m in zip(size, small, strict=True))
            coarse = scan.image[None, :, z, y, x]
        else:
            coarse = functional.interpolate(scan.image[None], small, mode="area")
        return replace(scan, image=functional.interpolate(coarse, tuple(size), mode="trilinear")[0])


VIEWS: dict[str, View] = {"side": Mirrored(), "scale": Zoomed()}
"""Synthetic properties."""


def property_tables(
    task: Task,
    references: Mapping[str, Backbone],
    cache: Path,
    config: EmbedConfig,
    crop: Size | None = None,
    seed: int = 0,
    progress: Progress = no_progress,
    draws: int = 1,
) -> dict[str, FeatureTable]:
    """Return a table of features for each property that varies between the cases of *task*, of any kind.

    Arguments are those of :func:`~umzoo.downstream.evaluate.references.feature_table`. Modality, source and spacing
    come from the files; a property with too little variation is left out.
    """
    cases = [case for case in task.cases if case.split != "test"]
    pairs = with_controls(references, seed, draws)
    answers = _observed(cases, references)
    answers |= {name: ("classification", {case.id: str(is_altered(case)) for case in cases}) for name in VIEWS}
    tables = {}
    for name, (kind, values) in answers.items():
        kept = [case for case in cases if case.id in values]
        if not kept:
            continue
        features = embed_cases(kept, pairs, cache, config, crop, progress, VIEWS.get(name))
        kept = [case for case in kept if all(case.id in rows for rows in features.values())]
        if len({case.subject for case in kept}) >= 2 * LEAST:
            tables[name] = _table(kept, kind, values, features, control_names(references))
    return tables


def _observed(cases: Sequence[Case], references: Mapping[str, Backbone]) -> dict[str, tuple[Kind, dict[str, Any]]]:
    """Return modality, source and spacing in log mm of the files by case, if they vary enough."""
    spec = input_of(next(iter(references.values())))
    found: dict[str, dict[str, Any]] = {"modality": {}, "source": {}, "spacing": {}}
    for case in cases:
        try:
            scan = read_case(case, spec)
        except ConfigError:
            raise
        except UmzooError:
            continue  # embedding warns of this case
        found["modality"][case.id] = "+".join(scan.modality)
        found["source"][case.id] = scan.source
        found["spacing"][case.id] = float(np.log(scan.original.spacing).mean())
    answers: dict[str, tuple[Kind, dict[str, Any]]] = {}
    for name in ("modality", "source"):
        values = _common(cases, found[name])
        if len(set(values.values())) > 1:
            answers[name] = ("classification", values)
    if found["spacing"] and np.std(list(found["spacing"].values())) > SPREAD:
        answers["spacing"] = ("regression", found["spacing"])
    return answers


def _common(cases: Sequence[Case], values: Mapping[str, str]) -> dict[str, str]:
    """Return *values* by case, without values of too few subjects."""
    persons: dict[str, set[str]] = {}
    for case in cases:
        persons.setdefault(values.get(case.id, ""), set()).add(case.subject)
    return {id: value for id, value in values.items() if value and len(persons[value]) >= LEAST}


def _table(
    cases: Sequence[Case],
    kind: Kind,
    values: Mapping[str, Any],
    features: Mapping[str, Mapping[str, NDArray[Any]]],
    random: Mapping[str, str],
) -> FeatureTable:
    answers = [values[case.id] for case in cases]
    names = tuple(sorted(set(answers))) if kind == "classification" else ("log mm",)
    targets = np.array([names.index(it) for it in answers]) if kind == "classification" else np.array(answers)[:, None]
    vectors = stacked(features, cases, random)
    return FeatureTable(vectors, targets, np.array([case.subject for case in cases]), kind, random, SIMPLE, names)
