"""The plain vision transformer: timm's function and names, positions, other tokens, and what is dropped."""

import pytest
import torch
from timm.models.vision_transformer import VisionTransformer

from umzoo.backbones.positions import sincos_positions
from umzoo.backbones.vit import VisionTransformer3DL, VisionTransformer3DS
from umzoo.errors import ConfigError
from umzoo.fields import Rng
from umzoo.plugins import zoo
from umzoo.testing import check_training, small_network

TINY = {"token_size": (8, 8, 8), "embed_dim": 24, "heads": 2, "depth": 2, "decoder_channels": 8}
IMAGE = Rng(0).normal((2, 1, 8, 16, 24))


def tiny(**options):
    torch.manual_seed(0)
    return VisionTransformer3DS(VisionTransformer3DS.Config.parse({**TINY, **options})).eval()


def test_of_one_slice_function_and_names_are_timms():
    """A kernel that reads one slice of a token makes tokens of that slice, which timm's transformer reads too."""
    options = {"class_token": True, "pooled": "class", "register_tokens": 3, "layer_scale": 0.5}
    ours = tiny(input_shape=(8, 16, 24), qkv_bias=False, mlp_ratio=2.0, **options)
    theirs = VisionTransformer(
        img_size=(16, 24), patch_size=8, in_chans=1, embed_dim=24, depth=2, num_heads=2, num_classes=0, mlp_ratio=2,
        qkv_bias=False, init_values=0.5, class_token=True, reg_tokens=3, no_embed_class=True,
    ).eval()  # fmt: skip
    state = {name: value.clone() for name, value in ours.encoder.state_dict().items()}
    kernel = state["patch_embed.proj.weight"]
    kernel[:, :, 1:] = 0
    ours.encoder.load_state_dict(state)
    theirs.load_state_dict({**state, "patch_embed.proj.weight": kernel[:, :, 0]})
    with torch.no_grad():
        expected = theirs.forward_features(IMAGE[:, :, 0])
        torch.testing.assert_close(ours.encode(IMAGE)[0].flatten(2).transpose(1, 2), expected[:, 4:])
        torch.testing.assert_close(ours(IMAGE).pooled, expected[:, 0])


def test_the_large_one_is_vit_l():
    with torch.device("meta"):
        network = VisionTransformer3DL()
    theirs = VisionTransformer(embed_dim=1024, depth=1, num_heads=16, num_classes=0)
    shapes = [
        {name: value.shape for name, value in it.state_dict().items() if name.startswith("blocks.0.")}
        for it in (network.encoder, theirs)
    ]
    assert shapes[0] == shapes[1] and len(network.encoder.blocks) == 24


def test_the_vector_of_an_image():
    image = IMAGE[:, :, :, :, :16]
    mean, token = tiny(class_token=True), tiny(class_token=True, pooled="class")
    with torch.no_grad():
        features, other = mean(image), token(image)
    torch.testing.assert_close(features.pooled, features.levels[0].mean((2, 3, 4)))
    assert torch.equal(features.levels[0], other.levels[0]) and not torch.allclose(features.pooled, other.pooled)
    with pytest.raises(ConfigError, match="needs class_token"):
        tiny(pooled="class")


def test_dropped_tokens_do_not_enter_the_mean():
    network, visible = tiny(register_tokens=2), torch.tensor([[0, 3], [1, 4]])
    with torch.no_grad():
        features = network(IMAGE, visible=visible)
    tokens = features.levels[0].flatten(2).transpose(1, 2)
    seen = tokens.gather(1, visible.unsqueeze(2).expand(-1, -1, 24))
    torch.testing.assert_close(features.pooled, seen.mean(1))


@pytest.mark.parametrize("positions", ["learned", "sincos"])
def test_other_sizes_resize_the_positions(positions):
    network = tiny(positions=positions, input_shape=(16, 16, 16), class_token=True)
    features = network(Rng(0).normal((1, 1, 24, 16, 32)), dense=True)
    assert features.levels[0].shape == (1, 24, 3, 2, 4)
    assert features.dense.shape == (1, 8, 24, 16, 32)
    assert bool(network.info.positions) == (positions == "learned")


