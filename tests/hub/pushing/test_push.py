"""What a push leaves on a Hub."""

import io
import json

import pytest
import torch
from safetensors.torch import load, save_file

import umzoo
from umzoo.backbones.state import canonical_state
from umzoo.cli import hub as cli
from umzoo.errors import WeightsError
from umzoo.files import sha256
from umzoo.hub.pushing.push import Target, check_push, push_folder
from umzoo.hub.pushing.repository import Repository
from umzoo.spec import InputSpec
from umzoo.weights.folder.reader import read_info
from umzoo.weights.folder.writer import save_folder

from ..conftest import same
from ..repositories import File, git_oid
from ..routes import STRANGER, TOKEN
from ..server import Fault


def test_a_folder_becomes_a_private_repository(folder, hub):
    url = umzoo.push_to_hub(folder, "org/name")
    files = hub.files("org/name", url.removeprefix(f"{hub.url}/org/name/commit/"))
    assert files.keys() == {".gitattributes", *(file.name for file in folder.iterdir())}
    for name in ("config.json", "model.safetensors"):
        assert files[name].content == (folder / name).read_bytes()
    assert 'umzoo.from_pretrained("org/name"' in files["README.md"].content.decode()
    assert files["model.safetensors"].lfs and not files["config.json"].lfs
    assert hub.repositories["org/name"].private
    assert hub.repositories["org/name"].messages == ["initial commit", "Add genesis_unet.custom"]


def test_a_backbone_can_be_pushed_in_public(backbone, hub):
    umzoo.push_to_hub(backbone, "org/name", private=False, license="cc-by-4.0", weights_tag="lab", message="First")
    assert not hub.repositories["org/name"].private
    assert hub.repositories["org/name"].messages[-1] == "First"
    pushed = load(hub.files("org/name")["model.safetensors"].content)
    assert all(pushed[name].equal(tensor) for name, tensor in canonical_state(backbone).items())


def test_the_token_stays_with_the_hub(folder, hub):
    umzoo.push_to_hub(folder, "org/name")
    umzoo.from_pretrained("org/name")
    stored = [request for request in hub.requests if request.path.startswith("/lfs/")]
    assert [request.method for request in stored] == ["PUT", "GET"]
    assert all((request.token is None) == (request in stored) for request in hub.requests)
    assert all(f"umzoo/{umzoo.__version__}" in r.headers["User-Agent"] for r in hub.requests if r not in stored)


def test_the_same_weights_again_are_no_commit(folder, hub):
    assert umzoo.push_to_hub(folder, "org/name") == umzoo.push_to_hub(folder, "org/name")
    assert len(hub.repositories["org/name"].commits) == 2


def test_a_push_takes_the_place_of_the_last(backbone, folder, hub):
    state = canonical_state(backbone)
    save_folder(folder, state, read_info(folder), pretext_state={"restoration.weight": next(iter(state.values()))})
    umzoo.push_to_hub(folder, "org/name")
    hub.files("org/name")["figure.png"] = hub.files("org/name")["README.md"]
    assert "pretext.safetensors" in hub.files("org/name")
    umzoo.push_to_hub(backbone, "org/name", license="mit")
    assert hub.files("org/name").keys() == {
        ".gitattributes", "README.md", "config.json", "figure.png", "model.safetensors"
    }  # fmt: skip
    assert len(hub.repositories["org/name"].commits) == 3


def test_a_license_and_whole_weights_are_needed(backbone, folder, hub):
    with pytest.raises(WeightsError, match=r"^genesis_unet\.custom has no license"):
        umzoo.push_to_hub(backbone, "org/name")
    content = (folder / "model.safetensors").read_bytes()
    for damaged in (b"damaged", content[:-1] + bytes([content[-1] ^ 1])):
        (folder / "model.safetensors").write_bytes(damaged)
        with pytest.raises(WeightsError, match="cannot be read as safetensors|checksum mismatch"):
            umzoo.push_to_hub(folder, "org/name")
    assert hub.requests == []


@pytest.mark.parametrize(
    "start, status, reason",
    [
        ("/api/repos/create", 403, r"403.*; set HF_TOKEN or pass a token$"),
        ("/api/models/org/name/commit", 500, "500"),
        ("/api/models/org/name/commit", 412, "412"),
        ("/lfs/", 403, "403"),
    ],
)
def test_what_the_hub_refuses_is_one_line(folder, hub, start, status, reason):
    hub.faults[start] = status
    with pytest.raises(WeightsError, match=f"cannot push to org/name: .*{reason}"):
        umzoo.push_to_hub(folder, "org/name")


