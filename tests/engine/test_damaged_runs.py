"""Runs that somebody else made, or damaged: one line for each, and nothing is written outside of them."""

import json

import pytest
import torch

from umzoo.engine.checkpoint import fitting, load_checkpoint, save_checkpoint
from umzoo.engine.log import RunLog, read_metrics
from umzoo.engine.option_changes import record_changes
from umzoo.engine.recipe import dump_recipe, load_recipe
from umzoo.engine.run import Run, open_run
from umzoo.errors import CheckpointError, ConfigError, PluginError, UmzooError
from umzoo.files import sha256
from umzoo.overrides import apply_override

DEEP = "[" * 100_000


@pytest.fixture
def folder(tmp_path):
    """A run that has not trained yet."""
    recipe = load_recipe("universal_tiny")
    Run(tmp_path / "run", recipe, tmp_path / "store").begin(("a", "b"))
    return tmp_path / "run"


MALFORMED = [
    "",
    "{",
    "[]",
    "5",
    "null",
    DEEP,
    '{"a":' * 100_000,
    "\xff\xfe",
    "1" * 5000,
]


@pytest.mark.parametrize("text", MALFORMED, ids=range(len(MALFORMED)))
@pytest.mark.parametrize("name", ["run.json", "start.json"])
def test_malformed_json(folder, name, text):
    (folder / name).write_bytes(text.encode("latin1", "replace"))
    with pytest.raises(ConfigError, match=name.replace(".", r"\.")) as failure:
        open_run(folder)
    assert "\n" not in str(failure.value) and len(str(failure.value)) < 600


@pytest.mark.parametrize(
    "content",
    [{}, {"data": 5}, {"data": ""}, {"data": "a\0b"}, {"data": "x", "volumes": 3}, {"data": "x", "volumes": [1]}],
)
def test_run_json_of_other_types(folder, content):
    (folder / "run.json").write_text(json.dumps(content))
    with pytest.raises(ConfigError, match="damaged"):
        open_run(folder)


def test_a_missing_package_is_named(folder):
    file = folder / "run.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "plugins": {"umzoo-gone": "1.2"}}))
    assert open_run(folder), "all its components are there, whatever brings them"
    recipe = folder / "recipe.toml"
    recipe.write_text(recipe.read_text().replace('name = "restoration"', 'name = "gone"'))
    with pytest.raises(PluginError, match="was made with umzoo-gone 1.2, which is not installed: pip install umzoo-go"):
        open_run(folder)


def test_changes_that_are_no_list(folder):
    run = open_run(folder, overrides=["trainer.steps=7"])
    (folder / "run.json").write_text(json.dumps({"data": "x", "volumes": [], "changes": 5}))
    record_changes(run, 1)
    assert len(json.loads((folder / "run.json").read_text())["changes"]) == 1


