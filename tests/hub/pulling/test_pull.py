"""What comes back from a Hub: the weights that were asked for, or one line that says why not."""

import json
import os
import subprocess
import sys

import pytest

import umzoo
from umzoo.errors import WeightsError
from umzoo.hub.pulling.references import resolve

from ..conftest import same
from ..repositories import File, git_oid
from ..routes import STRANGER, TOKEN


def test_weights_come_back_as_they_went(backbone, commit):
    assert same(umzoo.from_pretrained("org/name"), backbone)
    model = umzoo.from_pretrained("hf-hub:org/name", head={"name": "segmentation", "classes": 3})
    assert same(model.backbone, backbone)
    assert umzoo.transfer("org/name", umzoo.create_model("genesis_unet", width=1)).coverage == 1


def test_a_revision_stays_what_it_was(backbone, commit):
    second = umzoo.create_model("genesis_unet", width=1)
    umzoo.push_to_hub(second, "org/name", license="mit")
    assert same(umzoo.from_pretrained("org/name", revision=commit), backbone)
    assert same(umzoo.from_pretrained("org/name"), second)
    assert same(umzoo.from_pretrained("org/name", revision="main"), second)


def test_a_first_pull_fetches_each_file_once_and_cached_ones_not(backbone, commit, hub):
    umzoo.from_pretrained("org/name")
    oid = hub.files("org/name")["model.safetensors"].oid
    for path in ("config.json", "README.md", oid):
        assert hub.count("GET", path) == 1
    for revision, most in ((commit, 0), ("main", 1), (None, 1)):
        hub.requests.clear()
        assert same(umzoo.from_pretrained("org/name", revision=revision), backbone)
        assert len(hub.requests) <= most
    umzoo.from_pretrained("org/name", revision=commit, force_download=True)
    for path in ("config.json", "README.md", oid):
        assert hub.count("GET", path) == 1


def test_a_repository_without_a_card_is_asked_for_it_once(backbone, commit, hub):
    hub.files("org/name").pop("README.md")
    for _ in range(2):
        assert same(umzoo.from_pretrained("org/name", revision=commit), backbone)
    assert hub.count("HEAD", "README.md") == 1


def test_all_files_are_of_the_commit_that_the_branch_was_at(backbone, folder, commit, hub, monkeypatch):
    """Somebody pushes between our request for config.json and that for the tensors."""
    from umzoo.hub.pulling import pull

    second = umzoo.create_model("genesis_unet", width=1)
    known_files = pull.known_files

    def then_another_pushes(place):
        umzoo.push_to_hub(second, "org/name", license="mit")
        return known_files(place)

    monkeypatch.setattr(pull, "known_files", then_another_pushes)
    assert same(umzoo.from_pretrained("org/name"), backbone)
    monkeypatch.undo()


def test_a_cached_branch_loads_when_the_hub_is_down(backbone, commit, hub):
    umzoo.from_pretrained("org/name")
    hub.stop()
    assert same(umzoo.from_pretrained("org/name"), backbone)


def test_what_is_cached_loads_offline_without_a_request(backbone, commit, hub, request):
    umzoo.from_pretrained("org/name")
    hub.requests.clear()
    request.getfixturevalue("offline")
    for revision in (None, "main", commit):
        assert same(umzoo.from_pretrained("org/name", revision=revision), backbone)
    assert hub.requests == []


def test_an_incomplete_cache_offline_is_one_line(commit, hub, request):
    hub.faults["/lfs/"] = 403
    with pytest.raises(WeightsError, match="model.safetensors of org/name could not be downloaded from the Hub: .*403"):
        umzoo.from_pretrained("org/name")
    request.getfixturevalue("offline")
    for revision in (None, commit):
        missing = f"the cache lacks model.safetensors of org/name at {commit[:12]}, and no request.*load it once"
        with pytest.raises(WeightsError, match=missing) as caught:
            umzoo.from_pretrained("org/name", revision=revision)
        assert "\n" not in str(caught.value)
    with pytest.raises(
        WeightsError, match="config.json of org/other .*not in the cache, and the Hub cannot be reached"
    ):
        umzoo.from_pretrained("org/other")


def test_a_flipped_byte_on_the_server_is_noticed(backbone, commit, hub, tmp_path):
    oid = hub.files("org/name")["model.safetensors"].oid
    content = hub.objects[oid]
    hub.objects[oid] = content[:-1] + bytes([content[-1] ^ 1])
    with pytest.raises(WeightsError, match=rf"model.safetensors of org/name arrived damaged twice .*checksum {oid}"):
        umzoo.from_pretrained("org/name")
    assert sum(request.method == "GET" and request.path == f"/lfs/{oid}" for request in hub.requests) == 2
    assert not any("safetensors" in file.name for file in tmp_path.glob("hf/hub/models--org--name/snapshots/*/*"))
    hub.objects[oid] = content
    assert same(umzoo.from_pretrained("org/name"), backbone)