def test_a_bad_name_token_card_or_connection_is_one_line(folder, hub, monkeypatch, request):
    with pytest.raises(WeightsError, match=r"'a/b/c' is not a name of a repository: give org/name"):
        umzoo.push_to_hub(folder, "a/b/c")
    monkeypatch.setenv("HF_TOKEN", f"not_{TOKEN}")
    with pytest.raises(WeightsError, match=r"cannot push to org/name: Invalid.*; set HF_TOKEN"):
        umzoo.push_to_hub(folder, "org/name")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    card = (folder / "README.md").read_text()
    (folder / "README.md").write_text(card.replace("license: mit", "license: mit\nlanguage: klingon"))
    with pytest.raises(WeightsError, match=r"cannot push to org/name: .*\"language\" must be"):
        umzoo.push_to_hub(folder, "org/name")
    (folder / "README.md").write_text(card)
    hub.stop()
    with pytest.raises(WeightsError, match="cannot push to org/name: .*refused"):
        umzoo.push_to_hub(folder, "org/name")
    request.getfixturevalue("offline")
    with pytest.raises(WeightsError, match="cannot push to org/name: HF_HUB_OFFLINE is set"):
        umzoo.push_to_hub(folder, "org/name")


def commits(hub):
    return len(hub.repositories["org/name"].commits)


def pushed_card(hub, revision="main"):
    return hub.files("org/name", revision)["README.md"].content.decode()


def write_card(hub, text):
    hub.files("org/name")["README.md"] = File(text.encode(), git_oid(text.encode()))


@pytest.mark.parametrize("fault", [Fault(lost=True, times=1), Fault(503, times=1), Fault(500, times=2)])
def test_a_lost_answer_makes_no_second_commit(folder, hub, fault):
    hub.faults["/api/models/org/name/commit"] = fault
    url = umzoo.push_to_hub(folder, "org/name")
    assert commits(hub) == 2
    assert url.endswith(hub.repositories["org/name"].resolve("main")[0])


def test_an_upload_that_breaks_is_tried_again(folder, hub):
    hub.faults["/lfs/"] = Fault(lost=True, times=1, method="PUT")
    umzoo.push_to_hub(folder, "org/name")
    assert commits(hub) == 2


def test_a_push_between_is_not_overwritten(folder, hub, monkeypatch):
    umzoo.push_to_hub(folder, "org/name")
    text, other = Repository.text, umzoo.create_model("genesis_unet", width=2)

    def then_another_pushes(self, commit, name):
        monkeypatch.setattr(Repository, "text", text)
        umzoo.push_to_hub(other, "org/name", license="mit")
        return text(self, commit, name)

    monkeypatch.setattr(Repository, "text", then_another_pushes)
    with pytest.raises(WeightsError, match="somebody else pushed to org/name meanwhile"):
        umzoo.push_to_hub(umzoo.create_model("genesis_unet", width=3), "org/name", license="mit")
    assert commits(hub) == 3
    assert umzoo.from_pretrained("org/name").config.width == 2


def test_the_hub_refuses_what_is_not_on_top(folder, hub, monkeypatch):
    """The lock itself: the branch moves after the last look at it."""
    umzoo.push_to_hub(folder, "org/name")
    commit = Repository.commit

    def too_late(self, *arguments, **options):
        hub.repositories["org/name"].add(dict(hub.files("org/name")), "by another")
        return commit(self, *arguments, **options)

    monkeypatch.setattr(Repository, "commit", too_late)
    with pytest.raises(WeightsError, match="cannot push to org/name: .*412|has happened since"):
        umzoo.push_to_hub(umzoo.create_model("genesis_unet", width=3), "org/name", license="mit")
    assert hub.repositories["org/name"].messages[-1] == "by another"


def test_branches_and_tags(backbone, folder, hub):
    umzoo.push_to_hub(folder, "org/name", tag="v1")
    other = umzoo.create_model("genesis_unet", width=2)
    umzoo.push_to_hub(other, "org/name", license="mit", revision="wider")
    assert same(umzoo.from_pretrained("org/name@v1"), backbone)
    assert same(umzoo.from_pretrained("hf-hub:org/name@main"), backbone)
    assert same(umzoo.from_pretrained("org/name", revision="wider"), other)
    umzoo.push_to_hub(folder, "org/name", tag="v1")
    assert commits(hub) == 3
    with pytest.raises(WeightsError, match="tag v1 of org/name points to other weights .*choose another tag"):
        umzoo.push_to_hub(other, "org/name", license="mit", tag="v1")
    assert same(umzoo.from_pretrained("org/name"), backbone)
    with pytest.raises(WeightsError, match="expected a branch"):
        umzoo.push_to_hub(folder, "org/name", revision="0" * 40)


