"""The importer of nnssl, on files as its trainers write them, with networks of dynamic_network_architectures."""

import json

import pytest
import torch
from dynamic_network_architectures.architectures.primus import Primus
from dynamic_network_architectures.architectures.unet import ResidualEncoderUNet
from dynamic_network_architectures.building_blocks.eva import Eva
from dynamic_network_architectures.building_blocks.patch_encode_decode import PatchDecode, PatchEmbed
from torch import nn

from umzoo.backbones.state import named_tensors
from umzoo.errors import WeightsError
from umzoo.fields import Rng
from umzoo.plugins import zoo
from umzoo.weights.folder.reader import read_info
from umzoo.weights.folder.tensors import load_state
from umzoo.weights.networks.backbone import load_backbone
from umzoo.weights.transfer import transfer

SECRET = "/home/someone/raw/sub-0001_ses-1.nii.gz"
UNET = {
    "n_stages": 3,
    "features_per_stage": [4, 6, 8],
    "conv_op": "torch.nn.modules.conv.Conv3d",
    "kernel_sizes": [[3, 3, 3]] * 3,
    "strides": [[1, 1, 1], [2, 2, 2], [2, 2, 2]],
    "n_blocks_per_stage": [1, 2, 1],
    "n_conv_per_stage_decoder": [1, 1],
    "conv_bias": True,
    "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
    "norm_op_kwargs": {"eps": 1e-05, "affine": True},
    "dropout_op": None,
    "dropout_op_kwargs": None,
    "nonlin": "torch.nn.modules.activation.LeakyReLU",
    "nonlin_kwargs": {"inplace": True},
}
PRIMUS = {"embed_dim": 72, "encoder_eva_depth": 2, "encoder_eva_numheads": 3}
UNET_KEYS = {"key_to_encoder": "encoder.stages", "key_to_stem": "encoder.stem", "key_to_lpe": None}


class EvaMAE(nn.Module):
    """As nnssl's class of that name names its parts and lays out its tokens; *order* is 'hdw' there."""

    def __init__(self, shape, order="hdw"):
        super().__init__()
        grid = tuple(n // 8 for n in shape)
        self.order = order
        self.down_projection = PatchEmbed((8, 8, 8), 1, 72)
        self.eva = Eva(72, 2, 3, ref_feat_shape=grid, init_values=0.1, scale_attn_inner=True)
        self.up_projection = PatchDecode((8, 8, 8), 72, 1)
        self.decoder = Eva(72, 1, 3, ref_feat_shape=grid, init_values=0.1, scale_attn_inner=True)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, 72))

    def forward(self, image):
        tokens = self.down_projection(image)
        swapped = tokens.transpose(2, 3) if self.order == "hdw" else tokens
        result, _ = self.eva(swapped.flatten(2).transpose(1, 2))
        back = result.transpose(1, 2).unflatten(2, swapped.shape[2:])
        return back.transpose(2, 3) if self.order == "hdw" else back


