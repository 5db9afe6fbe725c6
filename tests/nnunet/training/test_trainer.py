"""nnU-Net's own training code, with umzoo's trainer."""

import json
import os
import shutil
import subprocess
import sys

import nibabel
import numpy as np
import pytest
import torch
from torch import distributed, nn

from umzoo.backbones.state import collapse_aliases, named_tensors
from umzoo.errors import CheckpointError, ConfigError, WeightsError
from umzoo.nnunet.environment import TRAINER, folder_of, make_trainer_findable
from umzoo.nnunet.planning.configuration import read_planned
from umzoo.nnunet.training.derived_plans import Request, derive_plans
from umzoo.nnunet.training.plans_entry import parse_options, read_entry
from umzoo.nnunet.training.preflight import initialize
from umzoo.nnunet.training.train import Flags, prepare, train
from umzoo.plugins import zoo
from umzoo.weights.folder.reader import read_info
from umzoo.weights.folder.tensors import load_state
from umzoo.weights.transfer import TransferReport

PLANS = "nnUNetResEncUNetMPlans"
SHORT = ("finetuning.epochs=3", "finetuning.iterations=1", "finetuning.validation_iterations=1")


def request_of(weights, *overrides):
    reference = None if weights is None else str(weights)
    options = parse_options("nnunet", (*SHORT, *overrides))
    return Request("901", "3d_fullres", PLANS, reference, options, "nnunet", batch_size=2)


def make_trainer(request):
    """The trainer as nnU-Net makes it, found by its own search."""
    from nnunetv2.run.run_training import get_trainer_from_args

    make_trainer_findable()
    return get_trainer_from_args("901", "3d_fullres", 0, TRAINER, request.plans_name, device=torch.device("cpu"))


def umzoo_train(request, **flags):
    """What the command does."""
    flags = Flags(device="cpu", **flags)
    request, _ = prepare(request, flags)
    train(request, "0", flags)


def kernels(network):
    """All convolution kernels but those of the heads."""
    tensors = named_tensors(network).items()
    return {name: value.detach() for name, value in tensors if value.ndim == 5 and "seg_layers" not in name}


def copies(tensors):
    return {name: value.clone() for name, value in tensors.items()}


def equal(tensors, others):
    """Names of the tensors that are equal in both."""
    return {name for name, value in tensors.items() if torch.equal(value, others[name])}


@pytest.fixture
def fold(nnunet, tmp_path):
    """Finds the folder of fold 0."""
    return lambda: next(tmp_path.glob("results/*/*/fold_0"))


@pytest.fixture
def no_validation(monkeypatch):
    """Leave out nnU-Net's validation after training, which starts processes."""
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    monkeypatch.setattr(nnUNetTrainer, "perform_actual_validation", lambda self, *_: None)


@pytest.fixture
def at_epoch(monkeypatch):
    """Has a function called with the trainer before each epoch."""
    from umzoo.nnunet.training.trainer import UmzooMixin

    original = UmzooMixin.on_train_epoch_start

    def install(look):
        def start(self):
            look(self)
            original(self)

        monkeypatch.setattr(UmzooMixin, "on_train_epoch_start", start)

    return install


def test_training_starts_from_the_weights_bit_for_bit(weights, fold):
    asked = request_of(weights)
    derive_plans(asked)
    trainer = make_trainer(asked)
    trainer.initialize()
    fresh = copies(kernels(trainer.network))
    trainer.on_train_start()
    moved, source = kernels(trainer.network), load_state(weights)
    assert len(moved) > 20
    assert equal(moved, source) == moved.keys() == {name for name, value in source.items() if value.ndim == 5}
    assert not equal(moved, fresh)
    held = {id(it) for group in trainer.optimizer.param_groups for it in group["params"]}
    assert held == {id(it) for it in trainer.network.parameters()}
    report = TransferReport.model_validate_json((fold() / "umzoo_transfer.json").read_text())
    assert report.coverage == report.decoder_coverage == 1.0
    log = next(fold().glob("training_log*.txt")).read_text()
    assert "encoder stage 1" in log
    assert report.verdict in " ".join(log.split())


@pytest.mark.usefixtures("nnunet", "no_validation")
def test_batches_may_be_augmented_on_the_device(weights, fold, monkeypatch):
    from umzoo.nnunet.training.trainer import UmzooMixin

    shapes = []
    step = UmzooMixin.train_step

    def look(self, batch):
        shapes.append((batch["data"].shape[2:], tuple(self.configuration_manager.patch_size)))
        return step(self, batch)

    monkeypatch.setattr(UmzooMixin, "train_step", look)
    umzoo_train(request_of(weights, "fast_augmentation=true"))
    assert (fold() / "checkpoint_final.pth").is_file()
    assert shapes and all(crop != patch for crop, patch in shapes)


