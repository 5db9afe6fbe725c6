"""Fine-tuning from task to weights folder, on tiny scans."""

import json

import nibabel
import numpy as np
import pytest
import torch

import umzoo
from umzoo.downstream.finetune import Origin, finetune, finetune_folds, load_config, resume
from umzoo.errors import ConfigError

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
