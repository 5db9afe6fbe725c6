"""Malformed weights folders and references: an UmzooError or a right answer, and no memory for what is not there.

``UMZOO_FUZZ=3000 pytest tests/weights/test_fuzz.py`` draws 3000 examples of each property, at random; without it a few
dozen are drawn, the same ones each time.
"""

import copy
import json
import os
import resource
import shutil
import struct
from hashlib import sha256

import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from umzoo.backbones.unet import GenesisUNet
from umzoo.errors import UmzooError, WeightsError
from umzoo.hub.pulling.references import resolve
from umzoo.plugins import zoo
from umzoo.weights.card.model_card import merge_card, model_card
from umzoo.weights.folder.info import WeightsInfo
from umzoo.weights.folder.reader import read_info
from umzoo.weights.folder.safetensors_file import TensorFile
from umzoo.weights.folder.strict_json import strict_json
from umzoo.weights.networks.backbone import load_backbone

from .conftest import write_folder

LONG = int(os.environ.get("UMZOO_FUZZ", "0"))
GROWTH_MIB = 500
"""Room for libraries that some architectures import; far less than what most of the sizes drawn here would take."""


def examples(quick):
    return settings(
        max_examples=LONG or quick,
        derandomize=not LONG,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
    )


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = write_folder(tmp_path_factory.mktemp("fuzz") / "original", GenesisUNet(GenesisUNet.Config(width=1)))
    load_backbone(folder)
    return folder


@pytest.fixture
def folder(original, tmp_path):
    """A copy to spoil; each example writes what it needs anew."""
    return shutil.copytree(original, tmp_path / "w")


@pytest.fixture(autouse=True)
def no_memory_is_taken(original):
    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    before = peak()
    yield
    assert peak() - before < GROWTH_MIB


numbers = st.one_of(
    st.integers(-3, 70), st.integers(), st.sampled_from([2**31, 2**63, 10**6, 10**9, 10**30]), st.floats(),
    st.booleans(),
)  # fmt: skip
texts = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["../../etc/passwd", "/etc/passwd", "os.system", "\x00", "\ud800", "umzoo.api:load", "a" * 5000]),
)  # fmt: skip
values = st.recursive(
    st.one_of(st.none(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=8), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=12,
)


def places(value, at=()):
    """Every place in a JSON document."""
    yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*at, key))


