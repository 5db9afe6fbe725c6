"""What licenses restrict, by name, and what that means for weights that are trained from others."""

import logging

import pytest
import torch

import umzoo
from umzoo.errors import WeightsError
from umzoo.testing import TinyBackbone
from umzoo.weights.folder.info import BaseModel, WeightsInfo
from umzoo.weights.folder.licenses import (
    HUB_LICENSES,
    allows_commerce,
    hub_license,
    license_class,
    require_inherited,
    require_license,
    say_terms,
)
from umzoo.weights.folder.reader import read_info
from umzoo.weights.folder.writer import save_folder

GENESIS = "https://github.com/MrGiovanni/ModelsGenesis/blob/master/LICENSE"


@pytest.mark.parametrize(
    ("license", "expected"),
    [
        ("Apache-2.0", "commercial"),
        ("MIT OR GPL-3.0-or-later", "commercial"),
        ("MIT AND CC-BY-NC-4.0", "non-commercial"),
        ("cc-by-4.0", "commercial"),
        ("CC-BY-3.0-IGO", "commercial"),
        ("CC-BY-SA-4.0", "share-alike"),
        ("GPL-3.0-only", "share-alike"),
        ("ODbL-1.0", "share-alike"),
        ("CC-BY-NC-4.0", "non-commercial"),
        ("CC-BY-NC-SA-3.0", "non-commercial"),
        ("CC-BY-ND-4.0", "no-derivatives"),
        ("cc-by-nc-nd-4.0", "no-derivatives"),
        ("unknown", "unknown"),
        ("openrail", "unknown"),
        ("other", "unknown"),
        ("", "unknown"),
    ],
)
def test_classes(license, expected):
    assert license_class(license) == expected
    assert allows_commerce(license) == (expected in ("commercial", "share-alike") or license == "CC-BY-ND-4.0")


def test_other_goes_by_its_link():
    assert license_class("other", GENESIS) == "non-commercial"
    assert license_class("other", "https://example.org/terms") == "unknown"


def test_the_hubs_names():
    assert {"cc-by-nc-sa-4.0", "odbl", "mit", "openrail++"} <= HUB_LICENSES and "other" not in HUB_LICENSES
    assert hub_license("ODbL-1.0") == "odbl" and hub_license("GPL-3.0-only") == "gpl-3.0"
    assert hub_license("0BSD") == "other"


@pytest.mark.parametrize("license", ["cc-by-4.0", "MIT OR Apache-2.0", "0BSD", "unknown", "odbl", "LicenseRef-lab"])
def test_licenses(license):
    require_license(license)


@pytest.mark.parametrize(
    ("license", "says"), [("foo", "is not a known license"), ("cc-by-4", "did you mean"), ("other", "link")]
)
def test_what_is_no_license(license, says):
    with pytest.raises(WeightsError, match=says):
        require_license(license)


@pytest.mark.parametrize(
    ("license", "base", "allowed"),
    [
        ("MIT", "Apache-2.0", True),
        ("MIT", "unknown", True),
        ("cc-by-nc-4.0", "cc-by-4.0", True),
        ("MIT", "cc-by-nc-4.0", False),
        ("unknown", "cc-by-nc-4.0", False),
        ("CC-BY-NC-3.0", "cc-by-nc-4.0", True),
        ("cc-by-nc-sa-4.0", "cc-by-nc-4.0", True),
        ("cc-by-4.0", "cc-by-sa-4.0", False),
        ("gpl-3.0", "cc-by-sa-4.0", False),
        ("CC-BY-SA-4.0", "cc-by-sa-4.0", True),
        ("GPL-3.0-or-later", "gpl-3.0", True),
        ("cc-by-nc-sa-4.0", "cc-by-sa-4.0", False),
        ("cc-by-4.0", "cc-by-nd-4.0", False),
    ],
)
def test_what_derives_inherits(license, base, allowed):
    if allowed:
        require_inherited(license, "", base, "", "theirs")
        return
    with pytest.raises(WeightsError, match=f"has license {base}"):
        require_inherited(license, "", base, "", "theirs")


