"""The report: totals, JSON, a table, and warnings about what shapes do not show."""

import io
import json

import pytest
import torch
from rich.console import Console

import umzoo
from umzoo.backbones.state import canonical_state
from umzoo.fields import Rng
from umzoo.plugins import zoo
from umzoo.spec import InputSpec, IntensityRule
from umzoo.weights.transfer import TransferReport, plan_transfer, transfer


@pytest.fixture
def report(resenc, nnunet):
    target = nnunet(channels=2, strides=((1, 1, 1), (2, 2, 2), (2, 2, 2), (1, 2, 2)))
    return plan_transfer(resenc(), target).report


def printed(report):
    stream = io.StringIO()
    Console(file=stream, width=160).print(report)
    return stream.getvalue()


def test_planning_changes_nothing(resenc):
    source, target = resenc(), resenc()
    before = [value.clone() for value in target.parameters()]
    assert plan_transfer(source, target).report.coverage == 1
    assert all(torch.equal(a, b) for a, b in zip(before, target.parameters(), strict=True))


def test_json_round_trip(report):
    text = report.to_json()
    assert TransferReport.model_validate_json(text) == report
    assert json.loads(text) == report.model_dump(mode="json")


def test_totals_count_unique_kernels(report, nnunet):
    names = [total.group for total in report.groups]
    stages = [f"encoder stage {i}" for i in range(4)] + [f"decoder stage {i}" for i in range(3)]
    assert names == ["stem", *stages, "head"]
    stem, *_, deepest = report.groups[:5]
    assert (stem.exact, stem.adapted, stem.fresh, stem.transferred) == (0, 1, 0, 4 * 2 * 27)
    assert (deepest.exact, deepest.adapted, deepest.transferred) == (0, 0, 0) and deepest.fresh > 0
    kernels = [total for total in report.groups if total.part == "encoder"]
    assert report.coverage == sum(total.transferred for total in kernels) / sum(total.values for total in kernels)
    assert len(report.tensors) == len(canonical_state(nnunet(strides=((1, 1, 1),) * 4)))
    assert {record.kind for record in report.tensors} == {"exact", "adapted", "fresh"}
    assert all(record.note for record in report.tensors if record.kind != "exact")
    renamed = next(record for record in report.tensors if record.name == "decoder.stages.1.convs.0.conv.weight")
    assert renamed.source == "decoder.stages.0.convs.0.conv.weight"


def test_printed(report):
    text = printed(report)
    for part in ("encoder stage 3", "1 to 2 input channels (repeat)", "the source has 3 stages", report.verdict[:60]):
        assert part in text
    assert "\n" not in report.verdict and str(report) == report.verdict
    assert f"{report.coverage:.1%} of the encoder's kernels" in report.verdict


def test_differences_of_input(resenc, tmp_path):
    trained = InputSpec(spacing=(1, 1, 1), space="unit", orientation="RAS")
    umzoo.save_pretrained(resenc(), tmp_path / "w", input=trained)
    window = {"ct": IntensityRule(kind="window", window=(-160, 240))}
    fed = InputSpec(spacing=(3, 1, 1), rules=InputSpec().rules | window)
    report = umzoo.transfer(tmp_path / "w", resenc(), input=fed)
    assert [warning.partition(":")[0] for warning in report.warnings] == [
        "orientation", "input", "spacing", "intensity of ct"
    ]  # fmt: skip
    assert "1x1x1 mm in the weights, 3x1x1 mm in the target" in report.warnings[2]
    assert "warning: spacing" in printed(report)
    assert report.sha256 and len(report.sha256) == 64
    assert not umzoo.transfer(tmp_path / "w", umzoo.from_pretrained(tmp_path / "w")).warnings


def test_strides_of_weights_without_a_network(resenc):
    target = resenc(strides=[1, [1, 2, 2], 2])
    for source in (resenc(), canonical_state(resenc())):
        assert transfer(source, target).warnings == (
            "stage 1: stride 2x2x2 in the weights, 1x2x2 in the target: this and later kernels see a different scale",
        )


def test_weights_trained_on_other_axes(tmp_path):
    """Imported Models Genesis weights saw arrays (x, y, z)."""
    source, target = (zoo().backbones.build({"name": "genesis_unet", "width": 2}).eval() for _ in range(2))
    umzoo.save_pretrained(source, tmp_path / "w", input=InputSpec(axes="xyz", space="unit"))
    report = umzoo.transfer(tmp_path / "w", target)
    assert report.coverage == 1 and "array axes: xyz in the weights, zyx in the target" in report.warnings[0]
    assert all(torch.equal(a, b) for a, b in zip(source.parameters(), target.parameters(), strict=True))
    report = umzoo.transfer(tmp_path / "w", target, {"axes": "permute"})
    assert not report.warnings and set(report.adapted.values()) == {"axes permuted"}
    image = Rng(0).uniform((1, 1, 16, 24, 32))
    turned = source(image.permute(0, 1, 4, 3, 2), dense=True).dense.permute(0, 1, 4, 3, 2)
    torch.testing.assert_close(target(image, dense=True).dense, turned)
