"""Labeled tasks: their scans, targets and subjects, and the split into training, validation and test."""

from __future__ import annotations

from umzoo.downstream.tasks.config import TaskConfig
from umzoo.downstream.tasks.folds import Split
from umzoo.downstream.tasks.load import load_task, make_task
from umzoo.downstream.tasks.task import Case, Task

__all__ = ["Case", "Split", "Task", "TaskConfig", "load_task", "make_task"]
