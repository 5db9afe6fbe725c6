"""U-Nets of another shape: what moves is the right tensor, bit for bit, and computes the same where it should."""

import pytest
import torch
from torch.nn import functional

from umzoo.backbones.state import canonical_state
from umzoo.fields import Rng
from umzoo.weights.transfer import transfer

STEM = "encoder.stem.convs.0.conv.weight"
SEVEN = ((1, 1, 1), (1, 2, 2), (1, 2, 2), (2, 2, 2), (2, 2, 2), (1, 2, 2), (1, 2, 2))
close = torch.testing.assert_close


def snapshot(network):
    """Copies of the tensors of *network*."""
    return {name: value.clone() for name, value in canonical_state(network).items()}


def check_values(report, source, target, before):
    """Exact kernels equal their source and not what was there; what is fresh is untouched."""
    ours, theirs = canonical_state(source), canonical_state(target)
    for record in report.tensors:
        if record.kind == "exact" and record.kernel:
            assert torch.equal(theirs[record.name], ours[record.source]), record.name
            assert not torch.equal(theirs[record.name], before[record.name]), record.name
        elif record.kind == "fresh":
            assert torch.equal(theirs[record.name], before[record.name]), record.name


def test_the_same_network_moves_whole(resenc):
    source, target = resenc(), resenc()
    before = snapshot(target)
    report = transfer(source, target)
    assert len(report.exact) == len(canonical_state(source)) == len(report.tensors)
    assert report.coverage == report.decoder_coverage == 1
    assert not report.adapted and not report.fresh and not report.dropped and not report.warnings
    check_values(report, source, target, before)


def test_into_nnunets_own_network_and_back(resenc, nnunet):
    source, target = resenc(), nnunet()
    before = snapshot(target)
    report = transfer(source, target)
    assert report.coverage == report.decoder_coverage == 1
    assert set(report.fresh) == {name for name in before if ".seg_layers." in name}
    check_values(report, source, target, before)
    image = Rng(0).normal((1, 1, 16, 16, 16))
    for ours, theirs in zip(source.encode(image), target.encoder(image), strict=True):
        assert torch.equal(ours, theirs)
    again = resenc()
    assert len(transfer(target, again).exact) == len(canonical_state(again))
    assert torch.equal(again(image, dense=True).dense, source(image, dense=True).dense)


@pytest.mark.parametrize("stages", [4, 7])
def test_decoders_are_matched_by_depth(nnunet, randomly, stages):
    """All stages have one shape, and each source tensor holds its depth: a wrong match would show."""
    alike = {"features_per_stage": 4, "n_blocks_per_stage": 1}
    source = nnunet(strides=((1, 1, 1),) + ((2, 2, 2),) * 5, **alike)
    target = randomly(nnunet(strides=((1, 1, 1),) + ((2, 2, 2),) * (stages - 1), **alike))
    for name, value in canonical_state(source).items():
        stage = [int(part) for part in name.split(".") if part.isdigit()][0]
        value.fill_(100 + stage if name.startswith("encoder.stages.") else 4 - stage)
    report = transfer(source, target)
    state = canonical_state(target)
    for stage in range(stages):
        value = state[f"encoder.stages.{stage}.blocks.0.conv1.conv.weight"]
        assert (value == 100 + stage).all() if stage < 6 else (value.abs() < 50).all()
    for index in range(stages - 1):
        depth = stages - 2 - index
        for name in (f"decoder.stages.{index}.convs.0.conv.weight", f"decoder.transpconvs.{index}.weight"):
            assert (state[name] == depth).all() if depth < 5 else name in report.fresh, name
    assert report.coverage == 1 if stages == 4 else report.coverage < 1
    if stages == 4:
        assert {record.note for record in report.dropped} == {
            "the target has 4 stages",
            "heads are not transferred",
        }


def test_six_into_seven_anisotropic_stages(nnunet, randomly):
    source = randomly(nnunet(strides=((1, 1, 1),) + ((2, 2, 2),) * 5))
    kernels = [[1, 3, 3]] * 2 + [[3, 3, 3]] * 5
    target = nnunet(strides=SEVEN, kernels=kernels, channels=2)
    before = snapshot(target)
    report = transfer(source, target, {"minimum": 0.1})
    check_values(report, source, target, before)
    ours, theirs = canonical_state(source), canonical_state(target)
    for record in report.tensors:
        if record.kind == "adapted" and record.name != STEM and "transpconvs" not in record.name:
            assert torch.equal(theirs[record.name], ours[record.source].sum(2, keepdim=True)), record.name
    close(theirs[STEM], ours[STEM].sum(2, keepdim=True).repeat(1, 2, 1, 1, 1) / 2)
    assert all("6 stages" in report.fresh[name] for name in theirs if name.startswith("encoder.stages.6."))
    assert torch.equal(theirs["decoder.transpconvs.2.weight"], ours["decoder.transpconvs.1.weight"])
    close(theirs["decoder.transpconvs.1.weight"], ours["decoder.transpconvs.0.weight"].mean(2, keepdim=True))
    assert [warning.partition(":")[0] for warning in report.warnings] == ["stage 1", "stage 2", "stage 5"]


def test_shallower_encoders_compute_the_same(nnunet, randomly):
    source = randomly(nnunet(strides=((1, 1, 1),) + ((2, 2, 2),) * 3)).eval()
    target = nnunet(strides=((1, 1, 1),) + ((2, 2, 2),) * 2).eval()
    transfer(source, target)
    image = Rng(0).normal((1, 1, 16, 16, 16))
    for ours, theirs in zip(source.encoder(image), target.encoder(image), strict=False):
        assert torch.equal(ours, theirs)


