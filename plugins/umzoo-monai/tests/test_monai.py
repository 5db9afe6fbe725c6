from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel

pytest.importorskip("monai")
pytest.importorskip("umzoo_monai")

from monai.networks import nets
from monai.networks.nets.swin_unetr import SwinTransformer
from umzoo_monai.importer import SOURCES
from umzoo_monai.public import public_checkpoints
from umzoo_monai.segresnet_importer import SOURCES as SEGRESNETS

import umzoo
from umzoo.engine.build import build_from_recipe
from umzoo.engine.recipe import Recipe
from umzoo.engine.trainer import Trainer
from umzoo.errors import ConfigError, WeightsError
from umzoo.plugins import zoo
from umzoo.testing import CHECKS, check_backbone, check_corruption, check_importer, check_training, training_batch
from umzoo.weights.folder.reader import read_info
from umzoo.weights.folder.tensors import load_state
from umzoo.weights.networks.backbone import load_backbone

SMALL = {"feature_size": 12, "depths": (1, 1, 1, 1), "num_heads": (1, 2, 2, 2), "window_size": 2}
TINY = {"feature_size": 4, "hidden_size": 24, "mlp_dim": 24, "num_heads": 2}
GIBBS = {"name": "monai_transform", "transform": "RandGibbsNoise", "arguments": {"alpha": [0.4, 0.8]}}


def swin(**options):
    return shaken(nets.SwinUNETR(1, 3, **{**SMALL, **options}))


def transformer(**options):
    options = {**SMALL, **options}
    width, window = options.pop("feature_size"), options.pop("window_size")
    return shaken(SwinTransformer(1, width, (window,) * 3, (2, 2, 2), **options))


def shaken(network):
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in network.parameters():
            value.add_(0.1 * torch.randn(value.shape, generator=rng))
    return network.eval()


def image(size=32):
    return torch.rand((1, 1, 64, size, size), generator=torch.Generator().manual_seed(1))


def run(tmp_path, content, **options):
    torch.save(content, tmp_path / "in.pt")
    zoo().importers.build({"name": "monai_swin", **options}).run(tmp_path / "in.pt", tmp_path / "out", "Apache-2.0")
    return tmp_path / "out"


@pytest.mark.parametrize(("name", "use_v2"), [("swin_unetr", True), ("swin_vit", False)])
def test_swin_conforms(name, use_v2):
    checks = CHECKS["backbone"](name, {**SMALL, "use_v2": use_v2})
    slow = ("compiled", "bf16") if name == "swin_unetr" else ()  # its parts are those of swin_vit and of unetr
    checks.run(*[it.title for it in checks.promises() if it.title not in slow])


def test_unetr_conforms():
    check_backbone("unetr", **TINY, img_size=(32, 16, 32))


@pytest.mark.parametrize(("name", "options"), [("swin_unetr", SMALL), ("swin_vit", SMALL), ("unetr", TINY)])
def test_more_channels(name, options, tmp_path):
    """Loaded and transferred, a network of three channels answers a repeated image as it was trained to."""
    source = shaken(umzoo.create_model(name, **options))
    umzoo.save_pretrained(source, tmp_path / "w")
    loaded = umzoo.from_pretrained(tmp_path / "w", in_channels=3)
    given = umzoo.create_model(name, in_channels=3, **options).eval()
    assert not umzoo.transfer(tmp_path / "w", given).fresh
    with torch.no_grad():
        expected = source(image()).levels
        for network in (loaded, given):
            found = network(image().repeat(1, 3, 1, 1, 1)).levels
            for ours, theirs in zip(found, expected, strict=True):
                torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)


def test_positions_of_unetr_are_resized(tmp_path):
    source = shaken(umzoo.create_model("unetr", img_size=(32, 32, 32), **TINY))
    umzoo.save_pretrained(source, tmp_path / "w")
    target = umzoo.create_model("unetr", img_size=(64, 32, 32), **TINY).eval()
    report = umzoo.transfer(tmp_path / "w", target)
    assert "position embedding 2x2x2 to 4x2x2" in report.adapted.values() and not report.fresh
    with torch.no_grad():  # as the source itself does at that size
        torch.testing.assert_close(target(image()).levels[-1], source(image()).levels[-1], atol=1e-4, rtol=1e-4)