@pytest.mark.usefixtures("nnunet")
def test_matched_scratch_arm_transfers_nothing(fold):
    asked = request_of(None)
    derive_plans(asked)
    trainer = make_trainer(asked)
    trainer.initialize()
    fresh = copies(kernels(trainer.network))
    trainer.on_train_start()
    assert equal(kernels(trainer.network), fresh) == fresh.keys()
    report = TransferReport.model_validate_json((fold() / "umzoo_transfer.json").read_text())
    assert (report.coverage, report.exact, report.adapted) == (0.0, (), {})


@pytest.mark.usefixtures("no_validation")
def test_an_interrupted_training_goes_on_without_the_weights(weights, fold, at_epoch):
    asked, seen = request_of(weights), {}

    def stop_at_two(trainer):
        if trainer.current_epoch == 2:
            raise KeyboardInterrupt

    def look(trainer):
        seen.setdefault(trainer.current_epoch, copies(kernels(trainer.network)))

    at_epoch(stop_at_two)
    with pytest.raises(KeyboardInterrupt):
        umzoo_train(asked)
    shutil.rmtree(weights)
    saved = torch.load(fold() / "checkpoint_best.pth", weights_only=False)
    at_epoch(look)
    umzoo_train(asked, c=True)
    first = min(seen)
    assert first == saved["current_epoch"] > 0
    assert equal(seen[first], collapse_aliases(saved["network_weights"])) == seen[first].keys()
    assert (fold() / "checkpoint_final.pth").is_file()
    umzoo_train(asked, val=True)


@pytest.mark.usefixtures("no_validation")
@pytest.mark.parametrize("planned_before", [False, True])
def test_continuing_without_a_checkpoint_loads_the_weights(weights, at_epoch, planned_before):
    asked, seen = request_of(weights), {}
    if planned_before:
        derive_plans(asked)
    at_epoch(lambda trainer: seen.setdefault(trainer.current_epoch, copies(kernels(trainer.network))))
    umzoo_train(asked, c=True)
    assert equal(seen[0], load_state(weights)) == seen[0].keys()


@pytest.mark.parametrize("damage", ["gone", "replaced", "altered"])
def test_weights_that_cannot_be_loaded_stop_the_training(weights, fold, damage, architecture, write_weights):
    asked = request_of(weights)
    derive_plans(asked)
    if damage == "gone":
        shutil.rmtree(weights)
    elif damage == "replaced":
        write_weights(weights, architecture, seed=1)
    else:
        content = bytearray((weights / "model.safetensors").read_bytes())
        content[-1] ^= 1
        (weights / "model.safetensors").write_bytes(content)
    trainer = make_trainer(asked)
    with pytest.raises(
        WeightsError,
        match={"gone": "there is no folder", "replaced": "have changed since", "altered": "sha256"}[damage],
    ):
        trainer.run_training()
    assert trainer.current_epoch == 0
    assert not list(fold().glob("checkpoint*"))


MINE = """
from nnunetv2.training.nnUNetTrainer.variants.data_augmentation.nnUNetTrainerNoMirroring import nnUNetTrainerNoMirroring
from umzoo.nnunet.training.trainer import UmzooMixin


class {name}(UmzooMixin, nnUNetTrainerNoMirroring):
    def __init__(self, plans, configuration, fold, dataset_json, device=None):
        super().__init__(plans, configuration, fold, dataset_json, device)
"""


