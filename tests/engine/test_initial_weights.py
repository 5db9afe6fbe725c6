"""Pre-training that begins with weights."""

import json

import pytest
import torch

import umzoo
from umzoo.backbones.state import canonical_state
from umzoo.cli.pretrain import pretrain
from umzoo.engine.export import export_run
from umzoo.engine.run import open_run
from umzoo.engine.trainer import Trainer
from umzoo.errors import ConfigError, WeightsError
from umzoo.weights.folder.reader import read_info
from umzoo.weights.folder.writer import rewrite_info
from umzoo.weights.transfer.saved_report import read_report

from .test_trainer import final_state, new_run, same  # noqa: F401


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(7)
    folder = tmp_path / "weights"
    umzoo.save_pretrained(umzoo.create_model("genesis_unet", width=2), folder, tag="lab", license="CC-BY-SA-4.0")
    rewrite_info(folder, citations=("A. Lab, 2026",))
    return folder


def begun(trainer):
    return canonical_state(trainer.model.backbone)


def test_a_run_begins_with_the_weights(new_run, weights):  # noqa: F811
    expected = canonical_state(umzoo.from_pretrained(weights))
    assert same(begun(Trainer(new_run("from"), cpu=True, weights=weights)), expected)
    assert not same(begun(Trainer(new_run("scratch"), cpu=True)), expected)
    assert not (new_run("scratch").folder / "start.json").exists()


def test_the_moving_average_begins_there_too(new_run, weights):  # noqa: F811
    trainer = Trainer(new_run("run", "trainer.ema=0.9"), cpu=True, weights=weights)
    assert same(canonical_state(trainer.ema.module), canonical_state(umzoo.from_pretrained(weights)))


def test_exported_weights_name_those_they_began_with(new_run, weights, tmp_path):  # noqa: F811
    run = new_run()
    Trainer(run, cpu=True, weights=weights).fit()
    info = export_run(open_run(run.folder), tmp_path / "out")
    assert (info.base_model.name, info.base_model.sha256) == (
        "genesis_unet.lab",
        read_info(weights).files["model.safetensors"],
    )
    assert info.license == "CC-BY-SA-4.0" and "A. Lab, 2026" in info.citations
    with pytest.raises(WeightsError, match="share-alike"):
        export_run(open_run(run.folder), tmp_path / "other", "mit")
    assert "initialized from `genesis_unet.lab`" in (tmp_path / "out" / "README.md").read_text()
    assert str(tmp_path) not in (run.folder / "start.json").read_text()
    assert read_report(run.folder).coverage == 1


def test_a_resumed_run_needs_the_weights_no_more(new_run, weights):  # noqa: F811
    whole, parts = new_run("whole"), new_run("parts")
    Trainer(whole, cpu=True, weights=weights).fit()
    trainer = Trainer(parts, cpu=True, weights=weights)
    trainer._agree = lambda signum: 15 if trainer.step == 2 else None
    trainer.fit()
    for file in weights.iterdir():
        file.unlink()
    Trainer(open_run(parts.folder), resume=True, cpu=True).fit()
    assert same(final_state(parts)["model"], final_state(whole)["model"])
    assert open_run(parts.folder).start.base.name == "genesis_unet.lab"


def test_a_run_killed_before_its_first_checkpoint_does_not_go_on_from_random_values(new_run, weights):  # noqa: F811
    run = new_run()
    Trainer(run, cpu=True, weights=weights)
    with pytest.raises(ConfigError, match="no checkpoint yet: .* --weights genesis_unet.lab"):
        Trainer(open_run(run.folder), resume=True, cpu=True)


def test_what_does_not_fit_leaves_no_run(new_run, tmp_path):  # noqa: F811
    umzoo.save_pretrained(umzoo.create_model("plainconv_unet", n_stages=3), tmp_path / "other")
    run = new_run()
    with pytest.raises(WeightsError, match="nothing was transferred"):
        Trainer(run, cpu=True, weights=tmp_path / "other")
    assert not run.folder.exists()


def test_a_used_folder_is_refused_first(new_run, tmp_path):  # noqa: F811
    run = new_run()
    run.folder.mkdir()
    (run.folder / "thesis.tex").touch()
    with pytest.raises(ConfigError, match="not empty"):
        Trainer(run, cpu=True, weights=tmp_path / "nothing")


def test_resume_takes_no_weights(tmp_path):
    with pytest.raises(ConfigError, match="--weights"):
        pretrain(resume=tmp_path, weights="org/name")


def test_the_command_resolves_names(new_run, weights, tiny_store, tmp_path, monkeypatch):  # noqa: F811
    run = new_run()
    from umzoo.engine.recipe import dump_recipe

    (tmp_path / "r.toml").write_text(dump_recipe(run.recipe))
    pretrain(str(tmp_path / "r.toml"), [], tiny_store.path, run.folder, f"local-dir:{weights}", None, cpu=True)
    assert json.loads((run.folder / "start.json").read_text())["base"]["name"] == "genesis_unet.lab"