@pytest.mark.parametrize("fault", [Fault(times=0), Fault(lost=True, times=1)])
def test_a_pull_request_is_made_once(folder, hub, fault):
    umzoo.push_to_hub(folder, "org/name")
    other = umzoo.create_model("genesis_unet", width=2)
    hub.faults["/api/models/org/name/commit"] = fault
    url = umzoo.push_to_hub(other, "org/name", license="mit", create_pr=True)
    assert url == f"{hub.url}/org/name/discussions/1"
    assert url == umzoo.push_to_hub(other, "org/name", license="mit", create_pr=True)
    assert list(hub.repositories["org/name"].titles) == ["refs/pr/1"]
    assert same(umzoo.from_pretrained("org/name", revision="refs/pr/1"), other)
    with pytest.raises(WeightsError, match="a pull request goes to main and gets no tag"):
        umzoo.push_to_hub(folder, "org/name", create_pr=True, tag="v1")


def test_visibility_is_never_changed_in_passing(folder, hub):
    umzoo.push_to_hub(folder, "org/name", private=False)
    assert umzoo.push_to_hub(folder, "org/name")
    assert not hub.repositories["org/name"].private
    with pytest.raises(WeightsError, match="org/name exists and is public, and private was requested"):
        umzoo.push_to_hub(folder, "org/name", private=True)


def test_who_may_not_write_is_told(folder, hub):
    umzoo.push_to_hub(folder, "org/name", private=False)
    for token, reason in ((STRANGER, "403|permissions"), (False, "401|have no access|Invalid|permissions")):
        with pytest.raises(WeightsError, match=f"cannot push to org/name: .*({reason})"):
            umzoo.push_to_hub(umzoo.create_model("genesis_unet", width=2), "org/name", license="mit", token=token)
    assert commits(hub) == 2


def test_what_people_wrote_on_the_hub_stays(folder, hub):
    umzoo.push_to_hub(folder, "org/name")
    mine = pushed_card(hub).replace("license: mit", "license: mit\nthumbnail: us.png") + "\n## Thanks\n\nTo all.\n"
    write_card(hub, mine)
    umzoo.push_to_hub(folder, "org/name", license="cc-by-4.0")
    card = pushed_card(hub)
    assert "To all." in card and "us.png" in card and "license: cc-by-4.0" in card
    assert hub.repositories["org/name"].messages.count("Add genesis_unet.custom") == 2
    umzoo.push_to_hub(folder, "org/name", license="cc-by-4.0")
    assert commits(hub) == 3
    write_card(hub, "# By hand\n\nNo markers here.\n")
    umzoo.push_to_hub(folder, "org/name")
    assert "No markers here." in pushed_card(hub) and pushed_card(hub).count("umzoo:begin") == 1


def test_what_people_wrote_in_the_folder_is_pushed_and_never_lost(folder, hub):
    file = folder / "README.md"
    file.write_text(file.read_text() + "\n## Ours\n\nFirst.\n")
    umzoo.push_to_hub(folder, "org/name")
    write_card(hub, pushed_card(hub).replace("license: mit", "license: mit\nthumbnail: us.png"))
    file.write_text(file.read_text() + "\nSecond.\n")
    umzoo.push_to_hub(folder, "org/name")
    assert all(part in pushed_card(hub) for part in ("First.", "Second.", "us.png"))
    write_card(hub, pushed_card(hub).replace("First.", "Changed on the Hub."))
    before = commits(hub)
    with pytest.raises(WeightsError, match="edited both in .*README.md and on the Hub"):
        umzoo.push_to_hub(folder, "org/name")
    assert commits(hub) == before


def test_nothing_of_a_patient_is_uploaded(folder, hub):
    file = folder / "README.md"
    file.write_text(file.read_text() + "\nThe best case is sub-0042, kept in /data/ct/doe/1.nii.gz.\n")
    with pytest.raises(WeightsError, match="could identify a patient.*README.md line .*a local path.*'sub-0042'"):
        umzoo.push_to_hub(folder, "org/name")
    assert hub.requests == []


