"""Plans by nnU-Net's real planner, from fingerprints: what the network takes from weights, and what it keeps."""

import io
import json

import pytest
import torch

from umzoo.backbones.state import canonical_state, named_tensors
from umzoo.errors import ConfigError, DataError, UmzooError, WeightsError
from umzoo.fields import Rng
from umzoo.nnunet.planning.architecture_fit import candidate, fitted
from umzoo.nnunet.planning.configuration import Planned, read_planned
from umzoo.nnunet.planning.default_plan import plan_without_writing
from umzoo.nnunet.planning.plan_report import choices_table, commands, networks_table
from umzoo.nnunet.planning.planner import Choices, propose
from umzoo.plugins import zoo
from umzoo.spec import InputSpec
from umzoo.weights.transfer import transfer

NARROW = (4, 8, 16, 32, 40, 40)
STEM = "encoder.stem.convs.0.conv.weight"
KINDS = ["hippocampus", "prostate", "thick_ct", "brain"]


def own_network(residual=True, classes=3):
    """nnU-Net's own 3D network for data set 501, narrow."""
    own = plan_without_writing("501", residual)
    plans = json.loads(json.dumps(own.plans))
    arguments = plans["configurations"]["3d_fullres"]["architecture"]["arch_kwargs"]
    arguments["features_per_stage"] = [*NARROW, 40, 40][: arguments["n_stages"]]
    return Planned(plans, "3d_fullres", own.dataset).build()


@pytest.mark.parametrize(
    ("kind", "stages", "encoder", "decoder"),
    [
        ("hippocampus", 4, 1.0, 1.0),
        ("prostate", 7, 0.730, 0.632),
        ("thick_ct", 6, 1.0, 0.996),
        ("thin_ct", 6, 1.0, 0.965),
        ("brain", 6, 1.0, 0.965),
    ],
)
def test_coverage_of_nnunets_own_networks(dataset, kind, stages, encoder, decoder):
    """Six stages of full width into what nnU-Net plans; stages of the weights take all of it."""
    dataset(kind)
    with torch.device("meta"):
        source = zoo().backbones.build("resenc_unet_l")
    state, own = dict(named_tensors(source)), plan_without_writing("501", True)
    settings = own.configuration("3d_fullres")
    entry = settings["architecture"]
    found = candidate("", own, settings, entry, state)
    assert found.stages == stages
    assert found.report.coverage >= encoder and found.report.decoder_coverage >= decoder
    best = candidate("", own, settings, fitted(entry, source.config, "nnunet"), state)
    assert best.report.coverage == best.report.decoder_coverage == 1
    assert best.stages == min(stages, 6) and best.patch == tuple(settings["patch_size"])


@pytest.mark.parametrize("kind", KINDS)
def test_every_kernel_comes_from_its_depth(dataset, narrow_weights, kind):
    """Source tensors carry their depth; counterparts are found here by counting stages, not by the engine."""
    dataset(kind)
    folder, source = narrow_weights()
    with torch.no_grad():
        for name, value in canonical_state(source).items():
            stage = [int(part) for part in name.split(".") if part.isdigit()][:1] or [0]
            value.add_(10 * stage[0] + (100 if name.startswith("decoder.") else 0))
    target = own_network()
    before = {name: value.clone() for name, value in canonical_state(target).items()}
    transfer(source, target, {"minimum": 0.1})
    ours, theirs = canonical_state(source), canonical_state(target)
    stages = 1 + max(int(name.split(".")[2]) for name in theirs if name.startswith("encoder.stages."))
    mapped = 0
    for name, value in theirs.items():
        if value.ndim != 5 or ".seg_layers." in name:
            continue
        counterpart = ours.get(at_the_same_depth(name, 6 - stages))
        if counterpart is None:
            assert torch.equal(value, before[name]), name
            continue
        mapped += 1
        torch.testing.assert_close(value, adapted(counterpart, value.shape, "transpconvs" in name), msg=name)
    assert mapped > 20


def at_the_same_depth(name, deeper):
    """Name in the source, which has *deeper* more stages; decoders count from the bottom."""
    part, kind, *rest = name.split(".")
    if part == "encoder":
        return name
    return ".".join([part, kind, str(int(rest[0]) + deeper), *rest[1:]])


def adapted(value, shape, transposed):
    """*value* for another kernel or number of channels: summed over flat axes, averaged where strides fall away."""
    for axis in (2, 3, 4):
        if value.shape[axis] != shape[axis]:
            value = value.mean(axis, keepdim=True) if transposed else value.sum(axis, keepdim=True)
    return value.repeat(1, shape[1], 1, 1, 1) / shape[1] if value.shape[1] != shape[1] else value


