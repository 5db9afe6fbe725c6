from pathlib import Path

import torch
from umzoo_rotation import Rotation

import umzoo
from umzoo.data.phantoms.files import write_phantoms
from umzoo.data.preparing.prepare import prepare
from umzoo.engine.log import read_metrics
from umzoo.engine.recipe import load_recipe
from umzoo.engine.run import Run
from umzoo.engine.trainer import Trainer
from umzoo.plugins import zoo
from umzoo.testing import TinyBackbone, check_pretext_task, training_batch

RECIPE = Path(__file__).resolve().parents[1] / "rotation.toml"


def test_conforms():
    check_pretext_task(Rotation)


def test_is_registered():
    assert zoo().pretext_tasks["rotation"] is Rotation
    assert zoo().pretext_tasks.owner("rotation") == "rotation"


def test_turns_the_axial_plane():
    context = umzoo.PretextContext(TinyBackbone.info, (16, 16, 16))
    batch = training_batch()
    view = Rotation.build(Rotation.Config(), context=context).views(batch, umzoo.Rng(0))
    for before, after, turns in zip(batch["image"], view["image"], view["turns"], strict=True):
        assert torch.equal(torch.rot90(after, -int(turns), dims=(2, 3)), before)


def test_refuses_a_plane_that_is_not_square():
    assert "square" in Rotation.obstacle(umzoo.PretextContext(TinyBackbone.info, (16, 16, 24)))


def test_pretrains_two_steps(tmp_path):
    write_phantoms(tmp_path / "scans", ct=1, mr=0, size=(32, 32, 32))
    prepare([tmp_path / "scans"], tmp_path / "store", workers=0)
    small = ["backbone.width=2", "data.patch_size=[16,16,16]", "data.batch_size=2", "data.workers=0", "trainer.steps=2"]
    recipe = load_recipe(RECIPE, [*small, "trainer.log_every=1", "trainer.probe_volumes=4"])
    run = Run(tmp_path / "run", recipe, tmp_path / "store")
    Trainer(run, cpu=True).fit()
    assert [line["step"] for line in read_metrics(run.folder / "metrics.jsonl") if "rotation" in line] == [1, 2]
    assert (run.checkpoints / "step-00000002").is_dir()
