"""Trained heads are read as strictly as backbones."""

import pytest
import torch

import umzoo
from umzoo.errors import WeightsError
from umzoo.weights.folder.reader import MODEL, read_info
from umzoo.weights.networks.model import load_network

from ..conftest import edit_config


@pytest.fixture
def headed(tmp_path):
    """A folder with a classification head."""
    model = umzoo.create_model("genesis_unet", width=1)
    umzoo.save_pretrained(model, tmp_path / "plain")
    model = load_network(tmp_path / "plain", {"name": "classification", "classes": 2})
    answer = {"task": "classification", "classes": ["benign", "malignant"]}
    umzoo.save_pretrained(model, tmp_path / "w", answer=answer)
    return tmp_path / "w"


def set_head(folder, **options):
    edit_config(folder, lambda config: config["head"].update(options))


def test_random_state_stays(headed):
    before = torch.random.get_rng_state()
    load_network(headed)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("classes", [3, 10**12])
def test_a_head_of_another_size_is_refused_before_it_is_built(headed, classes):
    set_head(headed, classes=classes)
    with pytest.raises(WeightsError, match="fit the network|cannot be built"):
        load_network(headed)
    assert load_network(headed, head=False).name == "genesis_unet"


@pytest.mark.parametrize("options", [{"name": "oracle"}, {"depth": 3}])
def test_unknown_heads_and_options_are_named(headed, options):
    set_head(headed, **options)
    edit_config(headed, lambda config: config.update(head_plugin="umzoo-oracle"))
    with pytest.raises(WeightsError, match="the head of genesis_unet.custom cannot be built.*plug-in 'umzoo-oracle'"):
        load_network(headed)


def test_damaged_missing_and_unrecorded_heads_are_refused(headed):
    file = headed / "head.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(WeightsError, match="checksum mismatch"):
        load_network(headed)
    edit_config(headed, lambda config: config["files"].pop("head.safetensors"))
    with pytest.raises(WeightsError, match=r"has no sha256 for head\.safetensors"):
        load_network(headed)
    file.unlink()
    with pytest.raises(WeightsError, match=r"has no head\.safetensors"):
        load_network(headed)


def test_names_must_be_as_many_as_logits(headed):
    edit_config(headed, lambda config: config["answer"].update(classes=["benign"]))
    with pytest.raises(WeightsError, match="names 1 classes, but the network has 2"):
        load_network(headed)


def test_the_contract_of_the_backbone_file_stays(headed, tmp_path):
    assert read_info(headed).files[MODEL] == read_info(tmp_path / "plain").files[MODEL]
