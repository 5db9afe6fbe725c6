"""Graphs for any batch and size: PyTorch's and ONNX's answer as the network does, at two sizes."""

import numpy as np
import pytest
import torch

from umzoo.errors import ConfigError
from umzoo.fields import Rng
from umzoo.heads.model import Model
from umzoo.plugins import zoo
from umzoo.weights.networks.onnx import export_program, output_names, write_onnx

FAMILIES = {  # instance norms, and attention; the test of a head has batch norms
    "resenc_unet_s": {"features_per_stage": [4, 6], "n_blocks_per_stage": 1},
    "primus_s": {"embed_dim": 36, "heads": 3, "depth": 1, "decoder_channels": 8, "input_shape": (16, 24, 32)},
}
COUNTS = ((1, (2, 2, 2)), (3, (2, 3, 4)))
"""Images in a batch, and blocks of the divisor along each axis; primus was made for the second."""


def images(model):
    for count, blocks in COUNTS:
        size = tuple(max(4, step) * n for step, n in zip(model.info.divisor, blocks, strict=True))
        yield Rng(0).uniform((count, model.info.in_channels, *size))


def expected(model, image):
    with torch.no_grad():
        features = model(image, dense=True)
    return [*features.levels, features.pooled, features.dense]


def built(name, **options):
    return zoo().backbones.build({"name": name, **options}).eval()


def runner(file):
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return session, lambda image: session.run(None, {"image": image.numpy()})


@pytest.mark.parametrize("name", FAMILIES)
def test_programs_and_onnx_agree_with_the_network(name, tmp_path, monkeypatch):
    pytest.importorskip("onnxscript")
    model = built(name, **FAMILIES[name])
    exported = export_program(model)
    monkeypatch.setattr(
        "umzoo.weights.networks.onnx.export_program", lambda *_: exported
    )  # tracing takes half of the time
    program = exported.module()
    session, run = runner(write_onnx(model, tmp_path / "network.onnx"))
    assert [output.name for output in session.get_outputs()] == output_names(model)
    for image in images(model):
        for ours, theirs, there in zip(expected(model, image), program(image), run(image), strict=True):
            torch.testing.assert_close(theirs, ours, atol=1e-4, rtol=1e-4)
            np.testing.assert_allclose(there, ours.numpy(), atol=1e-4, rtol=1e-4)


def test_the_answer_of_a_head(tmp_path):
    pytest.importorskip("onnxscript")
    backbone = built("genesis_unet", width=2)
    head = zoo().heads.build({"name": "segmentation", "classes": 3, "levels": True}, info=backbone.info)
    model = Model(backbone, head).eval()
    session, run = runner(write_onnx(model, tmp_path / "network.onnx"))
    assert [output.name for output in session.get_outputs()] == ["answer"]
    for image in images(model):
        np.testing.assert_allclose(run(image)[0], model(image).detach().numpy(), atol=1e-4, rtol=1e-4)


def test_what_cannot_be_exported_is_said_and_the_mode_stays():
    model = built("genesis_unet", width=2).train()
    model.encode = lambda image: [image * float(image.sum())] * 4
    with pytest.raises(ConfigError, match="genesis_unet cannot be exported"):
        export_program(model)
    assert model.training
