"""A study in small: every cell is a real training."""

import csv
import shutil

import pytest

from umzoo.data.phantoms.files import write_labeled, write_phantoms
from umzoo.data.preparing.prepare import prepare
from umzoo.downstream.study import load_study, run_study, write_report
from umzoo.downstream.study.cell_work import finetune_config, origin_of, run_cell
from umzoo.downstream.study.cells import cell_named, finetunings, is_done, pretrainings, read_state
from umzoo.downstream.study.forecast import forecast
from umzoo.downstream.study.launch import Launch
from umzoo.downstream.study.report import _rates
from umzoo.errors import ConfigError, DataError

RECIPE = """
name = "tiny"
[backbone]
name = "genesis_unet"
width = 2
[pretext]
tasks = [{ name = "restoration" }]
[data]
patch_size = [16, 16, 16]
batch_size = 1
scales = [1.0]
workers = 0
[trainer]
steps = 2
probe_volumes = 2
"""
TASK = """
[task]
kind = "segmentation"
data = "labeled/cases.csv"
classes = ["background", "liver", "spleen", "kidney"]
[data]
batch_size = 1
overlap = 0
[trainer]
steps = 2
log_every = 1
[strategy]
validate_every = 1
"""
STUDY = """
name = "Does it help?"
question = "Is a tiny pre-training of use?"
yes = "the interval lies above 0"
control = "scratch"
labels = [1]
seeds = [0]
[[arms]]
name = "scratch"
[[arms]]
name = "restored"
recipe = "recipe.toml"
data = "store"
[[tasks]]
file = "organs.toml"
"""


def write_files(folder):
    write_phantoms(folder / "scans", 1, 1, size=(32, 32, 32))
    prepare([folder / "scans"], folder / "store", modality=("ct=*/ct/*", "mr=*/mr/*"), workers=0)
    write_labeled(folder / "labeled", {"train": 2, "validation": 1, "test": 2}, (32, 32, 32))
    for name, text in (("recipe", RECIPE), ("organs", TASK), ("study", STUDY)):
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    return folder / "study.toml"


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    file = write_files(folder)
    config = load_study(file)
    return (
        config,
        Launch(file, folder / "out", jobs=0, cpu=True),
        run_study(config, Launch(file, folder / "out", 0, "", True)),
    )


def rows_of(file):
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_cell_is_done_and_gives_tidy_rows(done):
    config, how, found = done
    cells = rows_of(how.out / "cells.csv")
    assert [row["state"] for row in cells] == ["done"] * 3 and not found.failed
    answers = rows_of(how.out / "answers.csv")
    dice = [row for row in answers if row["name"] == "dice"]
    assert len(dice) == 2 * 2 and {row["part"] for row in dice} == {"test"}
    curves = rows_of(how.out / "curves.csv")
    assert {row["step"] for row in curves if row["name"] == "metric"} == {"1", "2"}


def test_the_page_shows_protocol_differences_and_pictures(done):
    _, how, found = done
    page = found.page.read_text(encoding="utf-8")
    for text in ("Is a tiny pre-training of use?", "the interval lies above 0", "3 of 3", "difference from scratch"):
        assert text in page
    assert page.count("| restored |") == 1
    assert (how.out / "learning-organs.png").stat().st_size > 1000 and "learning-organs.png" in page


def test_the_page_is_made_from_the_rows_alone(done, tmp_path):
    _, how, found = done
    for name in ("study.json", "cells.csv", "answers.csv", "curves.csv"):
        shutil.copy(how.out / name, tmp_path / name)
    assert write_report(tmp_path).read_text() == found.page.read_text()


def test_a_finished_cell_is_not_run_again(done):
    config, how, _ = done
    before = {cell: read_state(how.out / cell.name) for cell in (*pretrainings(config), *finetunings(config))}
    ended = []
    run_study(config, how, lambda cell, why: ended.append(cell))
    assert not ended and before == {cell: read_state(how.out / cell.name) for cell in before}
    assert list(forecast(config, how.out)) == []
    wider = config.model_copy(update={"seeds": (0, 1)})
    assert [(part.cells, part.known) for part in forecast(wider, how.out)] == [(1, True), (2, True)]


def test_arms_share_head_and_labels(done):
    config, _, _ = done
    wider = config.model_copy(update={"seeds": (0, 1), "labels": ("1", "50%")})
    cells = [cell for cell in finetunings(wider) if (cell.seed, cell.labels) == (1, "50%")]
    scratch, restored = (finetune_config(wider, cell) for cell in cells)
    assert scratch == restored and scratch.labels == "50%" and scratch.seed == 1


