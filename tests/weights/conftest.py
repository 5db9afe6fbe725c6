"""Weights folders of tiny networks, and ways to spoil them."""

import json
import struct
from hashlib import sha256

import pytest

from umzoo.backbones.state import canonical_state
from umzoo.backbones.unet import GenesisUNet
from umzoo.spec import InputSpec
from umzoo.weights.folder.info import WeightsInfo
from umzoo.weights.folder.writer import save_folder


def write_folder(folder, backbone, **changes):
    """Write the tensors of *backbone*, those of ``parts`` only if it is given."""
    patch = getattr(backbone.config, "input_shape", None)
    spec = InputSpec(space=backbone.info.input_space, in_channels=backbone.info.in_channels, patch_size=patch)
    info = WeightsInfo(**{"name": f"{backbone.name}.test", "backbone": backbone.spec, "input": spec, **changes})
    state = canonical_state(backbone)
    save_folder(folder, {name: value for name, value in state.items() if name.split(".")[0] in info.parts}, info)
    return folder


def edit_config(folder, change):
    """Apply *change* to the content of ``config.json``."""
    content = json.loads((folder / "config.json").read_text())
    change(content)
    (folder / "config.json").write_text(json.dumps(content))


def replace_model(folder, content):
    """Put the bytes *content* instead of the tensors, with their sum in ``config.json``."""
    (folder / "model.safetensors").write_bytes(content)
    edit_config(folder, lambda config: config["files"].update({"model.safetensors": sha256(content).hexdigest()}))


def split_model(folder):
    """Return the header, parsed, and the bytes after it."""
    content = (folder / "model.safetensors").read_bytes()
    end = 8 + struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8:end]), content[end:]


def join_model(header, data):
    """Return a safetensors file with *header*, an object or the text itself."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


@pytest.fixture
def folder(tmp_path):
    """Weights of the smallest network."""
    return write_folder(tmp_path / "w", GenesisUNet(GenesisUNet.Config(width=1)))
