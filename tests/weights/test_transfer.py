"""Transfer: what moves, what does not, and that the report tells the truth."""

import pytest
import torch
from torch import nn

from umzoo.backbones.state import canonical_state
from umzoo.errors import WeightsError
from umzoo.heads.model import Model
from umzoo.plugins import zoo
from umzoo.weights.transfer import transfer


def resenc(**options):
    return zoo().backbones.build({"name": "resenc_unet_s", "features_per_stage": [4, 6, 8], **options})


def equal(report, source, target):
    ours, theirs = canonical_state(source), canonical_state(target)
    return all(torch.equal(ours[name], theirs[name]) for name in report.exact)


def test_the_same_network_moves_whole():
    source, target = resenc(), resenc()
    report = transfer(source, target)
    assert len(report.exact) == len(canonical_state(source))
    assert not report.adapted and not report.fresh and not report.dropped
    assert report.coverage == report.decoder_coverage == 1
    assert equal(report, source, target)


@pytest.mark.parametrize("wrap", [nn.DataParallel, torch.compile], ids=["DataParallel", "compile"])
def test_wrapped_targets_and_live_optimizers(wrap):
    source, target = resenc(), resenc()
    optimizer = torch.optim.SGD(target.parameters(), lr=1)
    transfer(source, wrap(target))
    values = [value for group in optimizer.param_groups for value in group["params"]]
    assert all(torch.equal(a, b) for a, b in zip(values, source.parameters(), strict=True))


def test_a_model_with_a_head():
    backbone = resenc()
    model = Model(backbone, zoo().heads.build("segmentation", info=backbone.info))
    head = model.head.layer.weight.clone()
    assert transfer(resenc(), model).coverage == 1
    assert torch.equal(model.head.layer.weight, head)


def test_other_input_channels_are_adapted():
    source, target = resenc(), resenc(in_channels=4)
    report = transfer(source, target)
    assert list(report.adapted) == ["encoder.stem.convs.0.conv.weight"]
    assert report.coverage == 1
    image = torch.randn(1, 1, 8, 8, 8)
    torch.testing.assert_close(target(image.repeat(1, 4, 1, 1, 1)).pooled, source(image).pooled)


@pytest.mark.parametrize("features", [[4, 6, 8, 8], [4, 6]], ids=["deeper", "shallower"])
def test_a_decoder_of_another_depth_is_not_matched_by_name(features):
    source, target = resenc(), resenc(features_per_stage=features)
    before = {name: value.clone() for name, value in canonical_state(target).items()}
    report = transfer(source, target, minimum=0.1)
    assert not any(name.startswith("decoder.") for name in report.exact)
    assert "stages" in report.fresh["decoder.transpconvs.0.weight"]
    assert all(
        torch.equal(value, before[name]) for name, value in canonical_state(target).items() if name in report.fresh
    )
    assert any(name.startswith("encoder.stages.1.") for name in report.exact)
    assert report.decoder_coverage == 0


def test_other_kernels_stay_fresh_with_the_reason():
    target = resenc(kernel_sizes=[[1, 3, 3], 3, 3])
    report = transfer(resenc(), target)
    assert "(4, 1, 3, 3, 3)" in report.fresh["encoder.stem.convs.0.conv.weight"]
    assert 0.5 < report.coverage < 1


def test_a_foreign_encoder_is_refused_and_nothing_changes():
    """Names of the decoders agree between families; the encoder is what counts."""
    target = zoo().backbones.build({"name": "plainconv_unet", "features_per_stage": [4, 6, 8]})
    before = {name: value.clone() for name, value in canonical_state(target).items()}
    with pytest.raises(WeightsError, match="0.0% of the encoder.*nothing was changed|nothing was changed.*0.0%"):
        transfer(resenc(), target)
    assert all(torch.equal(value, before[name]) for name, value in canonical_state(target).items())
    with pytest.raises(WeightsError, match="no tensors under 'encoder.'"):
        transfer(resenc(), nn.Conv3d(1, 2, 3))


def test_dropped_tensors_are_listed():
    state = {**canonical_state(resenc()), "encoder.more": torch.zeros(1)}
    report = transfer(state, resenc())
    assert report.dropped == ["encoder.more"]
    assert "1 of the source dropped" in str(report)