class Contrastive(nn.Module):
    """As nnssl's VoCoEvaArchitecture."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder, self.projector = encoder, nn.Linear(72, 5)


def unet():
    arguments = UNET | {"conv_op": nn.Conv3d, "norm_op": nn.InstanceNorm3d, "nonlin": nn.LeakyReLU}
    return shaken(ResidualEncoderUNet(1, **arguments, num_classes=1, deep_supervision=False))


def shaken(network):
    with torch.no_grad():
        for number, value in enumerate(named_tensors(network).values()):
            value.add_(Rng(number).normal(value.shape) * 0.2)
    return network.eval()


def plan(name, arguments=None, patch=(32, 32, 32), **keys):
    imported = [key for key in ("conv_op", "norm_op", "nonlin") if key in (arguments or {})] or None
    configuration = {"spacing": [1, 1, 1], "patch_size": list(patch), "normalization_schemes": ["ZScoreNormalization"]}
    return {
        "architecture_plans": {
            "arch_class_name": name, "arch_kwargs": arguments, "arch_kwargs_requiring_import": imported,
        },
        "pretrain_plan": {
            "dataset_name": "Dataset745_OpenNeuro_v2", "plans_name": "nnsslPlans", "image_reader_writer": "SimpleITKIO",
            "transpose_forward": [0, 1, 2], "configurations": {"onemmiso": configuration},
        },
        "pretrain_num_input_channels": 1,
        "recommended_downstream_patchsize": [160, 160, 160],
        **(keys or {"key_to_encoder": "eva", "key_to_stem": "down_projection", "key_to_lpe": "eva.pos_embed"}),
    }  # fmt: skip


def checkpoint(network, plans=None, trainer="BaseMAETrainer_BS8", weights="network_weights"):
    content = {weights: network.state_dict(), "trainer_name": trainer, "citations": None}
    content["init_args"] = {"pretrain_json": {"image_path": SECRET}, "device": "cuda"}
    return content | ({} if plans is None else {"nnssl_adaptation_plan": plans})


def run(tmp_path, content, file="checkpoint_final.pth", source=None, **options):
    (tmp_path / "in").mkdir(exist_ok=True)
    torch.save(content, tmp_path / "in" / file)
    source = tmp_path / "in" / (file if source is None else source)
    zoo().importers.build({"name": "nnssl", **options}).run(source, tmp_path / "out", "CC-BY-4.0")
    return tmp_path / "out"


def accounted(out, network):
    """Names of both files of *out* against those of the tensors of *network*, each counted once."""
    held = len(load_state(out)) + len(load_state(out, "pretext.safetensors"))
    return held == len(named_tensors(network))


@pytest.mark.parametrize("layout", ["file", "folder", "plan beside"])
def test_unets_compute_what_they_did(tmp_path, layout):
    network, plans = unet(), plan("ResidualEncoderUNet", UNET, **UNET_KEYS)
    if layout == "plan beside":
        (tmp_path / "in").mkdir()
        (tmp_path / "in" / "adaptation_plan.json").write_text(json.dumps(plans | {"trainer_name": "x"}))
    content = checkpoint(network, None if layout == "plan beside" else plans)
    out = run(tmp_path, content, source=None if layout == "file" else ".")
    model, image = load_backbone(out), Rng(0).normal((1, 1, 16, 16, 16))
    with torch.no_grad():
        dense = network.decoder.seg_layers[-1](model(image, dense=True).dense)
        assert torch.allclose(dense, network(image), atol=1e-5)
    assert read_info(out).parts == ("encoder", "decoder")
    assert read_info(out).name == "resenc_unet_s.openneuro_v2_mae"
    assert accounted(out, network)


def test_nothing_of_the_data_comes_along(tmp_path):
    out = run(tmp_path, checkpoint(unet(), plan("ResidualEncoderUNet", UNET, **UNET_KEYS)))
    for file in out.iterdir():
        assert b"someone" not in file.read_bytes()
        assert b"sub-0001" not in file.read_bytes()
    info = read_info(out)
    assert (info.license, info.input.spacing, info.input.space) == ("CC-BY-4.0", (1, 1, 1), "zscore")
    assert len(info.nnssl["sha256"]) == 64


def test_stale_duplicates_of_spark_are_passed_over(tmp_path):
    network = unet()
    state = {name: value.clone() for name, value in network.state_dict().items()}
    for name in state:
        if ".all_modules." not in name and name.replace(".conv.", ".all_modules.0.") in state and ".conv." in name:
            state[name] = torch.zeros_like(state[name])
    content = {"network_weights": state, "trainer_name": "SparkMAETrainerBS8"}
    out = run(tmp_path, content | {"nnssl_adaptation_plan": plan("ResidualEncoderUNet", UNET, **UNET_KEYS)})
    image = Rng(0).normal((1, 1, 16, 16, 16))
    with torch.no_grad():
        expected = network.encoder(image)
        assert all(map(torch.allclose, load_backbone(out).encode(image), expected))
    assert read_info(out).nnssl["method"] == "s3d"


def test_spark_weights_without_a_plan(tmp_path):
    """SparK3D holds its network under three names, and mask tokens."""
    with torch.device("meta"):
        backbone = zoo().backbones.build({"name": "resenc_unet_l"})
    shapes = {name: tuple(value.shape) for name, value in named_tensors(backbone).items()}
    zeros = {name: torch.zeros(1).expand(shape) for name, shape in shapes.items()}
    state = zeros | {f"architecture.{name}": value for name, value in zeros.items()} | {"mask_tokens.0": torch.ones(3)}
    out = run(tmp_path, {"spark_weights": state, "trainer_name": "SparkMAETrainer"}, "s3d.pth")
    info = read_info(out)
    assert info.name == "resenc_unet_l.s3d"
    assert info.parts == ("encoder", "decoder")
    assert load_state(out).keys() == shapes.keys()
    assert info.nnssl["also_holds"] == {"mask_tokens.0": 1}


@pytest.mark.parametrize("shape", [(16, 16, 16), (24, 24, 16)])
@pytest.mark.parametrize("contrastive", [False, True])
def test_primus_computes_what_it_did(tmp_path, shape, contrastive):
    network = shaken(EvaMAE(shape))
    whole = Contrastive(network) if contrastive else network
    prefix = "encoder." if contrastive else ""
    keys = {"key_to_encoder": f"{prefix}eva", "key_to_lpe": f"{prefix}eva.pos_embed"}
    trainer = "VoCoEvaTrainer" if contrastive else "BaseEvaMAETrainer"
    out = run(tmp_path, checkpoint(whole, plan("PrimusM", PRIMUS, shape, **keys), trainer))
    image = Rng(1).normal((1, 1, *shape))
    with torch.no_grad():
        assert torch.allclose(load_backbone(out).encode(image)[0], network(image), atol=1e-4)
    info = read_info(out)
    assert (info.parts, info.token_order, info.nnssl["token_order"]) == (("encoder",), "dhw", "hdw")
    assert info.input.patch_size == shape
    assert accounted(out, whole)


def test_tokens_of_simmim_run_over_the_axes_in_order(tmp_path):
    network = shaken(EvaMAE((16, 16, 24), order="dhw"))
    out = run(tmp_path, checkpoint(network, plan("PrimusM", PRIMUS, (16, 16, 24)), "SimMIMEvaTrainer"))
    image = Rng(1).normal((1, 1, 16, 16, 24))
    with torch.no_grad():
        assert torch.allclose(load_backbone(out).encode(image)[0], network(image), atol=1e-4)


def test_nnunets_own_primus_takes_them_exactly(tmp_path):
    network = shaken(EvaMAE((16, 16, 16)))
    out = run(tmp_path, checkpoint(network, plan("PrimusM", PRIMUS, (16, 16, 16)), "BaseEvaMAETrainer"))
    target = Primus(1, 72, (8, 8, 8), 2, 2, 3, (16, 16, 16), init_values=0.1, scale_attn_inner=True).eval()
    report = transfer(out, target)
    assert report.coverage == 1
    assert not report.warnings or "orientation" in report.warnings[0]
    image = Rng(1).normal((1, 1, 16, 16, 16))
    with torch.no_grad():
        tokens = target.down_projection(image)
        features, _ = target.eva(tokens.flatten(2).transpose(1, 2))
        assert torch.allclose(features.transpose(1, 2).unflatten(2, tokens.shape[2:]), network(image), atol=1e-4)


def test_a_grid_is_guessed_only_if_it_fits(tmp_path):
    content = checkpoint(EvaMAE((16, 16, 24)), plan("PrimusM", PRIMUS, (160, 160, 160)))
    with pytest.raises(WeightsError, match=r"has 12 tokens .* patch_size=\[D, H, W\]"):
        run(tmp_path, content)
    out = run(tmp_path, content, patch_size=[16, 16, 24])
    assert read_info(out).input.patch_size == (16, 16, 24)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda it: it["network_weights"].pop("eva.blocks.1.norm2.bias"), "1 missing: eva.blocks.1.norm2.bias"),
        (lambda it: it.pop("network_weights"), "not an nnssl checkpoint"),
        (
            lambda it: it["nnssl_adaptation_plan"].update(key_to_encoder="vit"),
            "under 'vit', but no tensor has this prefix",
        ),
        (lambda it: it["nnssl_adaptation_plan"]["architecture_plans"].update(arch_class_name="Swin"), "Swin"),
        (lambda it: it["nnssl_adaptation_plan"]["architecture_plans"]["arch_kwargs"].update(embed_dim=70), "embed_dim"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, change, complaint):
    content = checkpoint(EvaMAE((16, 16, 16)), plan("PrimusM", dict(PRIMUS), (16, 16, 16)))
    change(content)
    with pytest.raises(WeightsError, match=complaint):
        run(tmp_path, content)
    assert not (tmp_path / "out").exists()


def test_checkpoints_of_other_trainers(tmp_path):
    """Lightning's names, and tensors without a checkpoint around them; others are told by what they hold."""
    state = checkpoint(EvaMAE((16, 16, 16)), plan("PrimusM", dict(PRIMUS), (16, 16, 16)))
    tensors, told = state.pop("network_weights"), {"architecture": "PrimusM", "patch_size": [16, 16, 16]}
    expected = load_state(run(tmp_path, state | {"network_weights": tensors}))
    named = {f"model.{name}": tensor for name, tensor in tensors.items()}
    for content in (state | {"state_dict": named}, state | named):
        found = load_state(run(tmp_path, content))
        assert found.keys() == expected.keys() and all(found[name].equal(it) for name, it in expected.items())
    with pytest.raises(WeightsError, match="not an nnssl checkpoint: expected tensors .*, got optimizer, epoch"):
        run(tmp_path, {"optimizer": {"lr": 1}, "epoch": 3}, **told)
    with pytest.raises(
        WeightsError, match=r"contains an object, .*Linear, expected a dict: save the network's state_dict"
    ):
        run(tmp_path, torch.nn.Linear(1, 1))


def test_a_folder_without_a_checkpoint_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(WeightsError, match="give the file itself"):
        zoo().importers.build("nnssl").run(tmp_path / "empty", tmp_path / "out")