@pytest.mark.parametrize(("kind", "stages"), [("hippocampus", 4), ("brain", 5)])
def test_isotropic_stages_compute_the_same(dataset, narrow_weights, kind, stages):
    """Stages before the first other stride; an image of equal channels for the brain's four."""
    dataset(kind)
    folder, source = narrow_weights()
    target = own_network().eval()
    transfer(folder, target)
    image = Rng(0).normal((1, 1, 64, 32, 32))
    channels = canonical_state(target)[STEM].shape[1]
    pairs = zip(source.encode(image), target.encoder(image.repeat(1, channels, 1, 1, 1)), strict=False)
    for ours, theirs in list(pairs)[:stages]:
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def test_plain_networks_are_refused(dataset, narrow_weights):
    dataset()
    folder, _ = narrow_weights()
    target = own_network(residual=False)
    before = {name: value.clone() for name, value in canonical_state(target).items()}
    with pytest.raises(WeightsError, match="residual-encoder U-Net, but the target .* is a plain U-Net"):
        transfer(folder, target)
    assert all(torch.equal(value, before[name]) for name, value in canonical_state(target).items())


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("kind", ["hippocampus", "prostate", "small_ct"])
def test_batch_size_is_nnunets(dataset, kind, residual):
    dataset(kind, cases=300)
    own = plan_without_writing("501", residual)
    settings = own.configuration("3d_fullres")
    patch, image = settings["patch_size"], settings["median_image_size_in_voxels"]
    features = own.features(settings["architecture"], patch)
    assert own.batch_size(features, patch, image) == settings["batch_size"]


def test_a_plan_takes_all_of_the_weights(dataset, narrow_weights):
    """Seven planned stages become the six of the weights; the rest is nnU-Net's, its preprocessed data included."""
    preprocessed = dataset("prostate")
    folder, _ = narrow_weights()
    files = set(preprocessed.iterdir())
    proposal = propose("501", folder)
    assert set(preprocessed.iterdir()) - files == {preprocessed / "dataset.json"}
    proposal.write()
    planned = read_planned(preprocessed, "umzoo-resenc-unet-l-test-MPlans", "3d_fullres")
    report = transfer(folder, planned.build())
    assert report.coverage == report.decoder_coverage == 1 and planned.in_channels == 2
    own, settings = proposal.own_settings, proposal.settings
    kept = ("spacing", "normalization_schemes", "patch_size", "data_identifier", "resampling_fn_data_kwargs")
    assert all(settings[name] == own[name] for name in kept)
    arguments = settings["architecture"]["arch_kwargs"]
    assert (arguments["n_stages"], own["architecture"]["arch_kwargs"]["n_stages"]) == (6, 7)
    assert arguments["kernel_sizes"] == own["architecture"]["arch_kwargs"]["kernel_sizes"][:6]
    assert arguments["features_per_stage"] == list(NARROW) and arguments["n_conv_per_stage_decoder"] == [1] * 5
    image = torch.zeros(1, 2, *settings["patch_size"])
    with torch.device("meta"):
        assert planned.build()(image.to("meta"))[0].shape[2:] == image.shape[2:]
    assert proposal.plans["umzoo_planned"]["encoder"] == 1


def test_never_more_stages_than_planned(dataset, narrow_weights):
    dataset("hippocampus")
    folder, _ = narrow_weights(n_conv_per_stage_decoder=[1, 2, 1, 1, 2])
    arguments = propose("501", folder).settings["architecture"]["arch_kwargs"]
    assert arguments["n_stages"] == 4 and arguments["n_blocks_per_stage"] == [1, 3, 4, 6]
    assert arguments["n_conv_per_stage_decoder"] == [1, 1, 2]


def test_plain_weights_get_nnunets_default_planner(dataset, narrow_weights):
    dataset("brain")
    folder, _ = narrow_weights("plainconv_unet")
    proposal = propose("501", folder)
    assert proposal.plans["experiment_planner_used"] == "ExperimentPlanner"
    assert proposal.taken.report.coverage == proposal.taken.report.decoder_coverage == 1


def test_spacing_of_the_weights(dataset, narrow_weights):
    dataset("small_ct")
    folder, _ = narrow_weights()
    usual, other = propose("501", folder), propose("501", folder, Choices(spacing="weights"))
    assert usual.settings["spacing"] == [1.5, 1.2, 1.2] and other.settings["spacing"] == [1.5, 1.0, 1.0]
    assert other.settings["data_identifier"] == "umzoo_1.5x1x1_zyx_CT_3d_fullres"
    assert other.settings["median_image_size_in_voxels"] == [60, 96, 96]
    assert "nnUNetv2_preprocess -d 501 -plans_name " + other.name in commands(other, "REF")[0]
    folder, _ = narrow_weights(spec=InputSpec())
    with pytest.raises(ConfigError, match="native spacing"):
        propose("501", folder, Choices(spacing="weights"))


def test_spacing_follows_the_axes_of_the_weights(dataset, narrow_weights):
    dataset("small_ct")
    folder, _ = narrow_weights(spec=InputSpec(spacing=(1.0, 1.0, 2.0), axes="xyz"))
    assert propose("501", folder, Choices(spacing="weights")).settings["spacing"] == [2.0, 1.0, 1.0]


