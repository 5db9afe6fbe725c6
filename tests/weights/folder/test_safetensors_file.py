"""Reading tensors from strangers: every defect is one clear error, and nothing is allocated that is not there."""

import json
import os
import struct

import pytest
import torch
from safetensors.torch import load_file, save, save_file

from umzoo.backbones.unet import GenesisUNet
from umzoo.errors import WeightsError
from umzoo.fields import Rng
from umzoo.weights.folder.reader import checked_file, read_info, read_shapes
from umzoo.weights.folder.safetensors_file import TensorFile, is_finite
from umzoo.weights.folder.safetensors_header import MAX_HEADER
from umzoo.weights.folder.tensors import load_state
from umzoo.weights.folder.writer import save_folder
from umzoo.weights.networks.backbone import load_backbone

from ..conftest import edit_config, join_model, replace_model, split_model

FIRST = "encoder.down_tr64.ops.0.conv1.weight"
DTYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16,
    torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool,
]  # fmt: skip


def refused(folder, match):
    with pytest.raises(WeightsError, match=match) as caught:
        load_backbone(folder)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600


def respell(folder, change):
    """Apply *change* to the header's content; it may return another one, or text."""
    header, data = split_model(folder)
    replace_model(folder, join_model(change(header) or header, data))


def test_what_the_library_writes_is_read_alike(tmp_path):
    state = {f"t{number}": Rng(number).normal((3, number, 2)).to(dtype) for number, dtype in enumerate(DTYPES)}
    state["scalar"] = torch.tensor(5)
    save_file(state, tmp_path / "a.safetensors")
    with TensorFile(tmp_path / "a.safetensors") as file:
        shapes, found = file.shapes, dict(file)
    theirs = load_file(tmp_path / "a.safetensors")
    assert found.keys() == theirs.keys() == shapes.keys()
    for name, value in theirs.items():
        assert torch.equal(found[name], value) and found[name].dtype == value.dtype and shapes[name] == value.shape


def test_an_empty_file_of_tensors(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(save({}))
    with TensorFile(tmp_path / "a.safetensors") as file:
        assert dict(file) == {} == file.shapes


@pytest.mark.parametrize("length", [0, 1, 7, 8, 9, 200, -100, -1])
def test_cut_off_files(folder, length):
    content = (folder / "model.safetensors").read_bytes()
    replace_model(folder, content[:length])
    refused(folder, "cannot be read as safetensors: .*download or export it again")


def test_a_file_that_shrinks_while_it_is_read(folder):
    content = (folder / "model.safetensors").read_bytes()
    with TensorFile(folder / "model.safetensors") as file, pytest.raises(WeightsError, match="truncated within"):
        (folder / "model.safetensors").write_bytes(content[:-100])
        dict(file)


def test_more_than_tensors(folder):
    content = (folder / "model.safetensors").read_bytes()
    replace_model(folder, content + b"#!/bin/sh")
    refused(folder, "truncated or contains extra data")


@pytest.mark.parametrize("length", [2**63, MAX_HEADER + 1, 10**6])
def test_headers_that_claim_too_much(folder, length):
    content = struct.pack("<Q", length) + (folder / "model.safetensors").read_bytes()[8:]
    replace_model(folder, content)
    refused(folder, "the file is truncated")


def test_a_header_that_is_too_long(folder):
    respell(folder, lambda header: json.dumps(header).encode() + b" " * MAX_HEADER)
    refused(folder, rf"the maximum is {MAX_HEADER}")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda entry: entry.update(dtype="F8_E4M3"), "dtype 'F8_E4M3', expected one of F64"),
        (lambda entry: entry.update(dtype=["F32"]), "dtype"),
        (lambda entry: entry.update(dtype="F64"), "does not match its size"),
        (lambda entry: entry.update(shape=[10**6] * 5), "does not match its size"),
        (lambda entry: entry.update(shape=[-1, -27]), "shape"),
        (lambda entry: entry.update(shape=[1.0]), "shape"),
        (lambda entry: entry.update(shape=[1] * 60), "at most 8"),
        (lambda entry: entry.update(data_offsets=[0]), "two non-negative integers"),
        (lambda entry: entry.update(data_offsets=[0, 10**18]), "does not match its size"),
        (lambda entry: entry.update(data_offsets=[at + 8 for at in entry["data_offsets"]]), "overlap|gap"),
        (lambda entry: entry.update(more=1), "exactly the keys"),
        (lambda entry: entry.clear(), "exactly the keys"),
    ],
)  # fmt: skip
def test_entries_that_cannot_be(folder, change, match):
    respell(folder, lambda header: change(header[FIRST]))
    refused(folder, match)


def test_gaps_and_overlaps(folder):
    header, data = split_model(folder)
    last = max((name for name in header if name != "__metadata__"), key=lambda name: header[name]["data_offsets"])
    start, stop = header[last]["data_offsets"]
    replace_model(folder, join_model({**header, last: {**header[last], "data_offsets": [start + 8, stop + 8]}}, data))
    refused(folder, "leaves a gap")
    replace_model(folder, join_model({**header, last: {**header[last], "data_offsets": [start - 8, stop - 8]}}, data))
    refused(folder, "overlaps")


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{", b"\xff{}", b"[" * 10**5, b'{"a":' * 40 + b"1" + b"}" * 40, b'{"a": NaN}']
)
def test_headers_that_are_no_json_object(folder, text):
    replace_model(folder, join_model(text, b""))
    refused(folder, "cannot be read as safetensors")


