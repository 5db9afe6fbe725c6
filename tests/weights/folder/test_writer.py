"""The weights folder: written whole, read strictly."""

import json

import pytest
import torch

from umzoo.backbones.state import canonical_state
from umzoo.backbones.unet import GenesisUNet
from umzoo.errors import WeightsError
from umzoo.spec import InputSpec
from umzoo.weights.folder.info import FORMAT, Provenance, WeightsInfo
from umzoo.weights.folder.reader import read_info, read_shapes
from umzoo.weights.folder.tensors import load_state
from umzoo.weights.folder.writer import save_folder
from umzoo.weights.networks.backbone import load_backbone
from umzoo.weights.networks.construction import build_backbone


def tiny():
    return GenesisUNet(GenesisUNet.Config(width=1))


def describe(backbone, **changes):
    fields = {"name": f"{backbone.name}.test", "backbone": backbone.spec, "input": InputSpec(space="unit"), **changes}
    return WeightsInfo(**fields)


@pytest.fixture
def folder(tmp_path):
    backbone = tiny()
    save_folder(tmp_path / "w", canonical_state(backbone), describe(backbone), {"restoration.head.bias": torch.ones(1)})
    return tmp_path / "w"


def edit(folder, **changes):
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(content | changes))


def test_round_trip(folder):
    assert {file.name for file in folder.iterdir()} == {
        "model.safetensors", "pretext.safetensors", "config.json", "README.md"
    }  # fmt: skip
    backbone = load_backbone(folder)
    assert not backbone.training
    assert backbone.weights_info.name == "genesis_unet.test"
    state = load_state(folder)
    assert all(torch.equal(value, state[name]) for name, value in canonical_state(backbone).items())
    assert torch.equal(load_state(folder, "pretext.safetensors")["restoration.head.bias"], torch.ones(1))
    assert read_shapes(folder) == {name: tuple(value.shape) for name, value in state.items()}
    assert not [file for file in folder.parent.iterdir() if file != folder], "nothing temporary is left"


def test_a_weights_folder_is_replaced_and_nothing_else(folder, tmp_path):
    backbone = tiny()
    save_folder(folder, canonical_state(backbone), describe(backbone, license="mit"))
    assert read_info(folder).license == "mit"
    assert not (folder / "pretext.safetensors").exists()
    other = tmp_path / "other"
    other.mkdir()
    save_folder(other, canonical_state(backbone), describe(backbone))
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    (stranger / "thesis.tex").write_text("precious")
    for place in (stranger, stranger / "thesis.tex"):
        with pytest.raises(WeightsError, match="choose another folder"):
            save_folder(place, canonical_state(backbone), describe(backbone))
    assert (stranger / "thesis.tex").read_text() == "precious"


def test_a_failed_write_leaves_the_old_folder(folder, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    before = read_info(folder)
    monkeypatch.setattr("umzoo.weights.folder.writer.save_file", full)
    with pytest.raises(WeightsError, match="No space left"):
        save_folder(folder, canonical_state(tiny()), describe(tiny()))
    assert read_info(folder) == before
    assert load_backbone(folder)
    assert [file.name for file in folder.parent.iterdir()] == ["w"]


@pytest.mark.parametrize("value", ["/home/someone/store", "~/store", r"C:\store", "file:///store"])
def test_local_paths_never_leave(tmp_path, value):
    info = describe(tiny(), provenance=Provenance(datasets={value: 3}))
    with pytest.raises(WeightsError, match="local path"):
        save_folder(tmp_path / "w", {}, info)
    assert not (tmp_path / "w").exists()


@pytest.mark.parametrize("state", [{}, {"stem.weight": torch.ones(1)}])
def test_weights_that_hold_nothing_or_break_the_contract_are_not_written(tmp_path, state):
    with pytest.raises(WeightsError, match="'encoder' and 'decoder'"):
        save_folder(tmp_path / "w", state, describe(tiny()))
    assert not (tmp_path / "w").exists()


def test_not_a_weights_folder(tmp_path):
    with pytest.raises(WeightsError, match="not a weights folder"):
        read_info(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(WeightsError, match="no format number"):
        read_info(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(WeightsError, match="corrupted"):
        read_info(tmp_path)


def test_a_newer_format_is_refused_and_newer_fields_are_kept(folder):
    edit(folder, color="blue")
    assert read_info(folder).model_extra == {"color": "blue"}
    assert load_backbone(folder)
    edit(folder, format=FORMAT + 1)
    with pytest.raises(WeightsError, match=f"format {FORMAT + 1}.*up to {FORMAT}.*update"):
        read_info(folder)


def test_wrong_content_names_the_key(folder):
    edit(folder, license=3)
    with pytest.raises(WeightsError, match="license"):
        read_info(folder)


def test_missing_and_altered_files(folder):
    file = folder / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(WeightsError, match=r"checksum mismatch for .*model.safetensors: expected sha256"):
        load_backbone(folder)
    file.write_bytes(content[:100])
    with pytest.raises(WeightsError, match="model.safetensors"):
        load_backbone(folder)
    file.unlink()
    with pytest.raises(WeightsError, match="model.safetensors"):
        load_backbone(folder)
    edit(folder, files={})
    file.write_bytes(content)
    with pytest.raises(WeightsError, match="has no sha256 for"):
        load_state(folder)


def test_missing_extra_and_misshapen_tensors(tmp_path):
    backbone = tiny()
    state = dict(canonical_state(backbone))
    state["decoder.more"] = state.pop("encoder.down_tr64.ops.0.conv1.bias")
    state["encoder.down_tr64.ops.0.conv1.weight"] = torch.zeros(7)
    save_folder(tmp_path / "w", state, describe(backbone))
    with pytest.raises(WeightsError) as caught:
        load_backbone(tmp_path / "w")
    for part in ("1 missing: encoder.down_tr64.ops.0.conv1.bias", "1 extra: decoder.more", "got (7,)"):
        assert part in str(caught.value)


def test_unknown_architecture_names_the_plugin(folder):
    edit(folder, backbone={"name": "mednext_q"}, plugin="umzoo-mednext")
    with pytest.raises(WeightsError, match=r"unknown backbone 'mednext_q'.*install the plug-in 'umzoo-mednext'"):
        load_backbone(folder)


def test_an_option_this_version_lacks_is_named(folder):
    edit(folder, backbone={"name": "genesis_unet", "depth": 5})
    with pytest.raises(WeightsError, match="depth"):
        load_backbone(folder)


def test_primus_gets_the_shape_it_was_trained_for():
    spec = {"name": "primus_s", "embed_dim": 36, "heads": 3, "depth": 1}
    info = WeightsInfo(name="primus_s.t", backbone=spec, input=InputSpec(patch_size=(16, 16, 32)))
    assert build_backbone(info).config.input_shape == (16, 16, 32)