def test_what_is_missing_is_named(commit, hub, monkeypatch):
    with pytest.raises(WeightsError, match=r"no folder org/nome, and .*does not exist, or you have no access"):
        umzoo.from_pretrained("org/nome")
    for revision in ("v1", "0" * 40):
        with pytest.raises(WeightsError, match="no such revision; give a commit, tag or branch"):
            umzoo.from_pretrained("org/name", revision=revision)
    del hub.files("org/name")["model.safetensors"]
    with pytest.raises(WeightsError, match=r"model\.safetensors"):
        umzoo.from_pretrained("org/name")
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(WeightsError, match="does not exist, or you have no access.*HF_TOKEN"):
        umzoo.from_pretrained("org/name", revision="other")


def test_options_of_users_of_transformers(backbone, commit, hub, tmp_path):
    with pytest.raises(WeightsError, match="config.json of org/name .*not in the cache.*load it once"):
        umzoo.from_pretrained("org/name", local_files_only=True)
    assert hub.requests == []
    assert same(umzoo.from_pretrained("org/name", token=TOKEN, cache_dir=tmp_path / "cache"), backbone)
    assert not list(tmp_path.glob("hf/hub/*org--name*"))
    hub.requests.clear()
    assert same(umzoo.from_pretrained("org/name", local_files_only=True, cache_dir=tmp_path / "cache"), backbone)
    assert hub.requests == []
    with pytest.raises(WeightsError, match="does not exist, or you have no access; check the name, and set HF_TOKEN"):
        umzoo.from_pretrained("org/name", token=False)
    assert {request.token for request in hub.requests} == {None}


def test_a_gated_repository_says_how_to_get_in(backbone, commit, hub):
    hub.repositories["org/name"].private, hub.repositories["org/name"].gated = False, True
    for token in (STRANGER, False):
        with pytest.raises(WeightsError, match="org/name .*request access on its page"):
            umzoo.from_pretrained("org/name", token=token)
    assert same(umzoo.from_pretrained("org/name"), backbone)
    with pytest.raises(WeightsError, match="Invalid credentials"):
        umzoo.from_pretrained("org/name", token="hf_nobody_knows", force_download=True)


def test_a_saved_login_goes_to_huggingface_alone(backbone, commit, hub, monkeypatch, tmp_path):
    (tmp_path / "hf").mkdir(exist_ok=True)
    (tmp_path / "hf" / "token").write_text(TOKEN)
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(WeightsError, match="set HF_TOKEN or pass a token"):
        umzoo.from_pretrained("org/name")
    with pytest.raises(WeightsError, match="no token for http://127.0.0.1"):
        umzoo.from_pretrained("org/name", token=True)
    assert hub.requests and {request.token for request in hub.requests} == {None}
    assert same(umzoo.from_pretrained("org/name", token=TOKEN), backbone)


@pytest.mark.parametrize("name", ["../../evil", "/etc/passwd", "run.py", "model.bin"])
def test_only_known_names_are_fetched(commit, hub, name):
    files = hub.files("org/name")
    content = json.loads(files["config.json"].content)
    content["files"][name] = "0" * 64
    text = json.dumps(content).encode()
    files["config.json"] = File(text, git_oid(text))
    with pytest.raises(WeightsError, match="lists files that do not belong to a weights folder|config.json: 'files"):
        umzoo.from_pretrained("org/name")
    assert not any("evil" in request.path or name in request.path for request in hub.requests)


def test_another_kind_of_repository_is_refused(commit, hub):
    hub.files("org/name").pop("config.json")
    with pytest.raises(WeightsError, match="config.json of org/name .*has no such file; if it is another project's"):
        umzoo.from_pretrained("org/name")


MAIN = """
import sys, umzoo.cli, umzoo.hub.retry
umzoo.hub.retry.PAUSES = ()
for ref in sys.argv[1:]:
    sys.argv = ["umzoo", "info", ref]
    try:
        umzoo.cli.main()
    except SystemExit as end:
        print("exit", end.code, file=sys.stderr, flush=True)
"""


def info(*refs):
    """What ``umzoo info REF`` prints and how it ends, for each of *refs*, all in one fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", MAIN, *refs],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "COLUMNS": "200"},
    )
    return done.stdout, done.stderr.splitlines()


def test_command_line(commit, hub):
    hub.faults["/api/models/org/broken"] = 500
    output, errors = info("org/name", "org/missing", "org/broken")
    assert "weights genesis_unet.custom" in output
    assert len(errors) == 5 and errors[0] == "exit 0" and errors[2] == errors[4] == "exit 2"
    assert errors[1].startswith("error: ") and "does not exist, or you have no access" in errors[1]
    assert errors[3].startswith("error: ") and "500" in errors[3]


def test_command_line_when_the_hub_is_down(hub):
    hub.stop()
    output, errors = info("org/name")
    assert output == "" and len(errors) == 2 and errors[1] == "exit 2"
    assert errors[0].startswith("error: ") and "refused" in errors[0]


def test_a_config_that_was_cut_off_is_fetched_again(backbone, commit, caplog):
    """As in a cache without links, where nothing but its content tells."""
    for revision in (commit, None):
        config = resolve("org/name", revision) / "config.json"
        content = config.read_bytes()
        config.unlink()
        config.write_bytes(content[:-40])
        assert same(umzoo.from_pretrained("org/name", revision=revision), backbone)
        assert config.read_bytes() == content
        config.unlink()
        config.write_bytes(content[:-40])
        with pytest.raises(WeightsError, match="again with a connection"):
            resolve("org/name", revision, local_files_only=True)
