"""Supervised fine-tuning on a labeled task, from weights or random initialization."""

from __future__ import annotations

from umzoo.downstream.finetune.config import FinetuneConfig, load_config
from umzoo.downstream.finetune.network import Origin
from umzoo.downstream.finetune.run import FinetuneResult, finetune, finetune_folds, resume

__all__ = ["FinetuneConfig", "FinetuneResult", "Origin", "finetune", "finetune_folds", "load_config", "resume"]
