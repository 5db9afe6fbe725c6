"""A tiny data set that nnU-Net itself planned and preprocessed, and weights that fit its network."""

import json
import os
import shutil
import subprocess
import sys

import nibabel
import numpy as np
import pytest
import torch

pytest.importorskip("nnunetv2", reason="nnU-Net is not installed")

from filelock import FileLock

from umzoo.backbones.state import canonical_state
from umzoo.plugins import zoo
from umzoo.spec import InputSpec
from umzoo.weights.info import WeightsInfo
from umzoo.weights.io import save_folder

DATASET = "Dataset901_Spheres"
PLANS = "nnUNetResEncUNetMPlans"

_PLAN_AND_PREPROCESS = """
from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprints, plan_experiments, preprocess

if __name__ == "__main__":
    extract_fingerprints([901], num_processes=1)
    plan_experiments([901], "nnUNetPlannerResEncM")
    plan_experiments([901])
    preprocess([901], "nnUNetResEncUNetMPlans", ["3d_fullres"], [1])
"""


@pytest.fixture(scope="session")
def planned_once(tmp_path_factory):
    """Folders raw and preprocessed of nnU-Net, made once for all processes of the test run."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "nnunet"
    with FileLock(f"{folder}.lock"):
        if not (folder / "done").is_file():
            _make_raw(folder / "raw" / DATASET)
            script = folder / "plan.py"
            script.write_text(_PLAN_AND_PREPROCESS)
            environment = _environment(folder)
            done = subprocess.run(
                [sys.executable, script], env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr
            (folder / "done").touch()
    return folder


def _environment(folder):
    folders = {f"nnUNet_{kind}": str(folder / kind) for kind in ("raw", "preprocessed", "results")}
    return {**os.environ, **folders, "nnUNet_n_proc_DA": "1", "nnUNet_def_n_proc": "1", "OMP_NUM_THREADS": "1"}


def _make_raw(folder):
    """Five noisy volumes (24, 24, 24), each with a bright ball."""
    rng = np.random.default_rng(0)
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True)
    grid = np.stack(np.meshgrid(*[np.arange(24)] * 3, indexing="ij"))
    for case in range(5):
        centre = rng.uniform(9, 15, (3, 1, 1, 1))
        ball = (((grid - centre) ** 2).sum(0) < 25).astype(np.uint8)
        image = (100 * ball + rng.normal(100, 20, ball.shape)).astype(np.float32)
        nibabel.save(nibabel.Nifti1Image(image, np.eye(4)), folder / "imagesTr" / f"case_{case}_0000.nii.gz")
        nibabel.save(nibabel.Nifti1Image(ball, np.eye(4)), folder / "labelsTr" / f"case_{case}.nii.gz")
    content = {
        "channel_names": {"0": "MRI"},
        "labels": {"background": 0, "ball": 1},
        "numTraining": 5,
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(content))


@pytest.fixture
def nnunet(planned_once, tmp_path, monkeypatch):
    """The environment of nnU-Net in a copy of its folders; its preprocessed folder of the data set."""
    shutil.copytree(planned_once / "preprocessed", tmp_path / "preprocessed")
    (tmp_path / "results").mkdir()
    environment = _environment(tmp_path) | {"nnUNet_raw": str(planned_once / "raw"), "nnUNet_n_proc_DA": "0"}
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results", "nnUNet_n_proc_DA", "nnUNet_def_n_proc"):
        monkeypatch.setenv(name, environment[name])
    monkeypatch.delenv("nnUNet_extTrainer", raising=False)
    return tmp_path / "preprocessed" / DATASET


@pytest.fixture
def architecture(nnunet):
    """The network that nnU-Net planned, as options of ``resenc_unet_s``."""
    plans = json.loads((nnunet / f"{PLANS}.json").read_text())
    planned = plans["configurations"]["3d_fullres"]["architecture"]["arch_kwargs"]
    names = ("n_stages", "features_per_stage", "kernel_sizes", "strides", "n_blocks_per_stage")
    return {"name": "resenc_unet_s", **{name: planned[name] for name in names}}


@pytest.fixture
def weights(architecture, tmp_path):
    """A folder of weights in which no two tensors are alike, norms and biases included."""
    return _write_weights(tmp_path / "weights", architecture)


@pytest.fixture
def write_weights():
    """Writes a folder of weights: folder, network, seed."""
    return _write_weights


def _write_weights(folder, spec, seed=0):
    backbone = zoo().backbones.build(dict(spec))
    generator = torch.Generator().manual_seed(seed)
    state = {
        name: torch.randn(value.shape, generator=generator) / max(1, value[0].numel()) ** 0.5
        for name, value in canonical_state(backbone).items()
    }
    info = WeightsInfo(name="resenc_unet_s.test", backbone=backbone.spec, input=InputSpec(spacing=(1.0, 1.0, 1.0)))
    save_folder(folder, state, info)
    return folder
