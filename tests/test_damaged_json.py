"""JSON that others wrote, or that a disk damaged: whatever reads it answers in one line that names the file."""

import sys
from types import SimpleNamespace

import pytest

from umzoo.config import Config
from umzoo.data.loading.open_store import open_store
from umzoo.data.preparing.dataset_layouts import describe_folder
from umzoo.data.preparing.manifest import read_manifest
from umzoo.downstream.embed.vector_cache import file_name
from umzoo.downstream.embed.vector_table import _begin
from umzoo.downstream.evaluate.common_crop import _room_of
from umzoo.downstream.evaluate.results import results_for
from umzoo.downstream.finetune.cases import _open
from umzoo.downstream.finetune.run import resume
from umzoo.downstream.finetune.summary import over_folds
from umzoo.downstream.quickstart_comparison import read_outcome
from umzoo.downstream.quickstart_folder import claim
from umzoo.downstream.study.cells import STATE, read_state
from umzoo.downstream.study.report import PROTOCOL, read_protocol
from umzoo.downstream.tasks.rows import read_folder, read_table
from umzoo.engine.checkpoint import load_checkpoint
from umzoo.engine.log import read_metrics
from umzoo.errors import ConfigError, UmzooError, WeightsError
from umzoo.files import json_table, read_json, read_json_list
from umzoo.hub.pushing.privacy import inspect
from umzoo.nnunet.planning.configuration import read_json as read_plans
from umzoo.nnunet.training.weights_location import read_where
from umzoo.spec import InputSpec
from umzoo.weights.folder.reader import read_info
from umzoo.weights.importers.nnssl_files import PLAN, _plan_beside
from umzoo.weights.importers.nnunet import NnunetImporter

DAMAGE = {
    "nested without end": b'{"a":' * 5000 + b"1" + b"}" * 5000,
    "nested lists": b'{"a": ' + b"[" * 20_000,
    "nested deeper than it may be": b'{"a":' * 70 + b"1" + b"}" * 70,
    "NUL": b'{"a": "\0"}',
    "NUL, written": b'{"a": "\\u0000"}',
    "half a character": b'{"a": "\\ud800"}',
    "half a character in a name": b'{"\\udfff": 1}',
    "a list": b"[1]",
    "a text": b'"x"',
    "nothing": b"null",
    "an empty file": b"",
    "cut short": b'{"a": ',
    "Latin-1": b'{"a": "\xe9"}',
    "bytes": bytes(range(256)),
}
if hasattr(sys, "set_int_max_str_digits"):  # earlier versions of Python 3.10 read it
    DAMAGE["a number without end"] = b'{"a": ' + b"9" * 5000 + b"}"
SPEC = InputSpec()
INFO = SimpleNamespace(files={"a": "b"}, name="x", results=())
ROOM = file_name(repr((SPEC.model_dump_json(exclude={"patch_size"}), []))).replace(".npz", ".json")
READERS = {
    "evaluate --results": ("results.json", lambda file: results_for(file, INFO)),
    "evaluate --crop": (ROOM, lambda file: _room_of([], SPEC, file.parent, lambda: None)),
    "embed": ("options.json", lambda file: _begin(file.parent, "x")),
    "finetune --resume": ("finetune.json", lambda file: resume(file.parent)),
    "finetune --folds": ("summary.json", lambda file: over_folds(None, [file.parent], 0)),
    "finetune, cases": ("about.json", lambda file: _open(file.parent, None)),
    "finetune, data set": ("dataset.json", lambda file: read_folder(file.parent)),
    "finetune, table": ("table.jsonl", lambda file: read_table(file)),
    "quickstart": ("tour.json", lambda file: claim(file.parent, Config())),
    "quickstart, outcome": ("summary.json", lambda file: read_outcome(file.parent, "a", 0)),
    "study": (PROTOCOL, lambda file: read_protocol(file.parent)),
    "prepare": ("dataset.json", lambda file: describe_folder(file.parent)),
    "prepare, manifest": ("list.jsonl", lambda file: read_manifest(file)),
    "store": ("store.json", lambda file: open_store(file.parent)),
    "nnunet, plans": ("plans.json", lambda file: read_plans(file)),
    "nnunet, where": ("plans.where.json", lambda file: read_where(file.with_name("plans.json"))),
    "import nnunet": ("plans.json", lambda file: NnunetImporter().run(file.parent, file.parent / "out")),
    "import nnssl": (PLAN, lambda file: _plan_beside(file.with_name("x.pth"))),
    "weights": ("config.json", lambda file: read_info(file.parent)),
    "pretrain --resume": ("meta.json", lambda file: load_checkpoint(file.parent)),
}


@pytest.mark.parametrize("content", DAMAGE.values(), ids=DAMAGE.keys())
@pytest.mark.parametrize("command", READERS)
def test_one_line_that_names_the_file(tmp_path, command, content):
    name, read = READERS[command]
    folder = tmp_path / "x"
    folder.mkdir()
    if not content and command == "prepare, manifest":
        pytest.skip("a list of nothing")
    (folder / name).write_bytes(content)
    with pytest.raises(UmzooError) as caught:
        read(folder / name)
    said = str(caught.value)
    assert str(folder) in said and "\n" not in said and len(said) < 700 and "Error:" not in said


@pytest.mark.parametrize("content", [b"{}", b'{"a": 5}', *(
    b'{"%s": 5, "config": 5, "weights": 5, "like": 5, "fold": 5, "cases": 5, "format": "x"}' % key
    for key in (b"metrics", b"test", b"center", b"signature", b"training", b"stages", b"asked", b"task")
)])  # fmt: skip
@pytest.mark.parametrize("command", [name for name in READERS if name != "finetune, cases"])
def test_keys_that_are_missing_or_of_another_kind(tmp_path, command, content):
    """They may be passed over where others can stand in, but end in no other error."""
    name, read = READERS[command]
    (tmp_path / name).write_bytes(content)
    try:
        read(tmp_path / name)
    except UmzooError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("content", DAMAGE.values(), ids=DAMAGE.keys())
def test_what_others_can_stand_in_for(tmp_path, content):
    """The state of a cell, made anew; a torn line of metrics, left out; a text that is about to leave, searched."""
    (tmp_path / STATE).write_bytes(content)
    assert read_state(tmp_path) == {}
    (tmp_path / "metrics.jsonl").write_bytes(b'{"step": 1}\n')
    assert read_metrics(tmp_path / "metrics.jsonl") == [{"step": 1}]
    (tmp_path / "metrics.jsonl").write_bytes(content + b'\n{"step": 1}\n')
    with pytest.raises(ConfigError):
        read_metrics(tmp_path / "metrics.jsonl")
    text = content.decode("utf-8", "replace") + " Patient: mary.smith@example.org"
    for name in ("config.json", "other.json", "README.md"):
        assert list(inspect(name, text))


def test_what_is_whole_is_read(tmp_path):
    file = tmp_path / "a.json"
    file.write_bytes(b'\xef\xbb\xbf{"a": "\\ud83d\\ude00 \\u00e9", "b": [1.5, null]}')
    assert read_json(file, "a", "b") == {"a": "\U0001f600 \u00e9", "b": [1.5, None]}
    with pytest.raises(WeightsError, match=r"a\.json is damaged: it has no c, d; do this"):
        read_json(file, "a", "c", "d", error=WeightsError, remedy="do this")
    file.write_text('[{"a": 1}]', encoding="utf-8")
    assert read_json_list(file) == [{"a": 1}]
    assert json_table("{}", "it") == {}
