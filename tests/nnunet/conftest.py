"""Data sets of which there are only a fingerprint and a description: all that nnU-Net's planner reads."""

import json
from dataclasses import dataclass

import pytest
import torch

import umzoo
from umzoo.spec import InputSpec

pytest.importorskip("nnunetv2")


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
        umzoo.save_pretrained(network, folder, tag="test", input=spec, licence="cc-by-4.0")
        return folder, network.eval()

    return make
