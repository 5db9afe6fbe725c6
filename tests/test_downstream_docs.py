"""The commands and the code of README and docs/downstream.md, on synthetic scans."""

import re
import shlex
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

import umzoo
from umzoo.spec import InputSpec

from .test_tutorial import BLOCK, ROOT

PATIENTS = 12


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the inputs of the commands: WEIGHTS, scans, and a table of labels."""
    folder = tmp_path_factory.mktemp("downstream")
    torch.manual_seed(0)
    network = umzoo.create_model("resenc_unet_s", features_per_stage=(4, 8), n_blocks_per_stage=(1, 1))
    spec = InputSpec(spacing=(1.5, 1.5, 1.5), patch_size=(16, 16, 16), space="zscore")
    umzoo.save_pretrained(network, folder / "WEIGHTS", input=spec, license="mit")
    (folder / "scans").mkdir()
    rng, rows = np.random.default_rng(0), ["file,patient,malignant"]
    for number in range(PATIENTS):
        image = rng.normal(40, 10, (20, 18, 16)).astype(np.float32) - 1000.0 * (np.arange(16) < 4)
        image[6:14, 6:12, 6:12] += 40 * (number % 2)
        nibabel.save(nibabel.Nifti1Image(image, np.diag([1.5, 1.5, 1.5, 1])), folder / "scans" / f"p{number}.nii.gz")
        rows.append(f"scans/p{number}.nii.gz,p{number},{number % 2}")
    (folder / "scans.csv").write_text("\n".join(rows), encoding="utf-8")
    (folder / "scan.nii.gz").write_bytes((folder / "scans" / "p0.nii.gz").read_bytes())
    return folder


def blocks(file, after, before):
    """Fenced blocks, language and text, between two headings of a page."""
    text = (ROOT / file).read_text(encoding="utf-8").partition(after)[2].partition(before)[0]
    return [(language, block) for _, language, block in BLOCK.findall(text)]


@pytest.mark.slow
def test_the_commands_of_the_readme(place, run, monkeypatch):
    tables = [block for language, block in blocks("docs/downstream.md", "# Fine-tuning and prediction", "## Predicting")
              if language == "toml"]  # fmt: skip
    (place / "task.toml").write_text(tables[1].replace("steps = 500", "steps = 3"), encoding="utf-8")
    monkeypatch.chdir(place)
    shown = blocks("README.md", "## Use pre-trained weights", "## Pre-train on your scans")
    [(_, code), (_, commands), (_, task)] = shown
    assert task == tables[0]
    exec(code, {})
    for line in commands.splitlines():
        if not line.startswith("pip install"):
            run(*shlex.split(line)[1:])
    assert (place / "vectors.csv").read_text().count("\n") == PATIENTS + 1
    assert (place / "answers" / "predictions.csv").read_text().count("\n") == PATIENTS + 1
    for arm in ("TUNED", "SCRATCH"):
        assert (place / arm / "validation.csv").is_file() and (place / arm / "weights" / "head.safetensors").is_file()
    pages = [file.read_text() for file in (place / "evaluation").glob("*.md")]
    assert any(re.search(r"random", page) for page in pages)


def test_the_lines_of_python(place, monkeypatch):
    monkeypatch.chdir(place)
    for language, block in blocks("docs/downstream.md", "# Fine-tuning and prediction", "## Vectors"):
        if language == "python":
            exec(block, {})
    mask, scan = nibabel.load("mask.nii.gz"), nibabel.load("scan.nii.gz")
    assert mask.shape == scan.shape and np.allclose(mask.affine, scan.affine)
    assert Path("mask.nii.gz").stat().st_size > 0
