"""Conformance checks for built-in components and those of plug-ins: call them in the tests of your plug-in.

Each check takes the class or its registered name, and options, and raises :class:`ConformanceError` on a failure. The
checks of a kind are small named promises, and ``umzoo plugin check`` prints one row for each.
"""

from __future__ import annotations

from collections.abc import Callable

from umzoo.testing.backbones import BackboneChecks, check_backbone
from umzoo.testing.corruptions import CorruptionChecks, check_corruption
from umzoo.testing.heads import HeadChecks, check_head
from umzoo.testing.importers import ImporterChecks, check_importer
from umzoo.testing.material import SMALL_NETWORKS, TinyBackbone, small_network, training_batch
from umzoo.testing.pretext_tasks import PretextTaskChecks, check_pretext_task
from umzoo.testing.promises import Checks, ConformanceError
from umzoo.testing.training import check_training
from umzoo.testing.weights import WeightsChecks, check_weights

CHECKS: dict[str, Callable[..., Checks]] = {
    "backbone": BackboneChecks,
    "corruption": CorruptionChecks,
    "pretext_task": PretextTaskChecks,
    "head": HeadChecks,
    "weights": WeightsChecks,
    "importer": ImporterChecks,
}
"""Kind of component to the checks of its promises."""

__all__ = [
    "CHECKS",
    "SMALL_NETWORKS",
    "ConformanceError",
    "TinyBackbone",
    "check_backbone",
    "check_corruption",
    "check_head",
    "check_importer",
    "check_pretext_task",
    "check_training",
    "check_weights",
    "small_network",
    "training_batch",
]