@pytest.mark.parametrize(("space", "scheme"), [("zscore", "ZScore"), ("unit", "RescaleTo01")])
def test_normalization_of_the_weights(dataset, narrow_weights, space, scheme):
    dataset("small_ct")
    folder, _ = narrow_weights(spec=InputSpec(space=space))
    assert propose("501", folder).settings["normalization_schemes"] == ["CTNormalization"]
    settings = propose("501", folder, Choices(normalization="weights")).settings
    assert settings["normalization_schemes"] == [f"{scheme}Normalization"] and settings["use_mask_for_norm"] == [False]
    assert settings["data_identifier"] == f"umzoo_1.5x1.2x1.2_zyx_{scheme}_3d_fullres"


def test_patch_and_kernels_of_the_weights(dataset, narrow_weights):
    dataset("prostate")
    folder, _ = narrow_weights(spec=InputSpec(patch_size=(30, 100, 100)))
    patch = propose("501", folder, Choices(patch="weights"))
    strides = patch.settings["architecture"]["arch_kwargs"]["strides"]
    totals = torch.tensor(strides).prod(0)
    size = patch.settings["patch_size"]
    assert size != patch.own_settings["patch_size"] and all(n >= m for n, m in zip(size, (30, 100, 100), strict=True))
    assert not any(n % m for n, m in zip(size, totals.tolist(), strict=True))
    kernels = propose("501", folder, Choices(kernels="weights", batch_size=3))
    arguments = kernels.settings["architecture"]["arch_kwargs"]
    assert arguments["kernel_sizes"] == [[3, 3, 3]] * 6 and arguments["strides"] == [[1, 1, 1]] + [[2, 2, 2]] * 5
    assert kernels.settings["patch_size"] == [32, 256, 256] and kernels.settings["batch_size"] == 3
    assert set(kernels.taken.report.adapted) == {STEM}


def test_plans_are_never_overwritten(dataset, narrow_weights):
    preprocessed = dataset()
    folder, _ = narrow_weights()
    first = propose("501", folder, name="minePlans")
    first.write()
    file = preprocessed / "minePlans.json"
    content, time = file.read_bytes(), file.stat().st_mtime_ns
    first.write()
    with pytest.raises(ConfigError, match="choose another --name"):
        propose("501", folder, Choices(batch_size=5), "minePlans").write()
    assert (file.read_bytes(), file.stat().st_mtime_ns) == (content, time)
    assert not list(preprocessed.glob(".*"))
    with pytest.raises(ConfigError, match="cannot be called"):
        propose("501", folder, name="a__b")


def test_data_made_otherwise_under_nnunets_name_is_not_used(dataset, narrow_weights):
    preprocessed = dataset()
    folder, _ = narrow_weights()
    others = {"data_identifier": "nnUNetPlans_3d_fullres", "spacing": [2.0, 2.0, 2.0]}
    others |= {"normalization_schemes": ["ZScoreNormalization"], "use_mask_for_norm": [False]}
    (preprocessed / "oldPlans.json").write_text(
        json.dumps({"transpose_forward": [0, 1, 2], "configurations": {"3d_fullres": others}})
    )
    assert propose("501", folder).settings["data_identifier"] == "umzoo_1x1x1_zyx_ZScore_3d_fullres"


def test_what_is_missing_is_said_with_its_command(dataset, narrow_weights, folders):
    preprocessed = dataset()
    folder, _ = narrow_weights()
    with pytest.raises(ConfigError, match="no 3D network '2d' for this data set: choose 3d_fullres"):
        propose("501", folder, Choices(configuration="2d"))
    with pytest.raises(ConfigError, match="'preset'"):
        Choices.parse({"preset": "S"})
    (preprocessed / "dataset_fingerprint.json").unlink()
    with pytest.raises(DataError, match="run 'nnUNetv2_extract_fingerprint -d 501'"):
        propose("501", folder)
    with pytest.raises(UmzooError, match="expected one data set"):
        propose("77", folder)


def test_the_report_says_what_choices_cost(dataset, narrow_weights):
    from rich.console import Console

    preprocessed = dataset("prostate")
    folder, _ = narrow_weights()
    proposal = propose("501", folder)
    console = Console(width=400, record=True, file=io.StringIO())
    console.print(choices_table(proposal), networks_table(proposal))
    text = console.export_text()
    assert "1 left out: the coarsest map of a patch has 5x8x8 voxels, not 5x4x4" in text
    assert "100.0%" in text and "taken" in text and "GB" in text and "to be preprocessed" in text
    assert len(commands(proposal, "REF")) == 2
    data = preprocessed / "nnUNetPlans_3d_fullres"
    data.mkdir()
    assert len(commands(proposal, "REF")) == 2
    for number in range(20):
        (data / f"case{number}.pkl").touch()
    assert commands(proposal, "REF") == [f"umzoo nnunet train 501 3d_fullres 0 -p {proposal.name} --weights REF"]
