"""What else can be read from features, such as modality or spacing: lower is better where it should not matter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from umzoo.downstream.evaluate.config import EvaluateConfig
from umzoo.downstream.evaluate.run import Evaluation, evaluate
from umzoo.downstream.evaluate.table import FeatureTable, Kind


def invariances(
    features: Mapping[str, NDArray[Any]],
    properties: Mapping[str, tuple[Kind, NDArray[Any]]],
    subjects: NDArray[Any],
    random: Mapping[str, str],
    config: EvaluateConfig | None = None,
) -> dict[str, Evaluation]:
    """Probe *features* afresh for each property, with the statistics of :func:`evaluate`.

    "Better than random weights" then means that more can be read, which is worse where invariance is wanted.

    Args:
        features: reference to its vectors ``(n, d)``.
        properties: name to its kind and values: class indices ``(n,)`` (modality, source, side), or numbers ``(n, 1)``.
        subjects: person of each scan ``(n,)``.
        random: reference to the name of its control among *features*.
        config: options.

    Raises:
        DataError: if a property cannot be probed.
    """
    return {
        name: evaluate(FeatureTable(features, values, subjects, kind, random), config)
        for name, (kind, values) in properties.items()
    }
