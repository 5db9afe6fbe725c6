"""The Python interface: names, weights in and out, and refusals."""

import pytest
import torch
from torch import nn

import umzoo
from umzoo.backbones.state import canonical_state
from umzoo.errors import ConfigError, UnknownNameError, WeightsError
from umzoo.fields import Rng
from umzoo.heads.model import Model
from umzoo.weights.folder.info import WeightsInfo
from umzoo.weights.folder.reader import read_info
from umzoo.weights.folder.writer import save_folder


@pytest.fixture
def backbone():
    return umzoo.create_model("genesis_unet", width=1).eval()


@pytest.fixture
def folder(backbone, tmp_path):
    umzoo.save_pretrained(backbone, tmp_path / "w", license="mit")
    return tmp_path / "w"


def test_list_models():
    assert {"genesis_unet", "plainconv_unet", "resenc_unet_l", "primus_m"} <= set(umzoo.list_models())
    assert umzoo.list_models("*unet*") == sorted(umzoo.list_models("*unet*"))
    assert "primus_m" not in umzoo.list_models("*unet*")
    assert umzoo.list_models("nothing*") == []
    assert all("." in name for name in umzoo.list_models(pretrained=True))


def test_create_model():
    with torch.device("meta"):
        model = umzoo.create_model("resenc_unet_l", in_channels=2)
    assert isinstance(model, umzoo.Backbone)
    assert model.info.in_channels == 2
    with pytest.raises(UnknownNameError, match="did you mean.*resenc_unet_l"):
        umzoo.create_model("resenc_unet_1")
    with pytest.raises(ConfigError, match="in_channels"):
        umzoo.create_model("resenc_unet_l", in_channels=0)


@pytest.mark.parametrize("form", ["{}", "local-dir:{}"])
def test_weights_come_back_as_they_went(backbone, folder, form):
    loaded = umzoo.from_pretrained(form.format(folder))
    image = Rng(0).uniform((1, 1, 16, 16, 16))
    assert not loaded.training
    assert torch.equal(loaded(image, dense=True).dense, backbone(image, dense=True).dense)
    assert loaded.weights_info.input.space == "unit"


def test_head_and_channels(folder):
    model = umzoo.from_pretrained(folder, head={"name": "segmentation", "classes": 3}, in_channels=2)
    assert isinstance(model, Model) and not model.training
    assert model(Rng(0).uniform((1, 2, 16, 16, 16))).shape == (1, 3, 16, 16, 16)
    assert umzoo.from_pretrained(folder, head="classification")(torch.rand(2, 1, 16, 16, 16)).shape == (2, 2)
    with pytest.raises(UnknownNameError, match="segmentation"):
        umzoo.from_pretrained(folder, head="segmentatoin")


def test_what_was_loaded_can_be_saved_again(folder, tmp_path):
    loaded = umzoo.from_pretrained(folder, in_channels=2)
    umzoo.save_pretrained(nn.DataParallel(loaded), tmp_path / "again", tag="two")
    info = read_info(tmp_path / "again")
    assert (info.name, info.license, info.input.in_channels) == ("genesis_unet.two", "mit", 2)
    assert umzoo.from_pretrained(tmp_path / "again").info.in_channels == 2


@pytest.fixture
def pretrained(backbone, tmp_path):
    """Weights with a history, in a folder like those of the Hub's cache."""
    folder = tmp_path / "hub" / "models--lab--base--v1" / "snapshots" / "c0ffee"
    folder.parent.mkdir(parents=True)
    facts = {"provenance": {"volumes": 7}, "pretext": {"tasks": [{"name": "restoration"}]}, "citations": ("Us",)}
    save_folder(folder, canonical_state(backbone), describe(backbone, license="mit", **facts))
    return folder


def describe(backbone, **facts):
    return WeightsInfo(name="genesis_unet.base", backbone=backbone.spec, input={"space": "unit"}, **facts)