def test_duplicated_channels_compute_the_same(resenc):
    source, target = resenc(), resenc(in_channels=4)
    report = transfer(source, target)
    assert list(report.adapted) == [STEM] and report.coverage == 1
    image = Rng(0).normal((1, 1, 16, 16, 16))
    for ours, theirs in zip(source.encode(image), target.encode(image.repeat(1, 4, 1, 1, 1)), strict=True):
        close(ours, theirs)


def test_flat_kernels_compute_the_same_on_images_constant_along_z(resenc, randomly):
    source, target = randomly(resenc()), resenc(kernel_sizes=[[1, 3, 3], [1, 3, 3], 3])
    report = transfer(source, target)
    assert report.coverage == report.decoder_coverage == 1 and len(report.adapted) == 9
    ours, theirs = canonical_state(source), canonical_state(target)
    for name, note in report.adapted.items():
        assert note == "kernel 3x3x3 to 1x3x3 (sum)"
        plane = Rng(1).normal((1, ours[name].shape[1], 1, 6, 6))
        close(functional.conv3d(plane, theirs[name]), functional.conv3d(plane.expand(-1, -1, 3, -1, -1), ours[name]))


def test_cubic_kernels_compute_the_same_as_the_flat_ones_they_hold(resenc, randomly):
    source, target = randomly(resenc(kernel_sizes=[[1, 3, 3], 3, 3])).eval(), resenc(kernel_sizes=[3, 5, 3]).eval()
    report = transfer(source, target)
    assert report.coverage == 1 and "(center)" in report.adapted[STEM]
    image = Rng(0).normal((1, 1, 16, 16, 16))
    for ours, theirs in zip(source.encode(image), target.encode(image), strict=True):
        close(ours, theirs)


@pytest.mark.parametrize(("rules", "taps"), [({}, "sum"), ({"kernels": "crop"}, "crop")])
def test_smaller_kernels_by_the_rules(resenc, rules, taps):
    report = transfer(resenc(kernel_sizes=[7, 5, 3]), resenc(), rules)
    assert report.adapted[STEM] == f"kernel 7x7x7 to 3x3x3 ({taps})" and report.coverage == 1


def test_blocks_that_one_side_lacks(resenc):
    more, fewer = resenc(n_blocks_per_stage=[1, 3, 2]), resenc(n_blocks_per_stage=[1, 2, 1])
    report = transfer(fewer, more)
    assert {name.split(".blocks.")[0] + name.split(".blocks.")[1][0] for name in report.fresh} == {
        "encoder.stages.12", "encoder.stages.21"
    }  # fmt: skip
    assert set(report.fresh.values()) == {"the source has no such block or tensor"}
    report = transfer(more, fewer)
    assert report.coverage == 1 and not report.fresh
    assert {record.note for record in report.dropped} == {"the target has no such block or tensor"}


def test_short_cuts_are_found_whatever_their_place(resenc):
    """A pooling layer before it shifts the index of the short cut's convolution."""
    source, target = resenc(strides=[1, 1, 2]), resenc()
    report = transfer(source, target)
    assert report.coverage == 1
    assert report.of("exact")["encoder.stages.1.blocks.0.skip.1.conv.weight"].source.endswith("skip.0.conv.weight")


def test_channels_by_name_and_zero(resenc):
    source, target = resenc(in_channels=2), resenc(in_channels=3)
    transfer(source, target, {"source_channels": ["t1", "t2"], "target_channels": ["t2", "adc", "t1"]})
    ours, theirs = canonical_state(source)[STEM], canonical_state(target)[STEM]
    assert torch.equal(theirs[:, [2, 0]], ours) and not theirs[:, 1].any()
    report = transfer(source, target, {"channels": "zero"})
    assert torch.equal(theirs[:, :2], ours) and not theirs[:, 2].any()
    assert report.adapted[STEM] == "2 to 3 input channels (zero)"
    names = {"source_channels": ["t1", "t2"], "target_channels": ["t2", "t1"]}
    swapped = resenc(in_channels=2)
    assert STEM in transfer(source, swapped, names).adapted
    assert torch.equal(canonical_state(swapped)[STEM], ours.flip(1))


def test_widths_change_only_when_asked(resenc, randomly):
    source, target = randomly(resenc()).eval(), resenc(features_per_stage=[6, 9, 12]).eval()
    report = transfer(source, target, {"widths": "slice", "minimum": 0.1})
    assert 0.3 < report.coverage < 0.6 and not report.fresh
    image = Rng(0).normal((1, 1, 16, 16, 16))
    ours, theirs = source(image, dense=True), target(image, dense=True)
    for a, b in zip((*ours.levels, ours.dense), (*theirs.levels, theirs.dense), strict=True):
        close(a, b[:, : a.shape[1]])
    narrow = resenc(features_per_stage=[2, 3, 4])
    assert transfer(source, narrow, {"widths": "slice"}).coverage == 1


def test_parts(resenc):
    target = resenc()
    report = transfer(resenc(), target, {"parts": ["encoder"]})
    assert (report.coverage, report.decoder_coverage) == (1, 0)
    assert set(report.fresh.values()) == {"the rules exclude the decoder"}
    encoder = {name: value for name, value in canonical_state(target).items() if name.startswith("encoder.")}
    report = transfer(encoder, resenc())
    assert set(report.fresh.values()) == {"the source has no decoder"}
