"""Fine-tuning from task to weights folder, on tiny scans."""

import json
import os
import signal

import nibabel
import numpy as np
import pytest
import torch

import umzoo
from umzoo.downstream.browse.folders import page_of
from umzoo.downstream.finetune import Origin, finetune, finetune_folds, load_config, resume
from umzoo.downstream.finetune.run import open_finetuning
from umzoo.downstream.finetune.summary import warn_of_unlearned
from umzoo.downstream.finetune.training import FineTuningRun
from umzoo.downstream.tasks import make_task
from umzoo.errors import ConfigError
from umzoo.scans.crops import crop_about
from umzoo.weights.transfer.saved_report import REPORT, read_report

COMMON = """
[data]
patch_size = [16, 16, 16]
[trainer]
steps = 4
log_every = 2
checkpoint_every = 2
[backbone]
name = "genesis_unet"
width = 2
"""


def write(folder, kind="classification", n=10, extra=""):
    rng = np.random.default_rng(0)
    lines = ["image,label,y,t,e,subject"]
    for i in range(n):
        image = rng.normal(100, 20, (18, 17, 16)).clip(0)
        label = np.zeros(image.shape, np.uint8)
        label[4:10, 4:10, 4:10] = 1
        image[label > 0] += 200 * (i % 2 or kind == "segmentation")
        for name, values in (("image", image.astype(np.float32)), ("label", label)):
            nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), folder / f"{name}{i}.nii.gz")
        lines.append(f"image{i}.nii.gz,label{i}.nii.gz,{i % 2},{i + 1},{int(i % 3 > 0)},p{i}")
    (folder / "t.csv").write_text("\n".join(lines), encoding="utf-8")
    targets = {"segmentation": 'classes = ["background", "ball"]', "survival": 'targets = ["t", "e"]'}
    chosen = targets.get(kind, 'targets = "y"')
    about = f'[task]\nkind = "{kind}"\ndata = "t.csv"\nmodality = "mr"\n{chosen}\n'
    (folder / "t.toml").write_text(about + COMMON + extra, encoding="utf-8")
    return folder / "t.toml"


def run(file, out, *overrides, **options):
    return finetune(load_config(file, overrides), file, out, Origin(), cpu=True, **options)


@pytest.mark.parametrize("kind", ["segmentation", "classification", "multilabel", "regression", "survival"])
def test_every_kind_ends_in_weights_with_a_head(tmp_path, kind):
    file = write(tmp_path, kind)
    result = run(file, tmp_path / "run", "data.batch_size=4")
    assert result.signal is None and result.summary["validation"] == 2
    model = umzoo.from_pretrained(tmp_path / "run" / "weights")
    assert model.answer.task == kind
    answer = model(torch.zeros(1, 1, 16, 16, 16))
    assert len(answer) == 1 and torch.isfinite(answer).all()
    assert (tmp_path / "run" / "validation.csv").read_text().count("\n") == 3


@pytest.mark.parametrize("name", ["warmup", "sawtooth", "frozen", "probe"])
def test_strategies(tmp_path, name):
    file = write(tmp_path)
    run(file, tmp_path / "run", f"strategy.name={name}", "optim.lr=0.01", "strategy.validate_every=4")
    scratch = run(file, tmp_path / "short", "strategy.name=frozen", "trainer.steps=1", "optim.lr=1e-12")
    before = umzoo.from_pretrained(scratch.folder / "weights", head=False).state_dict()
    after = umzoo.from_pretrained(tmp_path / "run" / "weights", head=False).state_dict()
    kept = all(torch.equal(before[key], after[key]) for key in before if key.endswith("weight"))
    assert kept == (name in ("frozen", "probe"))


def test_the_head_learns_at_a_rate_of_its_own(tmp_path):
    options = load_config(write(tmp_path), ["optim.lr=0.01", "strategy.head_rate=5"])
    task = make_task(options.task, tmp_path / "t.toml")
    training = open_finetuning(options, task, tmp_path / "run", Origin(), None, tmp_path / "cases", cpu=True)
    rates = {id(value): group["lr"] for group in training.optimizer.param_groups for value in group["params"]}
    assert {rates[id(value)] for value in training.model.heads.parameters()} == {0.05}
    assert {rates[id(value)] for value in training.model.backbone.parameters() if id(value) in rates} == {0.01}