def test_weights_that_were_trained_on_name_their_base(pretrained, tmp_path):
    loaded = umzoo.from_pretrained(pretrained)
    with torch.no_grad():
        next(loaded.parameters()).add_(1)
    info = umzoo.save_pretrained(loaded, tmp_path / "fine", tag="fine")
    base = info.base_model
    assert (base.name, base.repository, base.revision) == ("genesis_unet.base", "lab/base--v1", "c0ffee")
    assert base.sha256 == read_info(pretrained).files["model.safetensors"]
    assert (info.provenance.volumes, info.pretext_tasks) == (0, ()), "these are facts of the base"
    assert (info.license, info.citations, info.input.space) == ("mit", ("Us",), "unit")
    card = (tmp_path / "fine" / "README.md").read_text()
    assert "base_model: lab/base--v1" in card and "7 volumes" not in card
    again = umzoo.save_pretrained(umzoo.from_pretrained(tmp_path / "fine"), tmp_path / "again", tag="again")
    assert again.base_model == base, "nothing was trained in between"


def test_weights_that_were_not_changed_keep_their_history(pretrained, tmp_path):
    info = umzoo.save_pretrained(umzoo.from_pretrained(pretrained), tmp_path / "copy", tag="copy", license="cc0-1.0")
    assert (info.name, info.license, info.provenance.volumes, info.base_model) == (
        "genesis_unet.copy",
        "cc0-1.0",
        7,
        None,
    )
    assert read_info(tmp_path / "copy") == info


def test_evaluations_reach_config_and_card(backbone, tmp_path):
    result = {"dataset": "MSD Task09 Spleen", "metric": "dice", "value": 0.951}
    umzoo.save_pretrained(backbone, tmp_path / "w", results=[result])
    assert read_info(tmp_path / "w").results[0].value == 0.951
    assert "| MSD Task09 Spleen | image-segmentation | dice | 0.951 |" in (tmp_path / "w" / "README.md").read_text()
    with pytest.raises(ConfigError, match="missing key 'results.value'"):
        umzoo.save_pretrained(backbone, tmp_path / "w", results=[{"dataset": "d", "metric": "dice"}])


def test_a_base_on_this_machine_is_named_without_its_path(folder, tmp_path):
    loaded = umzoo.from_pretrained(folder, in_channels=2)
    info = umzoo.save_pretrained(loaded, tmp_path / "fine")
    assert (info.base_model.name, info.base_model.repository) == ("genesis_unet.custom", "")
    assert str(tmp_path) not in (tmp_path / "fine" / "config.json").read_text()


def test_only_networks_are_saved(tmp_path):
    with pytest.raises(WeightsError, match="got Linear"):
        umzoo.save_pretrained(nn.Linear(1, 1), tmp_path / "no")


ANSWER = {
    "task": "segmentation",
    "classes": ("background", "liver", "tumor"),
    "labels": {"background": 0, "liver": 1, "tumor": 7},
    "metrics": {"dice": 0.875},
}


@pytest.fixture
def tuned(pretrained, tmp_path):
    """A folder with a head, trained from *pretrained*, and the model it was written from."""
    model = umzoo.from_pretrained(pretrained, head={"name": "segmentation", "classes": 3})
    with torch.no_grad():
        next(model.parameters()).add_(1)
    umzoo.save_pretrained(model, tmp_path / "tuned", tag="tuned", answer=ANSWER, provenance={"volumes": 3})
    return tmp_path / "tuned", model


def test_a_head_comes_back_as_it_went(tuned, pretrained):
    folder, model = tuned
    loaded = umzoo.from_pretrained(folder)
    image = Rng(0).uniform((1, 1, 16, 16, 16))
    assert isinstance(loaded, Model) and not loaded.training
    assert torch.equal(loaded(image), model(image))
    assert loaded.answer.labels["tumor"] == 7 and loaded.weights_info.answer == loaded.answer
    info = read_info(folder)
    assert info.files.keys() == {"model.safetensors", "head.safetensors"}
    assert (info.base_model.repository, info.license, info.citations) == ("lab/base--v1", "mit", ("Us",))
    assert (info.provenance.volumes, info.task) == (3, "segmentation")