@st.composite
def edited(draw, document, most=4):
    """*document* with values replaced, removed or added at random places."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, most))):
        at = draw(st.sampled_from([place for place in places(document) if place] or [("x",)]))
        parent = document
        for key in at[:-1]:
            parent = parent[key]
        action = draw(st.sampled_from(["replace", "replace", "remove", "add"]))
        if action == "remove" and isinstance(parent, dict):
            parent.pop(at[-1], None)
        elif action == "add" and isinstance(parent, dict):
            parent[draw(texts)] = draw(values)
        else:
            parent[at[-1]] = draw(values)
    return document


@st.composite
def networks(draw):
    """A backbone that exists, with options that exist and values that may not."""
    name = draw(st.sampled_from(zoo().backbones.list()))
    options = list(zoo().backbones[name].Config.model_fields)
    sizes = st.one_of(numbers, st.lists(st.one_of(numbers, st.lists(numbers, max_size=3)), max_size=8), values)
    return {"name": name, **draw(st.dictionaries(st.sampled_from(options), sizes, max_size=3))}


def write_json(file, content):
    """JSON as Python writes it, also where no other program would."""
    file.write_bytes(json.dumps(content).encode("utf-8", "surrogatepass"))


def either(use, *arguments):
    """The answer of *use*, or None if it refuses in one line."""
    try:
        return use(*arguments)
    except UmzooError as error:
        assert len(str(error).splitlines()) == 1 or use is resolve, "a reference is quoted as it was given"
        assert len(str(error)) < 2000
        return None


@examples(60)
@given(data=st.data())
def test_configs_with_other_values(original, folder, data):
    config = data.draw(edited(json.loads((original / "config.json").read_text())))
    write_json(folder / "config.json", config)
    info = either(read_info, folder)
    if info is not None:
        card = model_card(info)
        assert merge_card(card, card) == card
    loaded = either(load_backbone, folder)
    assert loaded is None or not any(tensor.is_meta for tensor in loaded.state_dict().values())


@examples(80)
@given(network=networks(), patch=st.one_of(st.none(), st.lists(numbers, min_size=3, max_size=3)), parts=st.booleans())
def test_networks_of_any_size(original, folder, network, patch, parts):
    config = json.loads((original / "config.json").read_text())
    config |= {"backbone": network, "input": config["input"] | {"patch_size": patch}}
    write_json(folder / "config.json", config | ({"parts": ["encoder"]} if parts else {}))
    loaded = either(load_backbone, folder)
    assert loaded is None or loaded.name == "genesis_unet"


@examples(150)
@given(data=st.data())
def test_configs_that_are_only_bytes(original, folder, data):
    text = data.draw(st.one_of(st.binary(max_size=300), spoiled((original / "config.json").read_bytes())))
    (folder / "config.json").write_bytes(text)
    either(read_info, folder)


@st.composite
def spoiled(draw, content):
    """*content* with bytes flipped, cut out, doubled, or its end lost."""
    content = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        at, length = draw(st.integers(0, max(len(content) - 1, 0))), draw(st.integers(1, 40))
        action = draw(st.sampled_from(["flip", "cut", "double", "insert", "end"]))
        if action == "flip" and content:
            content[at] ^= draw(st.integers(1, 255))
        elif action == "cut":
            del content[at : at + length]
        elif action == "double":
            content[at:at] = content[at : at + length]
        elif action == "insert":
            content[at:at] = draw(st.binary(min_size=1, max_size=20))
        else:
            del content[at:]
    return bytes(content)


SMALL = safetensors.torch.save(
    {
        "a": torch.arange(6.0).reshape(2, 3),
        "b.weight": torch.ones(3, dtype=torch.float16),
        "c": torch.tensor(7),
        "d": torch.zeros(0, 4, dtype=torch.bfloat16),
    },
    metadata={"format": "pt"},
)


def headers():
    """Headers like that of ``SMALL``, with other values."""
    length = struct.unpack("<Q", SMALL[:8])[0]
    return edited(json.loads(SMALL[8 : 8 + length])), SMALL[8 + length :]


@st.composite
def files(draw):
    """Safetensors files: spoiled byte by byte, or with another header."""
    if draw(st.booleans()):
        return draw(spoiled(SMALL))
    change, data = headers()
    text = json.dumps(draw(change)).encode("utf-8", "surrogatepass")
    length = draw(st.one_of(st.just(len(text)), st.integers(0, 2**64 - 1)))
    return struct.pack("<Q", length) + text + draw(st.one_of(st.just(data), st.binary(max_size=60)))


@examples(400)
@given(content=files())
def test_files_of_tensors(tmp_path, content):
    file = tmp_path / "a.safetensors"
    file.write_bytes(content)

    def read():
        with TensorFile(file, sha256(content).hexdigest()) as tensors:
            return dict(tensors)

    found = either(read)
    if found is not None:
        assert sum(tensor.nbytes for tensor in found.values()) < len(content)
        theirs = safetensors.torch.load(content)
        assert found.keys() == theirs.keys()
        assert all(torch.equal(value, theirs[name]) for name, value in found.items())


@examples(40)
@given(data=st.data())
def test_tensors_of_a_network(original, folder, data):
    content = data.draw(spoiled((original / "model.safetensors").read_bytes()))
    (folder / "model.safetensors").write_bytes(content)
    config = json.loads((original / "config.json").read_text())
    config["files"]["model.safetensors"] = sha256(content).hexdigest()
    write_json(folder / "config.json", config)
    loaded = either(load_backbone, folder)
    if loaded is not None:
        theirs = safetensors.torch.load(content)
        assert all(torch.equal(value, theirs[name]) for name, value in loaded.state_dict().items())


@examples(150)
@given(text=st.one_of(st.binary(max_size=200), values.map(lambda value: json.dumps(value).encode("utf-8", "replace"))))
def test_json_is_what_the_standard_says_or_refused(text):
    try:
        value = strict_json(text)
    except ValueError:
        return
    assert json.loads(json.dumps(value, allow_nan=False)) == value


@examples(60)
@given(value=st.dictionaries(texts, values, max_size=6))
def test_what_a_config_says_is_kept(value):
    base = {"name": "a.b", "backbone": {"name": "a"}, "input": {}}
    try:
        info = WeightsInfo.parse(base | value)
    except UmzooError:
        return
    assert model_card(info).count("<!-- umzoo:end -->") == 1


names = texts.map(lambda text: text[:60])
references = st.one_of(
    names,
    st.builds(
        "{}{}/{}{}".format,
        st.sampled_from(["", "hf-hub:", "local-dir:", "hf-hub:hf-hub:"]),
        names,
        names,
        st.sampled_from(["", "@main", "@", "@../x", "#x", ":f"]),
    ),
    st.from_regex(r"\A(hf-hub:|local-dir:)?[A-Za-z0-9._~@:/-]{0,60}\Z"),
).filter(lambda text: not text.removeprefix("local-dir:").startswith("~"))


@examples(100)
@given(reference=references, revision=st.one_of(st.none(), names))
def test_references(tmp_path, monkeypatch, reference, revision):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    found = either(resolve, reference, revision)
    assert found is None or found.is_dir()


def test_errors_are_one_clear_kind():
    assert issubclass(WeightsError, UmzooError)