@pytest.mark.usefixtures("no_validation")
def test_a_trainer_of_ones_own_starts_from_the_weights(nnunet, weights, tmp_path, monkeypatch, at_epoch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "mine.py").write_text(MINE.format(name="MyTrainer"))
    monkeypatch.setenv("nnUNet_extTrainer", str(tmp_path / "mine"))
    asked, seen = request_of(weights), {}
    at_epoch(lambda trainer: seen.setdefault(trainer.current_epoch, copies(kernels(trainer.network))))
    umzoo_train(asked, tr="MyTrainer")
    assert equal(seen[0], load_state(weights)) == seen[0].keys()
    (fold,) = (tmp_path / "results").glob(f"*/MyTrainer__{asked.plans_name}__3d_fullres/fold_0")
    checkpoint = torch.load(fold / "checkpoint_final.pth", weights_only=False)
    assert checkpoint["trainer_name"] == "nnUNetTrainerNoMirroring"
    assert checkpoint["inference_allowed_mirroring_axes"] is None


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"device": "cuda"}, "PyTorch finds 0"),
        ({"device": "gpu"}, "unknown device 'gpu'"),
        ({"tr": "nnUNetTrainerNoMirroring"}, "class MynnUNetTrainerNoMirroring.UmzooMixin"),
        ({"tr": "Nothing"}, "finds no trainer 'Nothing'"),
    ],
)
def test_what_cannot_train_is_told_before_plans_are_written(nnunet, weights, flags, message, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    before = sorted(nnunet.iterdir())
    with pytest.raises(ConfigError, match=message):
        prepare(request_of(weights), Flags(**{"device": "cpu", **flags}))
    assert sorted(nnunet.iterdir()) == before


def test_stock_plans_are_refused(nnunet):
    make_trainer_findable()
    with pytest.raises(ConfigError, match="no 'umzoo' entry"):
        make_trainer(Request("901", "3d_fullres", PLANS, None, parse_options("nnunet"), "nnunet", name=PLANS))


@pytest.mark.usefixtures("no_validation")
def test_frozen_epochs_train_the_rest_only(weights, at_epoch, fold):
    asked, seen = request_of(weights, "finetuning.frozen=2", "finetuning.layer_decay=0.5"), {}
    at_epoch(lambda trainer: seen.setdefault(trainer.current_epoch, copies(kernels(trainer.network))))
    umzoo_train(asked)
    encoder = {name for name in seen[0] if name.startswith("encoder.")}
    assert equal(seen[0], seen[1]) == equal(seen[0], seen[2]) == encoder
    saved = collapse_aliases(torch.load(fold() / "checkpoint_final.pth", weights_only=False)["network_weights"])
    assert not equal(seen[0], saved)


@pytest.mark.usefixtures("no_validation")
def test_continuing_needs_the_report(weights, at_epoch, fold):
    def stop_at_one(trainer):
        if trainer.current_epoch == 1:
            raise KeyboardInterrupt

    asked = request_of(weights, "finetuning.frozen=2")
    at_epoch(stop_at_one)
    with pytest.raises(KeyboardInterrupt):
        umzoo_train(asked)
    (fold() / "umzoo_transfer.json").unlink()
    with pytest.raises(CheckpointError, match="umzoo_transfer.json"):
        umzoo_train(asked, c=True)


def wrap(network, how):
    if "compile" in how:
        network = torch.compile(network, backend="eager")
    return nn.parallel.DistributedDataParallel(network) if "ddp" in how else network


@pytest.fixture
def process_group(tmp_path):
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/rendezvous", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.usefixtures("process_group")
@pytest.mark.parametrize("how", ["plain", "compile", "ddp", "compile ddp"])
def test_wrapped_networks_get_the_same(nnunet, weights, how):
    asked = request_of(weights)
    derive_plans(asked)
    planned = read_planned(nnunet, asked.plans_name, "3d_fullres")
    network = planned.build()
    wrapped = wrap(network, how)
    report = initialize(wrapped, planned, read_entry(planned.plans), nnunet)
    source = load_state(weights)
    assert report.coverage == 1.0
    assert equal(kernels(network), source) == kernels(network).keys()
    aliases = [name for name in network.state_dict() if name.endswith("stem.convs.0.all_modules.0.weight")]
    assert len(aliases) == 2
    image = torch.zeros(1, 1, 24, 24, 24)
    image[..., 12, 12, 12] = 1
    assert torch.equal(wrapped(image)[0], network(image)[0])


def test_command_trains_validates_and_predicts_without_umzoo(nnunet, weights, tmp_path, fold):
    """The whole way, through the command line; predictions come from nnU-Net alone, with the weights gone."""
    command = [sys.executable, "-m", "umzoo", "nnunet", "train", "901", "3d_fullres", "0", *SHORT]
    command += ["--weights", str(weights), "--recipe", "nnunet", "--batch-size", "2", "-device", "cpu"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "100.0% of the encoder's kernels" in " ".join(done.stdout.split())
    summary = json.loads((fold() / "validation" / "summary.json").read_text())
    assert 0 <= summary["foreground_mean"]["Dice"] <= 1
    checkpoint = torch.load(fold() / "checkpoint_final.pth", weights_only=False)
    assert checkpoint["trainer_name"] == "nnUNetTrainer"
    assert checkpoint["umzoo_trainer_name"] == TRAINER
    started_from = read_info(weights)
    zoo().importers.build("nnunet").run(fold().parent, tmp_path / "shared", "cc-by-4.0")
    base = read_info(tmp_path / "shared").base_model
    assert (base.name, base.sha256) == (started_from.name, started_from.files["model.safetensors"])
    assert not list(fold().glob("*.partial")) + list(fold().glob("*.writing"))

    shutil.rmtree(weights)
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['umzoo'] = None\n")
    raw = folder_of("nnUNet_raw")
    predict = "from nnunetv2.inference.predict_from_raw_data import predict_entry_point as main; main()"
    trainer, plans, configuration = fold().parent.name.split("__")
    arguments = ["-i", f"{raw}/Dataset901_Spheres/imagesTr", "-o", tmp_path / "out", "-d", "901", "-tr", trainer]
    arguments += ["-p", plans, "-c", configuration, "-f", "0", "-device", "cpu", "--disable_tta"]
    arguments += ["-npp", "0", "-nps", "0"]  # in one process
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", predict, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    predicted = nibabel.load(tmp_path / "out" / "case_0.nii.gz")
    assert predicted.shape == (24, 24, 24)
    assert set(np.unique(predicted.dataobj)) <= {0, 1}