def test_which_head_is_loaded_can_be_chosen(tuned, folder):
    assert isinstance(umzoo.from_pretrained(tuned[0], head=False), umzoo.Backbone)
    fresh = umzoo.from_pretrained(tuned[0], head={"name": "classification", "classes": 5})
    assert fresh(torch.rand(2, 1, 16, 16, 16)).shape == (2, 5) and fresh.answer is None
    assert umzoo.from_pretrained(tuned[0], head=True, in_channels=2).info.in_channels == 2
    with pytest.raises(WeightsError, match="has no head"):
        umzoo.from_pretrained(folder, head=True)
    with pytest.raises(ConfigError, match="'head': expected a name or a table.*got Linear"):
        umzoo.from_pretrained(folder, head=nn.Linear(1, 1))


def test_a_head_that_is_trained_on_loses_its_metrics_only(tuned, tmp_path):
    loaded = umzoo.from_pretrained(tuned[0])
    same = umzoo.save_pretrained(loaded, tmp_path / "same")
    assert same.answer.metrics == {"dice": 0.875} and same.provenance.volumes == 3
    with torch.no_grad():
        loaded.head.layer.weight.add_(1)
    info = umzoo.save_pretrained(nn.DataParallel(loaded), tmp_path / "on")
    assert info.answer.metrics == {} and info.answer.labels == ANSWER["labels"]
    assert info.base_model.name == "genesis_unet.tuned" and info.provenance.volumes == 0
    alone = umzoo.save_pretrained(loaded.backbone, tmp_path / "alone")
    assert (alone.head, alone.answer) == (None, None)
    assert isinstance(umzoo.from_pretrained(tmp_path / "alone"), umzoo.Backbone)


def test_an_answer_fits_its_head(folder, tmp_path):
    model = umzoo.from_pretrained(folder, head={"name": "classification", "classes": 2})
    with pytest.raises(WeightsError, match="names 3 classes, but the network has 2"):
        umzoo.save_pretrained(model, tmp_path / "no", answer={"task": "multilabel", "classes": ["a", "b", "c"]})
    with pytest.raises(ConfigError, match="answer.task"):
        umzoo.save_pretrained(model, tmp_path / "no", answer={"task": "guessing"})
    with pytest.raises(WeightsError, match="an answer describes the output of a head"):
        umzoo.save_pretrained(model.backbone, tmp_path / "no", answer=ANSWER)


def test_what_is_not_used_is_not_warned_of(backbone, tmp_path, caplog):
    state = {name: value for name, value in canonical_state(backbone).items() if name.startswith("encoder.")}
    save_folder(tmp_path / "w", state, describe(backbone, parts=("encoder",)))
    umzoo.from_pretrained(tmp_path / "w", head="classification")
    assert "random" not in caplog.text
    umzoo.from_pretrained(tmp_path / "w", head="segmentation")
    assert "the rest of the network is random" in caplog.text


def test_arrays_are_refused_in_one_line(backbone):
    with pytest.raises(ConfigError, match="expects a tensor, got ndarray: convert arrays with torch.from_numpy"):
        backbone(torch.zeros(1, 1, 16, 16, 16).numpy())


def test_backbones_take_weights_with_a_head(tuned):
    target = umzoo.create_model("genesis_unet", width=1)
    assert umzoo.transfer(tuned[0], target).coverage == 1
    assert umzoo.transfer(tuned[1], target).coverage == 1


def test_transfer_from_a_folder(backbone, folder):
    target = umzoo.create_model("genesis_unet", width=1)
    assert umzoo.transfer(folder, target).coverage == 1
    assert all(torch.equal(a, b) for a, b in zip(target.parameters(), backbone.parameters(), strict=True))