@pytest.mark.parametrize(
    "text",
    [
        f"a = {DEEP}",
        "a.b" + ".c" * 10_000 + " = 1",
        "seed = " + "9" * 5000,
        "\udcff",
        "a = [",
        "[seed]\n" * 2,
        "x=1\0",
    ],
    ids=range(7),
)
def test_malformed_recipes(tmp_path, text):
    (tmp_path / "r.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError) as failure:
        load_recipe(tmp_path / "r.toml")
    assert "\n" not in str(failure.value) and len(str(failure.value)) < 1000


@pytest.mark.parametrize(
    "text", [f"a={DEEP}", "seed=" + "9" * 5000, "a" + ".a" * 10_000 + "=1", "seed=-1", f"seed={2**31}"], ids=range(5)
)
def test_malformed_overrides(text):
    with pytest.raises(ConfigError) as failure:
        load_recipe("universal_tiny", [text])
    assert len(str(failure.value)) < 1000


def test_nested_overrides_are_read():
    table = {}
    apply_override(table, "a.b=[[1, 2], {c = 3}]")
    assert table == {"a": {"b": [[1, 2], {"c": 3}]}}


@pytest.mark.parametrize(
    "line", ["{", "5", "[]", "{}", '{"step": "1"}', '{"step": 1, "loss": "x"}', DEEP, '{"step": true}']
)
def test_malformed_metrics(folder, line):
    (folder / "metrics.jsonl").write_text(f'{{"step": 1}}\n{line}\n')
    with pytest.raises(ConfigError, match="line 2 of"):
        read_metrics(folder / "metrics.jsonl")
    with pytest.raises(ConfigError), RunLog(folder, 3, 1, active=True):
        pass


@pytest.fixture
def checkpoint(tmp_path):
    state = {"step": 1, "samples": 2, "seconds": 0.5, "model": {"w": torch.ones(2)}, "ema": None}
    return save_checkpoint(tmp_path / "checkpoints", 1, state, keep=1)


@pytest.mark.parametrize("meta", [*MALFORMED, "{}", '{"format": "1"}', '{"format": 1, "sha256": 5}'], ids=range(12))
def test_malformed_meta(checkpoint, meta):
    (checkpoint / "meta.json").write_bytes(meta.encode("latin1", "replace"))
    with pytest.raises(CheckpointError, match="there is no earlier one"):
        load_checkpoint(checkpoint)


@pytest.mark.parametrize(
    "state", [[1], 5, {}, {"model": 5, "step": 1}, {"model": {}, "step": "1"}, {"model": {}}, None, {"step": -1}]
)
def test_states_of_other_shapes(checkpoint, state):
    torch.save(state, checkpoint / "state.pt")
    _record(checkpoint)
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(checkpoint)


@pytest.mark.parametrize("content", [b"", b"\x80\x02]", b"PK\x03\x04", b"abc"])
def test_states_that_are_none(checkpoint, content):
    (checkpoint / "state.pt").write_bytes(content)
    _record(checkpoint)
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(checkpoint)


def _record(checkpoint):
    meta = {"format": 1, "step": 1, "sha256": sha256(checkpoint / "state.pt")}
    (checkpoint / "meta.json").write_text(json.dumps(meta))


def test_states_of_other_runs(checkpoint):
    for harm in (KeyError("optimizer"), RuntimeError("size\nmismatch"), TypeError("x"), AttributeError("y")):
        with pytest.raises(CheckpointError, match="does not fit the run"), fitting(checkpoint):
            raise harm
    with pytest.raises(ConfigError, match="mine"), fitting(checkpoint):
        raise ConfigError("mine")


@pytest.mark.parametrize(
    "link", ["metrics.tmp", "metrics.jsonl", "tensorboard", "pictures/step-1.png", "checkpoints/step-2", "recipe.toml"]
)
def test_nothing_is_written_through_links(folder, tmp_path, link):
    victim = tmp_path / "victim"
    if link in ("tensorboard", "checkpoints/step-2"):
        victim.mkdir()
    else:
        victim.write_text(dump_recipe(load_recipe("universal_tiny")) if link == "recipe.toml" else "precious")
    before = victim.read_text() if victim.is_file() else sorted(victim.iterdir())
    (folder / link).parent.mkdir(exist_ok=True)
    (folder / link).unlink(missing_ok=True)
    (folder / link).symlink_to(victim)
    with pytest.raises(ConfigError, match="is a link to a place outside"):
        open_run(folder)
    with pytest.raises(UmzooError), RunLog(folder, 3, 1, active=True):
        pass
    assert (victim.read_text() if victim.is_file() else sorted(victim.iterdir())) == before


def test_a_run_may_lie_behind_a_link_and_hold_links_of_its_own(folder, tmp_path):
    (tmp_path / "here").symlink_to(folder)
    (folder / "pictures" / "newest.png").symlink_to("step-1.png")
    assert open_run(tmp_path / "here").volumes == ("a", "b")
