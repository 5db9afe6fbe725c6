"""Files for nnU-Net's own commands, read by nnU-Net's own functions."""

import json

import pytest
import torch
from nnunetv2.run.load_pretrained_weights import load_pretrained_weights

import umzoo
from umzoo.backbones.state import canonical_name, canonical_state
from umzoo.downstream.browse.into import transfer_page
from umzoo.errors import ConfigError, WeightsError
from umzoo.nnunet.files.nnssl_checkpoint import export_nnssl
from umzoo.nnunet.files.nnunet_checkpoint import convert, network_of_weights, planned_in
from umzoo.nnunet.planning.configuration import Planned
from umzoo.nnunet.planning.default_plan import plan_without_writing
from umzoo.nnunet.planning.planner import propose
from umzoo.spec import InputSpec
from umzoo.weights.folder.reader import read_info
from umzoo.weights.folder.tensors import load_state

STEM = "encoder.stem.convs.0.conv.weight"


def planned_for(folder):
    """The configuration that is planned for *folder*."""
    proposal = propose("501", folder)
    proposal.write()
    return planned_in(proposal.file, "3d_fullres")


def kernels(network):
    """Convolution kernels of *network* but its heads."""
    state = canonical_state(network)
    return {name: it for name, it in state.items() if it.ndim == 5 and ".seg_layers." not in name}


def test_nnunet_loads_the_file_for_a_plan(dataset, narrow_weights, tmp_path):
    """Every kernel arrives, whatever the number of classes, with the adaptation that the report tells."""
    dataset("prostate")
    folder, source = narrow_weights()
    planned = planned_for(folder)
    report = convert(folder, tmp_path / "init.pth", planned)
    assert report.coverage == report.decoder_coverage == 1
    content = torch.load(tmp_path / "init.pth", weights_only=True)
    state = content["network_weights"]
    assert len(state) > 3 * len(canonical_state(planned.build()))
    assert all(torch.equal(value, state[canonical_name(name)]) for name, value in state.items())
    network = Planned(planned.plans, "3d_fullres", planned.dataset | {"labels": {"background": 0, "a": 1}}).build()
    assert not any(torch.equal(value, state[name]) for name, value in kernels(network).items())
    load_pretrained_weights(network, str(tmp_path / "init.pth"))
    loaded, ours = kernels(network), canonical_state(source)
    assert all(torch.equal(value, state[name]) for name, value in loaded.items())
    assert all(
        torch.equal(loaded[name], ours[report.of("exact")[name].source]) for name in report.exact if name in loaded
    )
    torch.testing.assert_close(loaded[STEM], ours[STEM].sum(2, keepdim=True).repeat(1, 2, 1, 1, 1) / 2)
    assert content["umzoo"]["weights"] == "resenc_unet_l.test" and content["umzoo"]["license"] == "cc-by-4.0"
    assert str(tmp_path) not in json.dumps(content["umzoo"])