def test_waves_depend_on_the_distance_of_tokens():
    table = sincos_positions((4, 3, 5), (4, 3, 5), 48)[0].view(4, 3, 5, 48)
    assert table.flatten(0, 2).unique(dim=0).shape == (60, 48)
    first = (table[1:, 1:, 1:] * table[:-1, :-1, :-1]).sum(-1)
    torch.testing.assert_close(first, first[:1, :1, :1].expand_as(first))
    longer = (table[2:] * table[:-2]).sum(-1)
    torch.testing.assert_close(longer, longer[:1, :1, :1].expand_as(longer))


def test_waves_of_another_grid_are_stretched():
    """Two tokens in place of one lie a quarter of a token before and behind it."""
    reference, finer = (sincos_positions((n, 1, 1), (2, 1, 1), 6)[0] for n in (2, 4))
    torch.testing.assert_close(
        finer[:, :2], torch.stack([f(torch.tensor([-0.25, 0.25, 0.75, 1.25])) for f in (torch.sin, torch.cos)], 1)
    )
    torch.testing.assert_close(reference[:, 0], torch.tensor([0.0, 1.0]).sin())
    assert sincos_positions((2, 2, 2), (2, 2, 2), 1024).shape == (1, 8, 1024)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"heads": 5}, "multiple of heads = 5"),
        ({"token_size": (6, 8, 8)}, "powers of 2"),
        ({"input_shape": (8, 8, 12)}, "input_shape must be a multiple of token_size"),
    ],
)
def test_wrong_options_say_what_is_wrong(options, complaint):
    with pytest.raises(ConfigError, match=complaint):
        tiny(**options)


def test_stochastic_depth_rises_from_block_to_block():
    rates = [getattr(block.drop_path1, "drop_prob", 0.0) for block in tiny(depth=3, drop_path=0.2).encoder.blocks]
    assert rates == pytest.approx([0.0, 0.1, 0.2])


def test_it_trains_by_masked_tokens(tmp_path):
    pytest.importorskip("umzoo_mae")
    tasks = [{"name": "mae", "ratio": 0.5}]
    backbone = {**small_network("vit3d_s"), "class_token": True}
    check_training({"backbone": backbone, "pretext": {"tasks": tasks}}, tmp_path)


def test_weights_go_into_monais_vit_and_back():
    nets = pytest.importorskip("monai.networks.nets.vit")
    import umzoo

    theirs = nets.ViT(1, (16, 16, 24), (8, 8, 8), hidden_size=24, mlp_dim=48, num_layers=2, num_heads=2, qkv_bias=True)
    ours = tiny(input_shape=(16, 16, 24), mlp_ratio=2.0, norm_eps=1e-5)
    assert umzoo.transfer(ours, theirs).coverage == 1
    image = Rng(1).normal((1, 1, 16, 16, 24))
    with torch.no_grad():
        answer = theirs.eval()(image)[0]
        torch.testing.assert_close(ours.encode(image)[0].flatten(2).transpose(1, 2), answer, atol=1e-5, rtol=1e-5)
        again = zoo().backbones.build(ours.spec).eval()
        report = umzoo.transfer(theirs.state_dict(), again, {"source_grid": (2, 2, 3)})
        assert report.coverage == 1
        assert torch.equal(again.encode(image)[0], ours.encode(image)[0])


def test_a_program_takes_every_batch_and_size():
    network = tiny(depth=1, class_token=True).encoder
    sizes = {0: torch.export.Dim("batch"), 2: 8 * torch.export.Dim("depth", min=2)}
    program = torch.export.export(network, (Rng(0).normal((2, 1, 24, 8, 16)),), dynamic_shapes=(sizes,)).module()
    for image in (Rng(0).normal((1, 1, 32, 8, 16)), Rng(0).normal((3, 1, 16, 8, 16))):
        torch.testing.assert_close(program(image)[0], network(image)[0])
