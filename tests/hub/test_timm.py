"""timm's weights, downloaded by timm from a Hub, in a network of umzoo-timm."""

import hashlib

import pytest
import torch
from safetensors.torch import save

import umzoo
from umzoo.errors import PluginError
from umzoo.plugins import zoo

from .repositories import File, Repository

timm = pytest.importorskip("timm")
pytestmark = pytest.mark.skipif("timm" not in zoo().backbones, reason="umzoo-timm is not installed")
MODEL = "test_resnet"


@pytest.fixture
def published(hub):
    """The 2-D network whose weights the Hub has."""
    torch.manual_seed(3)
    flat = timm.create_model(MODEL)
    content = save(flat.state_dict())
    file = File(content, hashlib.sha256(content).hexdigest(), lfs=True)
    hub.objects[file.oid] = content
    hub.repositories[timm.get_pretrained_cfg(MODEL).hf_hub_id] = repository = Repository(private=False)
    repository.add({"model.safetensors": file}, "weights")
    return flat


def test_downloaded_kernels_are_inflated(published, tmp_path):
    network = umzoo.create_model("timm", model=MODEL, in_channels=3, pretrained=True)
    found = {name: it for name, it in network.encoder.named_parameters() if it.ndim == 5}
    assert found
    for name, kernel in found.items():
        torch.testing.assert_close(kernel.sum(2), published.get_parameter(name))
    folder = tmp_path / "weights"
    umzoo.save_pretrained(network, folder, license="apache-2.0")
    base = umzoo.from_pretrained(folder).weights_info.base_model
    assert base.name == f"timm {MODEL}.r160_in1k" and base.repository == timm.get_pretrained_cfg(MODEL).hf_hub_id


def test_one_channel_gets_the_sum_of_the_three(published):
    network = umzoo.create_model("timm", model=MODEL, pretrained=True)
    name, first = next((name, it) for name, it in network.encoder.named_parameters() if it.ndim == 5)
    torch.testing.assert_close(first.sum(2), published.get_parameter(name).sum(1, keepdim=True))


def test_without_a_server_the_error_says_so(hub):
    with pytest.raises(PluginError, match="cannot be downloaded"):
        umzoo.create_model("timm", model=MODEL, pretrained=True)