def test_into_monais_own_networks():
    """Weights of a channel go into MONAI's networks of two, whole but for their last convolution, and back."""
    torch.manual_seed(0)
    for name, other, options in (
        ("swin_unetr", nets.SwinUNETR(2, 3, **SMALL), SMALL),
        ("unetr", nets.UNETR(2, 3, (64, 32, 32), **TINY), {**TINY, "img_size": (32, 32, 32)}),
    ):
        source = shaken(umzoo.create_model(name, **options))
        report = umzoo.transfer(source, other)
        assert report.coverage == report.decoder_coverage == 1
        assert all(it.startswith("out.") or "cross_attn" in it for it in report.fresh)
        with torch.no_grad():
            found = other.eval()(image().repeat(1, 2, 1, 1, 1))
            expected = other.out(source(image(), dense=True).dense)
        torch.testing.assert_close(found, expected, atol=1e-3 * float(expected.abs().max()), rtol=0)
        again = umzoo.create_model(name, in_channels=2, **options)
        assert (
            umzoo.transfer({"state_dict": {f"net.{k}": v for k, v in other.state_dict().items()}}, again).coverage > 0.9
        )


def test_into_monais_transformer():
    source = shaken(umzoo.create_model("swin_unetr", **SMALL))
    target = transformer()
    report = umzoo.transfer(source, target)
    assert report.coverage == 1 and not report.fresh
    assert report.dropped


def test_importer_conforms():
    check_importer("monai_swin")


@pytest.mark.parametrize(
    ("transform", "arguments"),
    [
        ("RandGibbsNoise", {"alpha": (0.4, 0.8)}),
        ("RandGaussianNoise", {"std": 0.2}),
        ("RandCoarseDropout", {"holes": 3, "spatial_size": 5, "fill_value": 0.0}),
        ("RandCoarseShuffle", {"holes": 3, "spatial_size": 4}),
    ],
)
def test_transforms_conform(transform, arguments):
    check_corruption("monai_transform", transform=transform, arguments=arguments, p=0.7)


def test_wrong_transforms_are_refused():
    with pytest.raises(ConfigError, match=r"no random array transform 'RandGibsNoise' .*RandGibbsNoise"):
        zoo().corruptions.build({"name": "monai_transform", "transform": "RandGibsNoise"})
    with pytest.raises(ConfigError, match="arguments of RandGaussianNoise"):
        zoo().corruptions.build({"name": "monai_transform", "transform": "RandGaussianNoise", "arguments": {"x": 1}})
    crop = {"name": "monai_transform", "transform": "RandSpatialCrop"}
    with pytest.raises(ConfigError):
        zoo().corruptions.build(crop)


def test_unetr_is_monais():
    original = shaken(nets.UNETR(1, 3, (64, 32, 32), **TINY))
    network = zoo().backbones.build({"name": "unetr", "img_size": (64, 32, 32), **TINY}).eval()
    state = original.state_dict()
    network.load_state_dict({name: state[name.partition(".")[2]] for name in network.state_dict()})
    with torch.no_grad():
        assert torch.allclose(original.out(network(image(), dense=True).dense), original(image()), atol=1e-5)


@pytest.mark.parametrize(
    ("use_v2", "prefix"),
    [(False, ""), (False, "module."), (False, "module.backbone."), (False, "model."), (True, "module.backbone.")],
)
def test_a_whole_network_arrives(tmp_path, use_v2, prefix):
    original = swin(use_v2=use_v2)
    state = {prefix + name: value for name, value in original.state_dict().items()}
    out = run(tmp_path, {"net": state})
    network = load_backbone(out)
    with torch.no_grad():
        assert torch.allclose(original.out(network(image(), dense=True).dense), original(image()), atol=1e-5)
    info = read_info(out)
    assert info.name == f"swin_unetr.{'voco' if use_v2 else 'swin_unetr'}"
    assert (info.plugin, info.parts) == ("umzoo-monai", ("encoder", "decoder"))
    assert (info.input.axes, info.input.orientation, info.input.space) == ("xyz", "RAS", "unit")
    assert len(load_state(out)) + len(load_state(out, "pretext.safetensors")) == len(state)


def old_names(name):
    """The names of ``model_swinvit.pt``."""
    return "module." + name.replace(".mlp.linear", ".mlp.fc")


def autoencoder_names(name):
    """The names of ``ssl_pretrained_weights.pth``."""
    for part in ("blocks", "downsample"):
        name = name.replace(f".0.{part}.", f".0.0.{part}.")
    return "encoder." + name


@pytest.mark.parametrize("rename", [old_names, autoencoder_names, "swinViT.{}".format])
def test_a_transformer_alone_arrives(tmp_path, rename):
    original = transformer()
    state = {rename(name): value for name, value in original.state_dict().items()}
    heads = {"module.rotation_head.weight": torch.ones(4, 8)}
    out = run(tmp_path, {"state_dict": state | heads})
    with torch.no_grad():
        found = load_backbone(out).encode(image())
        assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(found, original(image()), strict=True))
    info = read_info(out)
    assert (info.name, info.input.rule("ct").window) == ("swin_vit.monai_ssl", (-1000, 1000))
    assert info.monai_swin["also_holds"] == {"rotation_head.weight": 1}


