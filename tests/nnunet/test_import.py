"""Checkpoints as nnU-Net's own trainer writes them become weights folders."""

import json

import numpy as np
import pytest
import torch

import umzoo
from umzoo.backbones.state import canonical_state
from umzoo.cli import make_app
from umzoo.errors import WeightsError
from umzoo.nnunet.planning.default_plan import plan_without_writing
from umzoo.plugins import zoo
from umzoo.weights.folder.reader import read_info
from umzoo.weights.folder.tensors import load_state

CHANNELS = {"hippocampus": 1, "prostate": 2}


@pytest.fixture
def model_folder(dataset):
    """A function that makes nnU-Net's model folder with its own trainer; returns it and the network."""

    def make(kind="hippocampus", residual=True, folds=(0,), **changes):
        from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

        preprocessed = dataset(kind)
        own = plan_without_writing("501", residual)
        plans = {**own.plans, "continue_training": False}
        settings = plans["configurations"]["3d_fullres"]
        arguments = settings["architecture"]["arch_kwargs"] | changes
        arguments["features_per_stage"] = [4, 8, 12, 16, 16, 16, 16][: arguments["n_stages"]]
        settings["architecture"]["arch_kwargs"] = arguments
        data = preprocessed / settings["data_identifier"]
        data.mkdir()
        (data / "case0.b2nd").touch()
        for fold in folds:
            trainer = nnUNetTrainer(dict(plans), "3d_fullres", fold, own.dataset, torch.device("cpu"))
            trainer.initialize()
            trainer._best_ema = np.float64(0.75)
            trainer.current_epoch = 4
            trainer.logger.log("mean_fg_dice", np.float32(0.5), 0)
            trainer.logger.log("dice_per_class_or_region", [np.float64(0.5), np.float64(0.6)], 0)
            for name in ("final", "best"):
                trainer.save_checkpoint(f"{trainer.output_folder}/checkpoint_{name}.pth")
        folder = next((preprocessed.parents[1] / "nnUNet_results" / preprocessed.name).iterdir())
        (folder / "plans.json").write_text(json.dumps(plans))
        (folder / "dataset.json").write_text(json.dumps(own.dataset))
        return folder, trainer.network

    return make


def run(folder, out, **options):
    zoo().importers.build({"name": "nnunet", **options}).run(folder, out, "cc-by-4.0")
    return out


@pytest.mark.parametrize(("kind", "residual"), [("hippocampus", True), ("prostate", True), ("hippocampus", False)])
def test_the_network_computes_what_it_did(model_folder, tmp_path, kind, residual):
    folder, network = model_folder(kind, residual)
    out = run(folder, tmp_path / "out")
    expected = {name: it for name, it in canonical_state(network).items() if ".seg_layers." not in name}
    found = load_state(out)
    assert found.keys() == expected.keys() and all(torch.equal(found[name], it) for name, it in expected.items())
    backbone, network = umzoo.from_pretrained(out), network.eval()
    size = [2 * n for n in backbone.info.divisor]
    image = torch.randn(1, CHANNELS[kind], *size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        head = network.decoder.seg_layers[-1]
        assert torch.equal(head(backbone(image, dense=True).dense), network(image)[0])


def test_the_folder_says_what_the_network_was_fed(model_folder, tmp_path):
    folder, _ = model_folder("prostate")
    info = read_info(run(folder, tmp_path / "out"))
    assert (info.name, info.license) == ("resenc_unet_xl.prostate", "cc-by-4.0")
    spec = info.input
    assert (spec.orientation, spec.axes, spec.space, spec.in_channels) == ("as stored", "zyx", "zscore", 2)
    assert spec.spacing == (3.6, 0.6, 0.6) and spec.patch_size == (20, 256, 256)
    assert info.provenance.datasets == {"Dataset501_prostate": 20}
    assert info.provenance.metrics == {"best_ema_pseudo_dice": 0.75}
    kept = info.model_extra["nnunet"]
    assert kept["channels"] == {"0": "T2", "1": "ADC"} and kept["normalization_schemes"] == ["ZScoreNormalization"] * 2
    assert (kept["trainer"], kept["fold"]) == ("nnUNetTrainer", 0)
    text = (tmp_path / "out" / "config.json").read_text() + (tmp_path / "out" / "README.md").read_text()
    assert str(tmp_path) not in text and "case0" not in text


def test_fold_and_checkpoint_are_chosen(model_folder, tmp_path):
    folder, network = model_folder(folds=(0, 1))
    with pytest.raises(WeightsError, match="has 2 folds: choose one of 0, 1 with fold="):
        run(folder, tmp_path / "out")
    with pytest.raises(WeightsError, match="no fold 3: choose one of 0, 1"):
        run(folder, tmp_path / "out", fold=3)
    arguments = ["import", "nnunet", str(folder), str(tmp_path / "out"), "fold=1", "checkpoint=best", "tag=mine"]
    make_app()(arguments, standalone_mode=False)
    info = read_info(tmp_path / "out")
    assert info.name == "resenc_unet_s.mine"
    assert (info.model_extra["nnunet"]["fold"], info.model_extra["nnunet"]["checkpoint"]) == (1, "best")
    assert torch.equal(
        load_state(tmp_path / "out")["encoder.stem.convs.0.conv.weight"],
        canonical_state(network)["encoder.stem.convs.0.conv.weight"],
    )
    (folder / "fold_1" / "checkpoint_final.pth").unlink()
    (folder / "fold_1" / "checkpoint_best.pth").rename(folder / "fold_1" / "checkpoint_latest.pth")
    run(folder, tmp_path / "stopped", fold=1, checkpoint="latest")
    (folder / "fold_1" / "checkpoint_latest.pth").rename(folder / "fold_1" / "checkpoint_best.pth")
    with pytest.raises(WeightsError, match=r"checkpoint_final\.pth does not exist: the fold has checkpoint_best\.pth"):
        run(folder, tmp_path / "other", fold=1)


def test_the_license_of_the_weights_it_began_with_stays(model_folder, tmp_path):
    folder, _ = model_folder()
    plans = json.loads((folder / "plans.json").read_text())
    known = {"name": "resenc_unet_l.theirs", "reference": "", "sha256": None, "license": "cc-by-sa-4.0"}
    (folder / "plans.json").write_text(json.dumps(plans | {"umzoo": {"weights": known}}))
    importer = zoo().importers.build("nnunet")
    importer.run(folder, tmp_path / "out")
    assert read_info(tmp_path / "out").license == "cc-by-sa-4.0"
    with pytest.raises(WeightsError, match="license mit is not allowed"):
        importer.run(folder, tmp_path / "freed", "mit")


def test_networks_that_umzoo_does_not_have_are_refused(model_folder, tmp_path):
    folder, _ = model_folder(nonlin="torch.nn.ReLU")
    with pytest.raises(WeightsError, match=r"nonlin torch\.nn\.ReLU"):
        run(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_of_another_plan_is_refused(model_folder, tmp_path):
    folder, _ = model_folder()
    plans = json.loads((folder / "plans.json").read_text())
    plans["configurations"]["3d_fullres"]["architecture"]["arch_kwargs"]["n_blocks_per_stage"] = [1, 1, 1, 1]
    (folder / "plans.json").write_text(json.dumps(plans))
    with pytest.raises(WeightsError, match="extra: encoder"):
        run(folder, tmp_path / "out")