def test_a_class_that_no_answer_meets_is_named(tmp_path, caplog):
    options = load_config(write(tmp_path, "segmentation"), ['task.classes=["background", "ball", "cube"]'])
    task = make_task(options.task, tmp_path / "t.toml")
    warn_of_unlearned(task, [{"dice.ball": 0.0, "dice.cube": 0.0}, {"dice.ball": 0.2, "dice.cube": np.nan}])
    assert [record.getMessage() for record in caplog.records] == [
        "not learned: cube (Dice 0 in every case): give more trainer.steps, or strategy.class_weights=balanced"
    ]


def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path):
    file = write(tmp_path)
    whole = run(file, tmp_path / "whole", "strategy.validate_every=2")
    run(file, tmp_path / "part", "strategy.validate_every=2")
    for newest in (tmp_path / "part" / "checkpoints").glob("step-*4"):
        for item in newest.iterdir():
            item.unlink()
        newest.rmdir()
    parted = resume(tmp_path / "part", cpu=True)
    assert parted.summary["metrics"] == whole.summary["metrics"]
    first, second = (umzoo.from_pretrained(tmp_path / name / "weights").state_dict() for name in ("whole", "part"))
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_the_twin_has_the_same_head_and_crops(tmp_path):
    file = write(tmp_path)
    first = run(file, tmp_path / "one")
    pair = [Origin(str(first.folder / "weights")), Origin(like=str(first.folder / "weights"))]
    config = load_config(file, ["strategy.name=frozen", "trainer.steps=1", "optim.lr=1e-12"])
    for number, origin in enumerate(pair):
        finetune(config, file, tmp_path / f"arm{number}", origin, cpu=True)
    heads = [umzoo.from_pretrained(tmp_path / f"arm{n}" / "weights").head.layer.weight for n in (0, 1)]
    assert torch.allclose(*heads, atol=1e-6)
    info = umzoo.from_pretrained(tmp_path / "arm0" / "weights").weights_info
    assert info.base_model is not None
    assert read_report(tmp_path / "arm0").coverage == 1 and not (tmp_path / "arm1" / REPORT).exists()
    page_of(tmp_path / "arm0").write(tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Weights that it began with" in html and "<td>auroc</td>" in html and "100.0% of the encoder" in html


def test_folds(tmp_path):
    file = write(tmp_path)
    results = finetune_folds(load_config(file, ["task.folds=2"]), file, tmp_path / "run", Origin(), cpu=True)
    assert [result.summary["validation"] for result in results] == [5, 5]
    assert json.loads((tmp_path / "run" / "folds.json").read_text())["auroc"]["folds"]


def test_a_run_is_not_overwritten(tmp_path):
    file = write(tmp_path)
    run(file, tmp_path / "run")
    with pytest.raises(ConfigError, match="holds a run"):
        run(file, tmp_path / "run")


def test_a_scan_that_cannot_be_used_is_left_out_and_named(tmp_path, caplog):
    file = write(tmp_path)
    nibabel.save(nibabel.Nifti1Image(np.ones((18, 17, 3), np.float32), np.eye(4)), tmp_path / "image0.nii.gz")
    result = run(file, tmp_path / "run")
    assert result.summary["left_out"]["unusable"] == ["image0"]
    assert any("image0" in record.getMessage() for record in caplog.records)


def test_cases_of_the_test_are_judged_once_in_the_end(tmp_path):
    file = write(tmp_path, n=20)
    summary = run(file, tmp_path / "run", "task.test=0.2").summary
    rows = [line.split(",")[0] for line in (tmp_path / "run" / "test.csv").read_text().splitlines()[1:]]
    validated = [line.split(",")[0] for line in (tmp_path / "run" / "validation.csv").read_text().splitlines()[1:]]
    assert summary["test"]["cases"] == len(rows) == 4 and not set(rows) & set(validated)
    assert summary["train"] == 20 - len(rows) - len(validated)
    answer = umzoo.from_pretrained(tmp_path / "run" / "weights").answer
    assert answer.metrics["auroc"] == summary["test"]["metrics"]["auroc"]


def test_the_last_step_can_be_kept_whatever_validation_says(tmp_path):
    file = write(tmp_path)
    summary = run(file, tmp_path / "run", "strategy.checkpoint=last", "strategy.validate_every=1").summary
    assert summary["step"] == 4 and "no selection" in summary["note"]


def test_training_ends_where_validation_gains_no_more(tmp_path):
    file = write(tmp_path)
    options = ("strategy.validate_every=1", "strategy.patience=2", "trainer.steps=50", "optim.lr=1e-12")
    result = run(file, tmp_path / "run", *options)
    steps = [json.loads(line)["step"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert result.summary["step"] == 1 and max(steps) == 3


def test_the_moving_average_is_what_is_validated_and_exported(tmp_path):
    file = write(tmp_path)
    result = run(file, tmp_path / "run", "trainer.ema=0.9", "trainer.steps=6", "strategy.validate_every=6")
    model = umzoo.from_pretrained(result.folder / "weights").eval()
    said = {line.split(",")[0]: line.split(",") for line in (result.folder / "validation.csv").read_text().splitlines()}
    for case in sorted(set(said) - {"case"}):
        scan = umzoo.load_scan(tmp_path / f"{case}.nii.gz", model, modality="mr")
        image = crop_about(scan.image.numpy(), tuple(n // 2 for n in scan.image.shape[1:]), (16, 16, 16), 0.0)
        share = model(torch.tensor(image)[None]).softmax(1)[0, 1].item()
        assert share == pytest.approx(float(said[case][said["case"].index("p.1")]), abs=1e-4)


def test_batch_norms_are_judged_by_statistics_of_the_training_scans(tmp_path):
    file = write(tmp_path, "segmentation")
    result = run(
        file,
        tmp_path / "run",
        "data.batch_size=1",
        "trainer.steps=60",
        "optim.lr=0.01",
        "data.foreground=1",
        "strategy.validate_every=60",
    )
    assert result.summary["metrics"]["dice"] > 0.5


def test_all_windows_of_a_scan_are_averaged(tmp_path):
    file = write(tmp_path)
    result = run(file, tmp_path / "run", "data.view=windows")
    answer = umzoo.from_pretrained(result.folder / "weights").answer
    assert answer.view == "windows" and result.summary["validation"] == 2


def test_several_channels(tmp_path):
    file = write(tmp_path)
    table = (tmp_path / "t.csv").read_text().replace("image,", "image,second,", 1).splitlines()
    rows = [f"image{i}.nii.gz,{line}" if i >= 0 else line for i, line in enumerate(table, -1)]
    (tmp_path / "t.csv").write_text("\n".join(rows), encoding="utf-8")
    text = file.read_text().replace('modality = "mr"', 'modality = ["mr", "mr"]\nimage = ["image", "second"]')
    file.write_text(text, encoding="utf-8")
    result = run(file, tmp_path / "run")
    model = umzoo.from_pretrained(result.folder / "weights")
    assert model.weights_info.input.in_channels == 2 and model.answer.channels == ("mr_0", "mr_1")


def test_folds_together_judge_every_case_once(tmp_path):
    file = write(tmp_path)
    finetune_folds(load_config(file, ["task.folds=2"]), file, tmp_path / "run", Origin(), cpu=True)
    found = json.loads((tmp_path / "run" / "folds.json").read_text())
    assert found["all"]["cases"] == 10 and "auroc" in found["all"]["intervals"]


def test_padding_that_tells_the_size_is_warned_of(tmp_path, caplog):
    run(write(tmp_path), tmp_path / "run", "data.patch_size=[16,16,24]", "trainer.steps=1")
    assert sum("reach beyond" in record.getMessage() for record in caplog.records) == 1


def test_a_signal_saves_and_the_run_goes_on(tmp_path, run_command, monkeypatch):
    """Stopped after the first steps, and resumed, it is the run that was never stopped."""
    file = write(tmp_path)
    options = ("trainer.steps=6", "strategy.validate_every=6")
    whole = run(file, tmp_path / "whole", *options)

    def stop(training, finite):
        if training.step == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patched:
        patched.setattr(FineTuningRun, "after_update", stop)
        said = run_command(
            "finetune", file, *options, "--no-weights", "--out", tmp_path / "part", "--cpu", code=128 + signal.SIGTERM
        )
    assert "--resume" in said
    assert resume(tmp_path / "part", cpu=True).summary["metrics"] == whole.summary["metrics"]
