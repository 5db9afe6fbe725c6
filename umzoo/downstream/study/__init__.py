"""Studies: one training for each combination of arm, task, label budget and seed, and a report of the results."""

from __future__ import annotations

from umzoo.downstream.study.config import StudyConfig, load_study
from umzoo.downstream.study.report import write_report
from umzoo.downstream.study.run import Study, run_study

__all__ = ["Study", "StudyConfig", "load_study", "run_study", "write_report"]