def test_a_page_shows_what_a_plan_would_take(dataset, narrow_weights, tmp_path):
    dataset("prostate")
    folder, _ = narrow_weights()
    proposal = propose("501", folder)
    proposal.write()
    transfer_page(folder, str(proposal.file)).write(tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text()
    assert "100.0% of the encoder" in html and "1 to 2 input channels" in html and "would be refused" not in html


@pytest.mark.parametrize("name", ["resenc_unet_s", "plainconv_unet"])
def test_nnunet_loads_the_file_of_the_weights_own_network(narrow_weights, tmp_path, name):
    folder, source = narrow_weights(name, (4, 8, 12, 12))
    assert convert(folder, tmp_path / "init.pth").coverage == 1
    network = network_of_weights(read_info(folder), classes=7)
    load_pretrained_weights(network, str(tmp_path / "init.pth"))
    ours = canonical_state(source)
    assert all(torch.equal(value, ours[name]) for name, value in kernels(network).items())


def test_files_are_small_and_never_overwritten(narrow_weights, tmp_path):
    folder, source = narrow_weights(features=(4, 8))
    out = tmp_path / "init.pth"
    convert(folder, out)
    values = sum(value.numel() * value.element_size() for value in canonical_state(source).values())
    assert out.stat().st_size < 2 * values + 200_000
    before = out.read_bytes()
    with pytest.raises(WeightsError, match="exists already"):
        convert(folder, out)
    with pytest.raises(WeightsError, match="no folder"):
        convert(folder, tmp_path / "none" / "init.pth")
    assert out.read_bytes() == before


def test_what_does_not_fit_writes_nothing(dataset, narrow_weights, tmp_path):
    preprocessed = dataset()
    folder, _ = narrow_weights()
    own = plan_without_writing("501", False)
    with pytest.raises(WeightsError, match="plain U-Net"):
        convert(folder, tmp_path / "init.pth", Planned(own.plans, "3d_fullres", own.dataset))
    own = plan_without_writing("501", True)
    with pytest.raises(WeightsError, match="only 0.0% of the encoder"):
        convert(folder, tmp_path / "init.pth", Planned(own.plans, "3d_fullres", own.dataset))
    with pytest.raises(WeightsError, match="nnU-Net's plans support only"):
        convert(genesis(tmp_path), tmp_path / "init.pth")
    (preprocessed / "dataset.json").unlink()
    (preprocessed / "somePlans.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"dataset\.json is missing"):
        planned_in(preprocessed / "somePlans.json", "3d_fullres")
    assert not list(tmp_path.glob("*.pth*")) and not list(tmp_path.glob(".*.writing*"))


def genesis(tmp_path):
    """Weights of a network that nnU-Net does not plan."""
    umzoo.save_pretrained(umzoo.create_model("genesis_unet"), tmp_path / "genesis")
    return tmp_path / "genesis"


def adaptation_plan(folder, patch=(64, 96, 96)):
    """The content of the trio in *folder*, once its parts agree."""
    content = torch.load(folder / "checkpoint_final.pth", weights_only=True)
    plan = json.loads((folder / "adaptation_plan.json").read_text())
    assert plan.pop("trainer_name") == content["trainer_name"]
    assert json.loads(json.dumps(content["nnssl_adaptation_plan"])) == plan
    assert json.loads((folder / "config.json").read_text())["license"] == "cc-by-4.0"
    needed = ("pretrain_num_input_channels", "recommended_downstream_patchsize", "keys_to_in_proj", "key_to_lpe")
    assert all(key in plan for key in needed)
    assert plan["architecture_plans"].keys() == {"arch_class_name", "arch_kwargs", "arch_kwargs_requiring_import"}
    configuration = next(iter(plan["pretrain_plan"]["configurations"].values()))
    assert configuration["spacing"] == [1.5, 1.0, 1.0] and configuration["patch_size"] == list(patch)
    return plan, content["network_weights"]


def load_as_nnssl_does(network, plan, state):
    """Encoder and stem are loaded strictly, by the prefixes that the plan names."""
    for ours, theirs in ((network.key_to_encoder, "key_to_encoder"), (network.key_to_stem, "key_to_stem")):
        prefix = plan[theirs] + "."
        part = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        network.get_submodule(ours).load_state_dict(part, strict=True)


def test_nnssl_form_of_a_residual_network(narrow_weights, tmp_path):
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

    folder, source = narrow_weights()
    export_nnssl(folder, tmp_path / "trio")
    plan, state = adaptation_plan(tmp_path / "trio")
    described = plan["architecture_plans"]
    network = get_network_from_plans(
        described["arch_class_name"], described["arch_kwargs"], described["arch_kwargs_requiring_import"], 1, 5
    )
    load_as_nnssl_does(network, plan, state)
    ours = canonical_state(source)
    found = {name: value for name, value in kernels(network).items() if name.startswith("encoder.")}
    assert len(found) > 50 and all(torch.equal(value, ours[name]) for name, value in found.items())
    assert all(f"{key}.weight" in state for key in plan["keys_to_in_proj"]) and not any(
        "seg_layers" in it for it in state
    )
    with pytest.raises(WeightsError, match="exists already"):
        export_nnssl(folder, tmp_path / "trio")


def test_nnssl_form_of_a_transformer(tmp_path):
    from dynamic_network_architectures.architectures.primus import PrimusS

    spec = InputSpec(spacing=(1.5, 1.0, 1.0), patch_size=(16, 16, 24))
    network = umzoo.create_model("primus_s", input_shape=(16, 16, 24))
    umzoo.save_pretrained(network, tmp_path / "weights", input=spec, license="cc-by-4.0")
    export_nnssl(tmp_path / "weights", tmp_path / "trio")
    plan, state = adaptation_plan(tmp_path / "trio", (16, 16, 24))
    assert plan["architecture_plans"]["arch_class_name"] == "PrimusS"
    target = PrimusS(1, 3, (8, 8, 8), (16, 16, 24))
    load_as_nnssl_does(target, plan, state)
    stored = load_state(tmp_path / "weights")
    found = {name: it for name, it in target.state_dict().items() if name.startswith(("eva.", "down_projection."))}
    assert len(found) > 100 and all(torch.equal(value, stored[f"encoder.{name}"]) for name, value in found.items())
    image = torch.randn(1, 1, 16, 16, 24, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        tokens = target.eval().eva(target.down_projection(image).flatten(2).transpose(1, 2))[0]
        ours = network.eval().encode(image)[0].flatten(2).transpose(1, 2)
    torch.testing.assert_close(tokens, ours, rtol=1e-3, atol=1e-3)


def test_nnssl_form_is_refused_where_its_reader_would_fail(narrow_weights, tmp_path):
    folder, _ = narrow_weights("plainconv_unet", (4, 8))
    with pytest.raises(WeightsError, match="-pretrained_weights instead"):
        export_nnssl(folder, tmp_path / "trio")
    folder, _ = narrow_weights(features=(4, 8), spec=InputSpec())
    with pytest.raises(ConfigError, match="no patch size"):
        export_nnssl(folder, tmp_path / "trio")
    with torch.device("meta"):
        spec = umzoo.create_model("primus_s", input_shape=(16, 16, 16), layer_scale=None).spec
    from umzoo.nnunet.files.nnssl_checkpoint import adaptation_plan as plan_of
    from umzoo.weights.folder.info import WeightsInfo

    with pytest.raises(WeightsError, match="differs from the PrimusS .* layer_scale=0.1"):
        plan_of(WeightsInfo(name="primus_s.x", backbone=spec, input=InputSpec(patch_size=(16, 16, 16))))
    assert not (tmp_path / "trio").exists()


def test_a_cascade_sees_labels_beside_its_images(nnunet, weights, tmp_path):
    """The kernels of its label channels start at zero, those of the image stay as they were."""
    plans = json.loads((nnunet / "nnUNetResEncUNetMPlans.json").read_text())
    configurations = plans["configurations"]
    configurations["3d_lowres"] = {**configurations["3d_fullres"], "next_stage": "3d_cascade_fullres"}
    configurations["3d_cascade_fullres"] = {"inherits_from": "3d_fullres", "previous_stage": "3d_lowres"}
    dataset = json.loads((nnunet / "dataset.json").read_text())
    dataset["labels"] |= {"rim": 2}
    planned = Planned(plans, "3d_cascade_fullres", dataset)
    convert(weights, tmp_path / "out.pth", planned)
    kernel = torch.load(tmp_path / "out.pth", weights_only=True)["network_weights"][STEM]
    assert torch.equal(kernel[:, :1], load_state(weights)[STEM])
    assert kernel.shape[1] == 3 and not kernel[:, 1:].any()
