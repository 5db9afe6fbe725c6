"""Transformers: native names, position embeddings by grid and order, patch embeddings."""

import pytest
import torch
from dynamic_network_architectures.architectures.primus import Primus
from torch.nn import functional

import umzoo
from umzoo.backbones.primus import PrimusS
from umzoo.backbones.state import canonical_state
from umzoo.errors import ConfigError, WeightsError
from umzoo.fields import Rng
from umzoo.spec import InputSpec
from umzoo.weights.folder.writer import save_folder
from umzoo.weights.transfer import transfer

EMBEDDING = "encoder.eva.pos_embed"


def ours(shape=(16, 24, 32), **options):
    return PrimusS(PrimusS.Config(embed_dim=36, heads=3, depth=2, decoder_channels=8, input_shape=shape, **options))


def theirs(shape=(16, 24, 32), channels=1, classes=8):
    presets = {"init_values": 0.1, "scale_attn_inner": True}
    return Primus(channels, 36, (8, 8, 8), classes, eva_depth=2, eva_numheads=3, input_shape=shape, **presets)


def test_native_networks_and_back():
    source, target = ours().eval(), theirs().eval()
    report = transfer(source, target)
    assert report.coverage == 1 and report.decoder_coverage == 1 and not report.warnings
    heads = {"up_projection.decode.2.weight", "up_projection.decode.2.bias"}
    assert set(report.fresh) == heads | {"mask_token"}
    image = Rng(0).normal((1, 1, 16, 24, 32))
    level = {}
    target.up_projection.register_forward_pre_hook(lambda _, inputs: level.update(x=inputs[0]))
    target(image)
    torch.testing.assert_close(level["x"], source.encode(image)[0])
    again = ours()
    assert transfer(target, again).coverage == 1
    state = canonical_state(source)
    assert all(torch.equal(value, state[name]) for name, value in canonical_state(again).items()
               if name.startswith("encoder."))  # fmt: skip
    assert transfer(theirs(), theirs(channels=2)).adapted.keys() == {"down_projection.proj.weight"}


@pytest.mark.parametrize("shape", [(32, 48, 64), (32, 24, 16), (16, 24, 24)], ids=["finer", "turned", "shorter"])
def test_positions_are_resized(shape):
    """The second has as many tokens as the source, in another grid: equal shapes are not enough."""
    source, target = ours(), ours(shape)
    report = transfer(source, target)
    assert report.adapted[EMBEDDING].startswith("position embedding 2x3x4 to ") and report.coverage == 1
    volume = canonical_state(source)[EMBEDDING].transpose(1, 2).unflatten(2, (2, 3, 4))
    expected = functional.interpolate(volume, size=target.grid, mode="trilinear", align_corners=False)
    assert torch.equal(canonical_state(target)[EMBEDDING], expected.flatten(2).transpose(1, 2))


def test_tokens_in_another_order(tmp_path):
    source, target = ours(), ours()
    volume = canonical_state(source)[EMBEDDING].transpose(1, 2).unflatten(2, (2, 3, 4))
    swapped = volume.transpose(2, 3).flatten(2).transpose(1, 2).contiguous()
    state = {**canonical_state(source), EMBEDDING: swapped}
    report = transfer(state, target, {"source_grid": [2, 3, 4], "token_order": "hdw"})
    assert torch.equal(canonical_state(target)[EMBEDDING], canonical_state(source)[EMBEDDING])
    assert "rotary" in report.warnings[0]
    info = umzoo.save_pretrained(source, tmp_path / "w").model_copy(update={"token_order": "hdw"})
    save_folder(tmp_path / "w", state, info)
    fresh = ours()
    report = transfer(tmp_path / "w", fresh)
    assert report.adapted == {EMBEDDING: "position embedding 2x3x4 to 2x3x4, tokens reordered from hdw"}
    assert torch.equal(canonical_state(fresh)[EMBEDDING], canonical_state(source)[EMBEDDING])


def test_a_grid_that_is_not_recorded():
    state = canonical_state(ours())
    assert "does not record its token grid" in transfer(state, ours()).warnings[0]
    report = transfer(state, ours((16, 24, 24)))
    assert "source_grid" in report.fresh[EMBEDDING] and EMBEDDING in report.warnings[0]
    report = transfer(state, ours((16, 24, 24)), {"source_grid": [2, 3, 4]})
    assert EMBEDDING in report.adapted and not report.warnings
    with pytest.raises(ConfigError, match="has 24 tokens, which is not a grid of 2x2x2"):
        transfer(state, ours((16, 24, 24)), {"source_grid": [2, 2, 2]})


def test_tokens_of_another_size():
    source, target = ours((16, 16, 16)), ours((16, 16, 16), token_size=(4, 8, 8))
    report = transfer(source, target)
    assert report.adapted["encoder.down_projection.proj.weight"] == "patch embedding 8x8x8 to 4x8x8"
    assert report.adapted[EMBEDDING] == "position embedding 2x2x2 to 4x2x2"
    assert report.coverage == 1 and any(warning.startswith("stage 0") for warning in report.warnings)


def test_axes_cannot_be_turned(tmp_path):
    umzoo.save_pretrained(ours(), tmp_path / "w", input=InputSpec(axes="xyz"))
    assert "array axes: xyz" in transfer(tmp_path / "w", ours()).warnings[0]
    with pytest.raises(WeightsError, match="rotary"):
        transfer(tmp_path / "w", ours(), {"axes": "permute"})