def test_it_goes_on_into_a_whole_network(tmp_path):
    out = run(tmp_path, transformer().state_dict())
    network = umzoo.create_model("swin_unetr", **SMALL)
    report = umzoo.transfer(out, network, {"minimum": 0.01})
    assert not report.dropped
    assert torch.equal(
        network.encoder["swinViT"].patch_embed.proj.weight, load_state(out)["encoder.swinViT.patch_embed.proj.weight"]
    )


def test_heads_of_voco_bring_the_encoder(tmp_path):
    state = {f"backbone.{name}": value for name, value in swin(use_v2=True).state_dict().items()}
    state = {name: value for name, value in state.items() if ".decoder" not in name and ".out." not in name}
    out = run(tmp_path, state | {"student.layer3.0.bias": torch.ones(3)})
    info = read_info(out)
    assert (info.name, info.parts) == ("swin_unetr.voco", ("encoder",))
    assert load_backbone(out).encode(image())


def test_other_files_are_refused(tmp_path):
    with pytest.raises(WeightsError, match="no Swin transformer"):
        run(tmp_path, {"conv.weight": torch.ones(1)})
    state = swin().state_dict()
    del state["decoder5.transp_conv.conv.weight"]
    with pytest.raises(WeightsError, match=r"1 missing: decoder5\.transp_conv\.conv\.weight"):
        run(tmp_path, state)


def test_public_checkpoints_name_networks_and_options_that_exist():
    entries = list(public_checkpoints())
    assert len({(entry.location, entry.files) for entry in entries}) == len(entries) >= 10
    for entry in entries:
        assert zoo().weights[entry.name] == entry
        assert entry.name.partition(".")[0] in zoo().backbones
        _, options = zoo().importers.options({"name": entry.importer, "tag": entry.tag, **entry.options})
        assert options.tag == entry.tag and options.source in (SOURCES if "swin" in entry.name else SEGRESNETS)
        assert entry.license in ("Apache-2.0", "CC-BY-NC-ND-4.0")
        assert entry.files or entry.location.startswith("https://")


@pytest.mark.parametrize(
    ("network", "options", "tasks"),
    [
        ("swin_unetr", SMALL, ["restoration", "scale_classification"]),
        ("swin_unetr", {**SMALL, "use_v2": True, "dropout_path_rate": 0.2, "use_checkpoint": True}, ["restoration"]),
        ("swin_vit", SMALL, ["scale_classification", "modality_adversarial"]),
        ("unetr", TINY, ["restoration", "modality_adversarial"]),
    ],
)
def test_trains_exports_and_transfers(network, options, tasks, tmp_path):
    recipe = {
        "backbone": {"name": network, **options},
        "pretext": {"corruptions": [GIBBS], "tasks": [{"name": task} for task in tasks]},
        "data": {"patch_size": (32, 32, 64), "scales": (1.0, 2.0)},
    }
    check_training(recipe, tmp_path)


@pytest.mark.parametrize(("network", "options"), [("swin_unetr", SMALL), ("unetr", TINY)])
def test_trains_as_a_masked_autoencoder(network, options, tmp_path):
    pytest.importorskip("umzoo_mae")
    recipe = {
        "backbone": {"name": network, **options},
        "pretext": {"tasks": [{"name": "mae", "mode": "dense"}]},
        "data": {"patch_size": (32, 32, 64)},
    }
    check_training(recipe, tmp_path)


@pytest.mark.parametrize("told", [True, False])
def test_processes_train_it_without_its_decoder(told, tmp_path):
    """The convolutions of its skip connections get no gradient then, which DDP must be told."""
    recipe = {"backbone": {"name": "swin_unetr", **SMALL}, "pretext": {"tasks": [{"name": "modality_adversarial"}]}}
    model = build_from_recipe(zoo(), Recipe.parse(recipe), ("ct", "mr"))
    assert Trainer.may_leave_out(SimpleNamespace(model=model))
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
    try:
        wrapped = DistributedDataParallel(model, find_unused_parameters=told)
        batch = training_batch((32, 32, 64), items=2)
        wrapped(batch, umzoo.Rng(0)).loss.backward()
        with nullcontext() if told else pytest.raises(RuntimeError, match="find_unused_parameters"):
            wrapped(batch, umzoo.Rng(1)).loss.backward()
    finally:
        distributed.destroy_process_group()