def test_a_folder_of_derived_weights_keeps_what_its_base_asks(tmp_path):
    backbone = TinyBackbone()
    base = BaseModel(name="tiny.theirs", license="cc-by-nc-4.0")
    state = {name: value.detach() for name, value in backbone.named_parameters()}
    info = WeightsInfo(name="tiny.mine", backbone=backbone.spec, input=umzoo.InputSpec(), base_model=base)
    with pytest.raises(WeightsError, match=r"tiny.theirs has license cc-by-nc-4.0"):
        save_folder(tmp_path / "w", state, info.model_copy(update={"license": "mit"}))
    assert not (tmp_path / "w").exists()
    save_folder(tmp_path / "w", state, info.model_copy(update={"license": "cc-by-nc-4.0"}))


def trained(network):
    with torch.no_grad():
        next(network.parameters()).add_(1)
    return network


def test_saving_what_was_loaded_and_trained(tmp_path):
    umzoo.save_pretrained(umzoo.create_model("genesis_unet", width=2), tmp_path / "a", license="cc-by-nc-sa-4.0")
    network = trained(umzoo.from_pretrained(tmp_path / "a"))
    with pytest.raises(WeightsError, match="share-alike"):
        umzoo.save_pretrained(network, tmp_path / "b", license="cc-by-nc-4.0")
    umzoo.save_pretrained(network, tmp_path / "b")
    assert read_info(tmp_path / "b").license == "cc-by-nc-sa-4.0"
    assert read_info(tmp_path / "b").base_model.license == "cc-by-nc-sa-4.0"
    with pytest.raises(WeightsError, match="is not a known license"):
        umzoo.save_pretrained(umzoo.create_model("genesis_unet", width=2), tmp_path / "c", license="foo")


def test_what_weights_are_transferred_into_inherits(tmp_path):
    networks = {}
    for license in ("mit", "cc-by-sa-4.0"):
        umzoo.save_pretrained(umzoo.create_model("genesis_unet", width=1), tmp_path / license, license=license)
        networks[license] = umzoo.create_model("genesis_unet", width=1, in_channels=2)
        umzoo.transfer(tmp_path / license, networks[license])
    info = umzoo.save_pretrained(networks["cc-by-sa-4.0"], tmp_path / "kept")
    assert (info.license, info.base_model.license) == ("cc-by-sa-4.0", "cc-by-sa-4.0")
    assert info.base_model.sha256 == read_info(tmp_path / "cc-by-sa-4.0").files["model.safetensors"]
    umzoo.transfer(tmp_path / "mit", networks["cc-by-sa-4.0"])
    for network in (networks["cc-by-sa-4.0"], trained(networks["cc-by-sa-4.0"])):
        with pytest.raises(WeightsError, match="share-alike"):
            umzoo.save_pretrained(network, tmp_path / "freed", license="mit")
    umzoo.transfer(networks["cc-by-sa-4.0"], networks["mit"])
    with pytest.raises(WeightsError, match="share-alike"):
        umzoo.save_pretrained(networks["mit"], tmp_path / "freed", license="mit")


def test_a_first_load_of_restricted_weights_says_so_once(tmp_path, caplog):
    say_terms.cache_clear()
    umzoo.save_pretrained(umzoo.create_model("genesis_unet", width=2), tmp_path / "a", license="cc-by-nc-sa-4.0")
    umzoo.save_pretrained(umzoo.create_model("genesis_unet", width=2), tmp_path / "b", license="cc-by-4.0")
    caplog.set_level(logging.WARNING)
    for folder in ("a", "a", "b"):
        umzoo.from_pretrained(tmp_path / folder)
    (line,) = [record.getMessage() for record in caplog.records if "license" in record.getMessage()]
    assert "cc-by-nc-sa-4.0, no commercial use; weights trained from them must keep this license" in line
