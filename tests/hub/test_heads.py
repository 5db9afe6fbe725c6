"""Fine-tuned weights keep their head wherever they go: Hub, bundle, torch.hub."""

from pathlib import Path

import pytest
import torch

import umzoo
from umzoo.heads.answer import Answer
from umzoo.hub.bundles.pack import write_bundle
from umzoo.hub.bundles.unpack import read_bundle

ROOT = Path(__file__).resolve().parents[2]
IMAGE = torch.linspace(0, 1, 16**3).reshape(1, 1, 16, 16, 16)


@pytest.fixture
def tuned(folder, tmp_path):
    """A weights folder with a head that tells two classes."""
    model = umzoo.from_pretrained(folder, head={"name": "classification", "classes": 2})
    answer = Answer(task="classification", classes=("benign", "malignant"), thresholds={"malignant": 0.3})
    umzoo.save_pretrained(model, tmp_path / "tuned", answer=answer)
    return tmp_path / "tuned"


def assert_same(model, folder):
    expected = umzoo.from_pretrained(folder)
    assert model.answer == expected.answer and model.answer.thresholds == {"malignant": 0.3}
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(IMAGE), expected.eval()(IMAGE), rtol=0, atol=0)


def test_through_the_hub(tuned, hub):
    umzoo.push_to_hub(tuned, "org/tuned")
    assert_same(umzoo.from_pretrained("org/tuned"), tuned)
    assert umzoo.from_pretrained("org/tuned", head=False).name == "genesis_unet"


def test_through_a_bundle(tuned, tmp_path):
    write_bundle(tuned, tmp_path / "b.tar", "org/tuned@" + "0" * 40)
    read_bundle(tmp_path / "b.tar", tmp_path / "there")
    assert_same(umzoo.from_pretrained(tmp_path / "there"), tuned)


def test_through_torch_hub(tuned):
    assert_same(torch.hub.load(str(ROOT), "from_pretrained", str(tuned), source="local"), tuned)
