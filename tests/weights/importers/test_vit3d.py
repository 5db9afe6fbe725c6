"""The importer of 3D vision transformers: values, names and positions of DINOv2's and MONAI's files, and the input."""

import pytest
import torch

from umzoo.errors import WeightsError
from umzoo.fields import Rng
from umzoo.plugins import zoo
from umzoo.weights.folder.reader import read_info
from umzoo.weights.folder.tensors import load_state
from umzoo.weights.networks.backbone import load_backbone

DIM, TOKEN, TOKENS = 64, 4, 8
OTHERS = {"mask_token": (1, DIM), "dino_head.mlp.0.weight": (8, DIM)}


def filled(shapes):
    return {name: Rng(number).normal(shape) for number, (name, shape) in enumerate(shapes.items())}


def block(scaled=True):
    shapes = {
        "norm1.weight": (DIM,), "norm1.bias": (DIM,), "attn.qkv.weight": (3 * DIM, DIM), "attn.qkv.bias": (3 * DIM,),
        "attn.proj.weight": (DIM, DIM), "attn.proj.bias": (DIM,), "norm2.weight": (DIM,), "norm2.bias": (DIM,),
        "mlp.fc1.weight": (2 * DIM, DIM), "mlp.fc1.bias": (2 * DIM,), "mlp.fc2.weight": (DIM, 2 * DIM),
        "mlp.fc2.bias": (DIM,),
    }  # fmt: skip
    return shapes | ({"ls1.gamma": (DIM,), "ls2.gamma": (DIM,)} if scaled else {})


def three_dino(chunks=((0,), (1, 2))):
    """A teacher as 3DINO saves it: blocks in chunks, a class token with a position of its own, heads."""
    shapes = {"cls_token": (1, 1, DIM), "pos_embed": (1, TOKENS + 1, DIM), **OTHERS}
    shapes |= {"patch_embed.proj.weight": (DIM, 1, TOKEN, TOKEN, TOKEN), "patch_embed.proj.bias": (DIM,)}
    for chunk, numbers in enumerate(chunks):
        shapes |= {f"blocks.{chunk}.{number}.{name}": it for number in numbers for name, it in block().items()}
    return filled(shapes | {"norm.weight": (DIM,), "norm.bias": (DIM,)})


def brainiac():
    """MONAI's ViT as SimCLR saves it, without a class token and without bias of queries, keys and values."""
    shapes = {"patch_embedding.position_embeddings": (1, TOKENS, DIM)}
    shapes |= {f"patch_embedding.patch_embeddings.{part}": shape for part, shape in kernel().items()}
    renames = (("attn.proj", "attn.out_proj"), ("mlp.fc", "mlp.linear"))
    for name, shape in block(scaled=False).items():
        for theirs, monai in renames:
            name = name.replace(theirs, monai)
        shapes |= {} if name == "attn.qkv.bias" else {f"blocks.{number}.{name}": shape for number in (0, 1)}
    state = filled(shapes | {"norm.weight": (DIM,), "norm.bias": (DIM,)})
    return {f"backbone.{name}": value for name, value in state.items()} | {"projection.weight": torch.ones(2, DIM)}


def kernel():
    return {"weight": (DIM, 1, TOKEN, TOKEN, TOKEN), "bias": (DIM,)}


def imported(tmp_path, content, **options):
    torch.save(content, tmp_path / "in.pth")
    zoo().importers.build({"name": "vit3d", **options}).run(tmp_path / "in.pth", tmp_path / "out", "cc-by-nc-nd-4.0")
    return tmp_path / "out"