def test_a_tensor_that_stands_twice_in_the_header(folder):
    def twice(header):
        return json.dumps(header).encode()[:-1] + f", {json.dumps(FIRST)}: {json.dumps(header[FIRST])}}}".encode()

    respell(folder, twice)
    refused(folder, f"duplicate key '{FIRST}'")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_values_that_are_not_finite(folder, value, dtype):
    state = {name: it.to(dtype) if it.is_floating_point() else it for name, it in load_state(folder).items()}
    state[FIRST].view(-1)[3] = value
    replace_model(folder, save(state))
    refused(folder, f"NaN or infinity in {FIRST}")
    with pytest.raises(WeightsError, match=f"{FIRST} contains NaN or infinity"):
        save_folder(folder, state, read_info(folder))


def test_sums_that_overflow_are_still_finite():
    assert is_finite(torch.full((4,), 3e38)) and is_finite(torch.full((9,), 6e4, dtype=torch.float16))
    assert not is_finite(torch.tensor([float("inf"), -float("inf")]))


def test_types_that_do_not_fit(folder):
    state = load_state(folder)
    replace_model(folder, save({**state, FIRST: state[FIRST].to(torch.int64)}))
    refused(folder, f"{FIRST} has dtype torch.int64, but the network expects torch.float32")
    replace_model(folder, save({**state, FIRST: state[FIRST].double() + 1e300}))
    refused(folder, "too large for torch.float32")


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_precisions_are_converted(folder, dtype):
    state = {name: it.to(dtype) if it.is_floating_point() else it for name, it in load_state(folder).items()}
    replace_model(folder, save(state))
    loaded = load_backbone(folder)
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}
    assert torch.equal(loaded.state_dict()[FIRST], state[FIRST].float())


def test_nothing_is_allocated_that_the_file_does_not_hold(folder, monkeypatch):
    taken = []
    empty = torch.empty
    monkeypatch.setattr(torch, "empty", lambda *of, **how: taken.append(empty(*of, **how)) or taken[-1])
    with TensorFile(folder / "model.safetensors") as file:
        dict(file)
    assert sum(tensor.nbytes for tensor in taken) < (folder / "model.safetensors").stat().st_size


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_links_out_of_the_folder(folder, tmp_path, name):
    outside = tmp_path / "elsewhere"
    (folder / name).rename(outside)
    (folder / name).symlink_to(outside)
    refused(folder, "is a link out of its folder")
    with pytest.raises(WeightsError, match="link"):
        checked_file(folder, name)


def test_links_within_the_folder_and_to_it(folder, tmp_path):
    (folder / "model.safetensors").rename(folder / "data.bin")
    (folder / "model.safetensors").symlink_to("data.bin")
    (tmp_path / "alias").symlink_to(folder, target_is_directory=True)
    assert load_backbone(folder) and load_backbone(tmp_path / "alias")


def test_links_into_the_cache_of_the_hub(folder, tmp_path):
    snapshot = tmp_path / "hub" / "models--org--name" / "snapshots" / ("0" * 40)
    snapshot.parent.mkdir(parents=True)
    folder.rename(snapshot)
    for store in (tmp_path / "hub" / "models--org--name" / "blobs", tmp_path / "hub" / "blobs"):
        store.mkdir()
        file = (snapshot / "model.safetensors").resolve()
        (snapshot / "model.safetensors").unlink() if (snapshot / "model.safetensors").is_symlink() else None
        file.rename(store / "blob")
        (snapshot / "model.safetensors").symlink_to(store / "blob")
        assert load_backbone(snapshot)
    (tmp_path / "secret").write_text("x")
    (snapshot / "model.safetensors").unlink()
    (snapshot / "model.safetensors").symlink_to(tmp_path / "secret")
    refused(snapshot, "link out of its folder")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_no_file(folder):
    (folder / "model.safetensors").unlink()
    os.mkfifo(folder / "model.safetensors")
    refused(folder, "has no model.safetensors")


def test_a_loop_of_links(folder):
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to("model.safetensors")
    refused(folder, "model.safetensors")


@pytest.mark.parametrize("name", ["../model.safetensors", "/etc/passwd", "a/b", "a\\b", "", "a\x00b", ".."])
def test_names_of_files_that_lead_elsewhere(folder, name):
    edit_config(folder, lambda config: config["files"].update({name: "0" * 64}))
    refused(folder, "files")


def test_a_key_that_stands_twice_in_the_config(folder):
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.rstrip()[:-1] + ', "name": "genesis_unet.other"}')
    refused(folder, "duplicate key 'name'")


@pytest.mark.parametrize(
    "text", [b"\xff", b"null", b"[1]", b"[" * 10**6, b'{"format": 1e999}', b'{"format": true}', b" " * 5_000_000]
)
def test_configs_that_are_none(folder, text):
    (folder / "config.json").write_bytes(text)
    refused(folder, "config.json")


@pytest.mark.parametrize(
    "value", ["os.system", "umzoo.backbones.unet.GenesisUNet", "umzoo.backbones.unet:GenesisUNet", "__import__('os')"]
)
def test_a_config_names_no_code(folder, value):
    edit_config(folder, lambda config: config["backbone"].update(name=value))
    refused(folder, "unknown backbone")
    edit_config(folder, lambda config: config["backbone"].update(name="genesis_unet", _target_=value))
    refused(folder, "unknown key.*_target_")


def test_the_smallest_network_loads(folder):
    assert isinstance(load_backbone(folder), GenesisUNet) and read_shapes(folder)[FIRST] == (1, 1, 3, 3, 3)