def test_one_pretraining_may_serve_all_seeds(done):
    config, how, _ = done
    once = config.arms[1].model_copy(update={"seed": 0})
    wider = config.model_copy(update={"arms": (config.arms[0], once), "seeds": (0, 1)})
    assert [cell.name for cell in pretrainings(wider)] == ["pretraining/restored/seed-0"]
    begun = [origin_of(wider, how.out, cell) for cell in finetunings(wider)]
    weights = str(how.out / "pretraining/restored/seed-0/weights")
    assert [origin.weights or origin.like for origin in begun] == [weights] * 4


def test_an_arm_may_have_a_rate_of_its_own(done):
    config, how, _ = done
    slow = config.arms[1].model_copy(update={"finetune": ("optim.lr=1e-4",)})
    changed = config.model_copy(update={"arms": (config.arms[0], slow)})
    scratch, restored = (finetune_config(changed, cell).optim.lr for cell in finetunings(changed))
    assert (scratch, restored) == (3e-3, 1e-4)
    run_cell(changed, how.out, next(pretrainings(changed)))
    with pytest.raises(ConfigError, match="other options"):
        run_cell(changed, how.out, list(finetunings(changed))[1])
    assert list(_rates(changed)) == ["Arm restored alone is fine-tuned with `optim.lr=1e-4`."]


def test_another_arm_is_added_and_its_failure_is_reported(done, tmp_path):
    config, how, _ = done
    out = tmp_path / "out"
    shutil.copytree(how.out, out)
    text = how.file.read_text() + '[[arms]]\nname = "broken"\nrecipe = "recipe.toml"\ndata = "nowhere"\n'
    file = how.file.with_name("wider.toml")
    file.write_text(text, encoding="utf-8")
    found = run_study(load_study(file), Launch(file, out, 0, "", True))
    assert {cell.arm for cell in found.failed} == {"broken"} and len(found.failed) == 2
    page = found.page.read_text()
    assert "3 of 5 trainings are done, 2 failed" in page and "nowhere" in page


def test_a_changed_arm_is_refused(done):
    config, how, _ = done
    arms = (config.arms[0], config.arms[1].model_copy(update={"overrides": ("trainer.steps=3",)}))
    changed = config.model_copy(update={"arms": arms})
    with pytest.raises(ConfigError, match="other options"):
        run_cell(changed, how.out, next(pretrainings(changed)))


def test_a_command_runs_a_cell_and_says_why_it_failed(done, tmp_path):
    config, how, _ = done
    out = tmp_path / "out"
    cell = next(finetunings(config))
    from umzoo.downstream.study.launch import run_cells

    [(ended, why)] = run_cells(config, [cell], Launch(how.file, out, 1, "", True))
    assert ended == cell and "pre-training of arm 'restored' with seed 0 is not finished" in why
    assert not is_done(out / cell.name) and read_state(out / cell.name)["failed"] == why


def test_the_forecast_times_a_few_steps(done, tmp_path):
    config, _, _ = done
    longer = config.model_copy(
        update={"tasks": (config.tasks[0].model_copy(update={"overrides": ("trainer.steps=500",)}),)}
    )
    found = list(forecast(longer, tmp_path, cpu=True))
    assert [(part.cells, part.known) for part in found] == [(1, False), (2, False)]
    assert found[1].seconds > 5 and found[0].seconds > 0
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('control = "scratch"', 'control = "none"', "no arm 'none'"),
        ('recipe = "recipe.toml"\n', "", "needs both 'recipe' and 'data'"),
        ('name = "restored"\nrecipe = "recipe.toml"\ndata = "store"', 'name = "other"', "no arm has"),
        ('name = "restored"', 'name = "scratch"', "two arms are called 'scratch'"),
        ('file = "organs.toml"', 'file = "livers.toml"', "does not exist: give 'file'"),
        ("labels = [1]", "labels = [0]", "label budget"),
    ],
)
def test_a_protocol_that_means_nothing_is_refused(tmp_path, old, new, message):
    (tmp_path / "organs.toml").touch()
    file = tmp_path / "study.toml"
    assert old in STUDY
    file.write_text(STUDY.replace(old, new), encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        load_study(file)


def test_a_folder_without_a_study_has_no_page(tmp_path):
    with pytest.raises(DataError, match="holds no study"):
        write_report(tmp_path)


def test_a_cell_that_is_none_is_refused(done):
    with pytest.raises(ConfigError, match="no cell"):
        cell_named(done[0], "finetuning/organs/scratch/7/seed-0")
