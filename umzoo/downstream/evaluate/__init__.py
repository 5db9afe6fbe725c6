"""Evaluation of weights on labeled data: probes of frozen features, with controls, intervals and tests."""

from __future__ import annotations

from umzoo.downstream.evaluate.config import EvaluateConfig
from umzoo.downstream.evaluate.feature_table import FeatureTable
from umzoo.downstream.evaluate.run import Evaluation, evaluate

__all__ = ["EvaluateConfig", "Evaluation", "FeatureTable", "evaluate"]
