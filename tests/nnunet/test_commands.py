"""``umzoo nnunet plan`` and ``umzoo nnunet convert`` as they are typed."""

import pytest
import torch

from umzoo.cli import make_app
from umzoo.errors import ConfigError


def run(*arguments):
    make_app()(["nnunet", *map(str, arguments)], standalone_mode=False)


def test_plan_then_convert(dataset, narrow_weights, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    preprocessed = dataset("prostate")
    folder, _ = narrow_weights()
    run("plan", "501", "--weights", folder, "--batch-size", "3", "--name", "minePlans")
    text = capsys.readouterr().out
    assert (preprocessed / "minePlans.json").is_file() and "1 left out" in text
    assert "nnUNetv2_preprocess -d 501 -plans_name minePlans -c 3d_fullres" in text
    assert f"umzoo nnunet train 501 3d_fullres 0 -p minePlans --weights {folder}" in text
    run("convert", folder, tmp_path / "a.pth", "--plans", "minePlans", "--dataset", "501")
    run("convert", folder, tmp_path / "b.pth", "--plans", preprocessed / "minePlans.json")
    assert "100.0% of the encoder's kernels" in capsys.readouterr().out
    ours, theirs = (torch.load(tmp_path / name, weights_only=True)["network_weights"] for name in ("a.pth", "b.pth"))
    assert ours["encoder.stem.convs.0.conv.weight"].shape == (4, 2, 1, 3, 3) and ours.keys() == theirs.keys()
    run("convert", folder, "--nnssl", tmp_path / "trio")
    assert len(list((tmp_path / "trio").iterdir())) == 3


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["convert", "W"], "give either OUT.pth, or --nnssl"),
        (["convert", "W", "a.pth", "--nnssl", "b"], "give either OUT.pth, or --nnssl"),
        (["convert", "W", "--nnssl", "b", "--plans", "p"], "leave --plans and --dataset out"),
        (["plan", "501", "--weights", "W", "--spacing", "mine"], "'spacing'"),
    ],
)
def test_wrong_calls(narrow_weights, arguments, complaint, tmp_path):
    folder, _ = narrow_weights(features=(4, 8))
    with pytest.raises(ConfigError, match=complaint):
        run(*(folder if it == "W" else it for it in arguments))
