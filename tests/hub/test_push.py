"""What a push leaves on a Hub."""

import pytest
from safetensors.torch import load

import umzoo
from umzoo.backbones.state import canonical_state
from umzoo.errors import WeightsError
from umzoo.weights.io import read_info, save_folder

from .routes import TOKEN


def test_a_folder_becomes_a_private_repository(folder, hub):
    url = umzoo.push_to_hub(folder, "org/name")
    files = hub.files("org/name", url.removeprefix(f"{hub.url}/org/name/commit/"))
    assert {name: file.content for name, file in files.items() if name != ".gitattributes"} == {
        file.name: file.read_bytes() for file in folder.iterdir()
    }
    assert files["model.safetensors"].lfs and not files["config.json"].lfs
    assert hub.repositories["org/name"].private
    assert hub.repositories["org/name"].messages == ["initial commit", "Add genesis_unet.custom"]


def test_a_backbone_can_be_pushed_in_public(backbone, hub):
    umzoo.push_to_hub(backbone, "org/name", private=False, licence="cc-by-4.0", tag="lab", message="First")
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
    save_folder(folder, state, read_info(folder), pretext_state={"restoration.weight": state.popitem()[1]})
    umzoo.push_to_hub(folder, "org/name")
    hub.files("org/name")["figure.png"] = hub.files("org/name")["README.md"]
    assert "pretext.safetensors" in hub.files("org/name")
    umzoo.push_to_hub(backbone, "org/name", licence="mit")
    assert hub.files("org/name").keys() == {
        ".gitattributes", "README.md", "config.json", "figure.png", "model.safetensors"
    }  # fmt: skip
    assert len(hub.repositories["org/name"].commits) == 3


def test_a_licence_and_whole_weights_are_needed(backbone, folder, hub):
    with pytest.raises(WeightsError, match=r"^genesis_unet\.custom states no licence"):
        umzoo.push_to_hub(backbone, "org/name")
    (folder / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="altered or damaged"):
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
    with pytest.raises(WeightsError, match=r"cannot push to a/b/c: .*a/b/c"):
        umzoo.push_to_hub(folder, "a/b/c")
    monkeypatch.setenv("HF_TOKEN", f"not_{TOKEN}")
    with pytest.raises(WeightsError, match=r"cannot push to org/name: Invalid.*; set HF_TOKEN"):
        umzoo.push_to_hub(folder, "org/name")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    card = (folder / "README.md").read_text()
    (folder / "README.md").write_text(card.replace("license: mit", ""))
    with pytest.raises(WeightsError, match=r"cannot push to org/name: .*\"license\" is required"):
        umzoo.push_to_hub(folder, "org/name")
    (folder / "README.md").write_text(card)
    hub.stop()
    with pytest.raises(WeightsError, match="cannot push to org/name: .*refused"):
        umzoo.push_to_hub(folder, "org/name")
    request.getfixturevalue("offline")
    with pytest.raises(WeightsError, match="cannot push to org/name: HF_HUB_OFFLINE is set"):
        umzoo.push_to_hub(folder, "org/name")