def test_3dinos_teacher_arrives(tmp_path):
    state = three_dino()
    out = imported(tmp_path, {"teacher": {f"backbone.{name}": it for name, it in state.items()}}, source="3dino")
    found, network = load_state(out), load_backbone(out, dense=False)
    assert {name.removeprefix("vit3d.") for name in load_state(out, "pretext.safetensors")} == OTHERS.keys()
    assert len(found) + len(OTHERS) == len(state)
    assert torch.equal(found["encoder.blocks.2.attn.qkv.weight"], state["blocks.1.2.attn.qkv.weight"])
    assert torch.equal(found["encoder.pos_embed"], state["pos_embed"][:, 1:])
    assert torch.equal(found["encoder.cls_token"], state["cls_token"] + state["pos_embed"][:, :1])
    config = network.config
    assert (config.depth, config.heads, config.mlp_ratio, config.input_shape) == (3, 1, 2.0, (8, 8, 8))
    assert (config.class_token, config.pooled, config.qkv_bias, config.norm_eps) == (True, "class", True, 1e-6)


def test_its_patch_embedding_takes_0_to_1(tmp_path):
    out = imported(tmp_path, {"teacher": (state := three_dino())}, source="3dino")
    image = Rng(1).uniform((1, 1, 8, 8, 8))
    original = torch.nn.functional.conv3d(
        2 * image - 1, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], stride=TOKEN
    )
    with torch.no_grad():
        torch.testing.assert_close(load_backbone(out, dense=False).encoder.patch_embed(image), original)
    spec = read_info(out).input
    assert (spec.space, spec.axes, spec.orientation, spec.patch_size) == ("unit", "xyz", "RAS", (8, 8, 8))
    assert spec.rule("ct").percentiles == spec.rule("mr").percentiles == (0.05, 99.95)


def test_brainiacs_backbone_arrives(tmp_path):
    """That MONAI's ViT computes the same is for the test of the backbone."""
    state = brainiac()
    out = imported(tmp_path, {"state_dict": state, "epoch": 3}, source="brainiac")
    info, found, network = read_info(out), load_state(out), load_backbone(out, dense=False)
    assert len(found) == len(state) - 1 and not network.config.qkv_bias and not network.config.class_token
    assert torch.equal(found["encoder.pos_embed"], state["backbone.patch_embedding.position_embeddings"])
    assert torch.equal(found["encoder.blocks.1.mlp.fc2.bias"], state["backbone.blocks.1.mlp.linear2.bias"])
    assert torch.equal(found["encoder.blocks.0.attn.proj.weight"], state["backbone.blocks.0.attn.out_proj.weight"])
    assert (info.name, info.input.space, network.config.norm_eps) == ("vit3d_s.brainiac", "zscore", 1e-5)
    assert info.vit3d["also_holds"] == {"projection.weight": 1} and "stayed 0" in info.vit3d["normalization"]


@pytest.mark.parametrize(
    ("change", "options", "complaint"),
    [
        ({"pos_embed": None}, {}, "no 3D vision transformer with a learned position embedding"),
        ({"pos_embed": (1, 7, DIM)}, {}, r"7 positions do not form a cube .* set the image size"),
        (
            {"pos_embed": (1, 7, DIM)},
            {"input_shape": (4, 8, 8)},
            r"pos_embed \(expected \(1, 4, 64\), got \(1, 7, 64\)",
        ),
        ({"blocks.0.0.norm1.bias": None}, {}, r"1 missing: blocks\.0\.norm1\.bias"),
        ({"patch_embed.proj.weight": (60, 1, 4, 4, 4)}, {}, r"attention heads for 60 channels .* set heads="),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, change, options, complaint):
    state = three_dino()
    for name, shape in change.items():
        state[name] = torch.zeros(shape or ())
        if shape is None:
            del state[name]
    with pytest.raises(WeightsError, match=complaint):
        imported(tmp_path, state, **options)
    assert not (tmp_path / "out").exists()


def test_positions_of_no_cube_need_the_shape(tmp_path):
    state = three_dino() | {"pos_embed": Rng(0).normal((1, 3, DIM)), "register_tokens": Rng(1).normal((1, 4, DIM))}
    out = imported(tmp_path, state, input_shape=(4, 4, 8), heads=4, tag="mine")
    info = read_info(out)
    assert (info.name, info.input.patch_size, info.backbone.options["heads"]) == ("vit3d_s.mine", (4, 4, 8), 4)
    assert load_state(out)["encoder.reg_token"].shape == (1, 4, DIM)
