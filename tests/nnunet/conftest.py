"""Data sets for nnU-Net: a tiny one that it planned and preprocessed, and some of which there is only a fingerprint."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass

import nibabel
import numpy as np
import pytest
import torch

pytest.importorskip("nnunetv2", reason="nnU-Net is not installed")

from filelock import FileLock

import umzoo
from umzoo.backbones.state import canonical_state
from umzoo.plugins import zoo
from umzoo.spec import InputSpec
from umzoo.weights.folder.info import WeightsInfo
from umzoo.weights.folder.writer import save_folder

DATASET = "Dataset901_Spheres"
PLANS = "nnUNetResEncUNetMPlans"

_PLAN_AND_PREPROCESS = """
import multiprocessing
import multiprocessing.dummy

real = multiprocessing.get_context
# threads: each process would import all of this again
multiprocessing.get_context = lambda method=None: multiprocessing.dummy if method == "spawn" else real(method)

from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprints, plan_experiments, preprocess

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
        center = rng.uniform(9, 15, (3, 1, 1, 1))
        ball = (((grid - center) ** 2).sum(0) < 25).astype(np.uint8)
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
    # its curves of every epoch take longer than the epoch
    monkeypatch.setattr("nnunetv2.training.logging.nnunet_logger.MetaLogger.plot_progress_png", lambda *_: None)
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


@dataclass(frozen=True)
class Facts:
    """What a data set is like: channels, images (z, y, x) and their spacing in mm."""

    channels: tuple[str, ...]
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]


FACTS = {
    "hippocampus": Facts(("MRI",), (35, 51, 36), (1.0, 1.0, 1.0)),
    "prostate": Facts(("T2", "ADC"), (20, 320, 320), (3.6, 0.6, 0.6)),
    "thick_ct": Facts(("CT",), (60, 420, 360), (5.0, 0.78, 0.78)),
    "thin_ct": Facts(("CT",), (240, 512, 512), (1.5, 0.78, 0.78)),
    "small_ct": Facts(("CT",), (60, 80, 80), (1.5, 1.2, 1.2)),
    "brain": Facts(("FLAIR", "T1", "T1ce", "T2"), (100, 170, 160), (1.0, 1.0, 1.0)),
}


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """nnU-Net's three folders, empty."""
    for variable in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        (tmp_path / variable).mkdir()
        monkeypatch.setenv(variable, str(tmp_path / variable))
    monkeypatch.setenv("nnUNet_n_proc_DA", "0")
    return tmp_path


@pytest.fixture
def dataset(folders):
    """A function that makes data set 501 like one of ``FACTS``; returns its preprocessed folder."""

    def make(kind="hippocampus", cases=20):
        facts, name = FACTS[kind], f"Dataset501_{kind}"
        raw, preprocessed = folders / "nnUNet_raw" / name, folders / "nnUNet_preprocessed" / name
        raw.mkdir()
        preprocessed.mkdir()
        described = {
            "channel_names": {str(number): channel for number, channel in enumerate(facts.channels)},
            "labels": {"background": 0, "front": 1, "rear": 2},
            "numTraining": cases,
            "file_ending": ".nii.gz",
            "overwrite_image_reader_writer": "SimpleITKIO",
            "dataset": {f"case{n}": {"images": [], "label": f"case{n}.nii.gz"} for n in range(cases)},
        }
        for entry in described["dataset"].values():
            entry["images"] = ["image.nii.gz"]
        values = {"max": 900.0, "mean": 80.0, "median": 75.0, "min": -900.0, "std": 60.0}
        values |= {"percentile_00_5": -150.0, "percentile_99_5": 300.0}
        fingerprint = {
            "spacings": [facts.spacing] * cases,
            "shapes_after_crop": [facts.shape] * cases,
            "foreground_intensity_properties_per_channel": {str(n): values for n in range(len(facts.channels))},
            "median_relative_size_after_cropping": 1.0,
        }
        (raw / "dataset.json").write_text(json.dumps(described))
        (preprocessed / "dataset_fingerprint.json").write_text(json.dumps(fingerprint))
        return preprocessed

    return make


NARROW = (4, 8, 16, 32, 40, 40)
"""An eighth of the features of nnU-Net's ResEnc networks."""


@pytest.fixture
def narrow_weights(tmp_path):
    """A function that writes a weights folder of six narrow stages with random values; returns it and its network."""

    def make(name="resenc_unet_l", features=NARROW, spec=None, **options):
        network = umzoo.create_model(name, features_per_stage=features, **options)
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for value in network.parameters():
                value.copy_(torch.randn(value.shape, generator=generator) / max(1, value[0].numel()) ** 0.5)
        folder = tmp_path / "weights"
        spec = spec or InputSpec(spacing=(1.5, 1.0, 1.0), patch_size=(64, 96, 96))
        umzoo.save_pretrained(network, folder, tag="test", input=spec, license="cc-by-4.0")
        return folder, network.eval()

    return make
