"""Label budgets of a fine-tuning, and scans that several runs share."""

from umzoo import files
from umzoo.downstream.finetune import cases
from umzoo.downstream.tasks import load_task
from umzoo.spec import InputSpec

from .test_run import run, write


def test_a_label_budget_is_what_is_trained_on(tmp_path):
    file = write(tmp_path, "segmentation")
    small = run(file, tmp_path / "small", "labels=1", cases=tmp_path / "cases")
    assert small.summary["train"] == 1 and small.summary["validation"] == 2
    assert len(list((tmp_path / "cases").iterdir())) == 3
    whole = run(file, tmp_path / "whole", cases=tmp_path / "cases")
    assert whole.summary["train"] == 8 and whole.summary["validation"] == 2


def test_a_case_that_another_process_has_just_kept_is_taken(tmp_path, monkeypatch):
    task, spec, read = load_task(write(tmp_path, "segmentation")), InputSpec(spacing=(1.0, 1.0, 1.0)), cases.read_case

    def overtaken(case, wanted):
        monkeypatch.setattr(cases, "read_case", read)
        place = tmp_path / "cases" / cases._digest(case, wanted, "float32")
        with monkeypatch.context() as other:
            other.setattr(files.os, "getpid", lambda: 1)
            cases._keep(place, case, wanted, "float32", task)
        return read(case, wanted)

    monkeypatch.setattr(cases, "read_case", overtaken)
    assert len(cases.cache_cases(tmp_path / "cases", task, spec)) == 10
    assert all(not folder.name.startswith(".") for folder in (tmp_path / "cases").iterdir())