def test_neither_in_remarks_of_the_tensors_nor_in_the_message(backbone, folder, hub):
    with pytest.raises(WeightsError, match="the message line 1: a subject 'sub-0042'"):
        umzoo.push_to_hub(folder, "org/name", message="Without sub-0042")
    save_file(canonical_state(backbone), folder / "model.safetensors", {"format": "pt", "from": "/data/ct/doe"})
    config = json.loads((folder / "config.json").read_text())
    config["files"]["model.safetensors"] = sha256(folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match="model.safetensors line .: a local path '/data/ct/doe'"):
        umzoo.push_to_hub(folder, "org/name")
    assert hub.requests == []


def test_files_that_the_repository_ignores_are_missed(folder, hub):
    umzoo.push_to_hub(folder, "org/name")
    hub.files("org/name")[".gitignore"] = File(b"model.safetensors", git_oid(b"model.safetensors"))
    with pytest.raises(WeightsError, match="does not hold the pushed .*look at its .gitignore"):
        umzoo.push_to_hub(umzoo.create_model("genesis_unet", width=2), "org/name", license="mit")


def test_a_backbone_has_the_method(backbone, hub):
    assert backbone.push_to_hub("org/name", license="mit").startswith(hub.url)
    assert same(umzoo.from_pretrained("org/name"), backbone)


def test_nnssls_form_goes_along_on_request_and_goes_with_the_weights(hub, tmp_path):
    pytest.importorskip("nnunetv2", reason="nnU-Net is not installed")
    network = umzoo.create_model("resenc_unet_s", n_stages=2, features_per_stage=[4, 8], n_blocks_per_stage=[1, 1])
    umzoo.save_pretrained(network, tmp_path / "w", license="mit", input=InputSpec(patch_size=(16, 16, 16)))
    target = Target("org/name")
    first = push_folder(tmp_path / "w", target, nnssl=True)
    files = hub.files("org/name")
    assert json.loads(files["adaptation_plan.json"].content)["key_to_encoder"] == "encoder.stages"
    checkpoint = torch.load(io.BytesIO(files["checkpoint_final.pth"].content), weights_only=True)
    kernel = "encoder.stem.convs.0.conv.weight"
    assert torch.equal(checkpoint["network_weights"][kernel], canonical_state(network)[kernel])
    assert push_folder(tmp_path / "w", target, nnssl=True) == first
    assert torch.equal(canonical_state(umzoo.from_pretrained("org/name"))[kernel], canonical_state(network)[kernel])
    push_folder(tmp_path / "w", target)
    assert not {"adaptation_plan.json", "checkpoint_final.pth"} & hub.files("org/name").keys()


def test_a_dry_run_checks_and_asks_nothing_of_the_network(folder, hub, capsys):
    cli.push(folder, "org/name", dry_run=True)
    said = capsys.readouterr().out
    assert "nothing was uploaded" in said and "model.safetensors" in said and read_info(folder).license in said
    with pytest.raises(WeightsError, match="sub-01"):
        cli.push(folder, "org/name", message="Add sub-01", dry_run=True)
    assert hub.requests == [] and "org/name" not in hub.repositories


def test_results_of_an_evaluation_come_onto_the_card(folder, tmp_path, capsys):
    info, file = read_info(folder), tmp_path / "results.json"
    result = {
        "task": "image-classification",
        "dataset": "nodules",
        "metric": "auroc",
        "value": 0.83,
        "note": "[0.7, 0.9]",
    }
    entry = {"name": info.name, "files": dict(info.files), "results": [result]}
    file.write_text(json.dumps([entry]))
    for _ in range(2):
        cli.push(folder, "org/name", results=file, dry_run=True)
    assert [it.value for it in read_info(folder).results] == [0.83]
    assert "[0.7, 0.9]" in (folder / "README.md").read_text()
    file.write_text(json.dumps([{**entry, "files": {"model.safetensors": "0" * 64}}]))
    with pytest.raises(WeightsError, match="has no results of genesis_unet.custom: give the results.json of these"):
        cli.push(folder, "org/name", results=file, dry_run=True)
    file.write_text("no json")
    with pytest.raises(WeightsError, match="not a results.json"):
        cli.push(folder, "org/name", results=file, dry_run=True)


@pytest.mark.parametrize("name", ["README.md", "config.json", "model.safetensors"])
def test_links_out_of_the_folder_are_not_followed(folder, hub, tmp_path, name):
    """What they lead to would be published."""
    outside = tmp_path / "outside"
    (folder / name).rename(outside)
    (folder / name).symlink_to(outside)
    with pytest.raises(WeightsError, match="link out of its folder"):
        check_push(folder, Target("org/name"))
    (folder / name).unlink()
    (folder / name).symlink_to(tmp_path / "nothing")
    with pytest.raises(WeightsError):
        check_push(folder, Target("org/name"))
