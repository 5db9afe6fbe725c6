"""Whatever is wrong in a stranger's plans or checkpoint, importing it is one line."""

import json

import pytest
import torch

from umzoo.errors import ConfigError, UnknownNameError, WeightsError
from umzoo.weights.importers.run_importer import run_importer

from .test_nnssl import UNET, UNET_KEYS, checkpoint, plan, unet

PLAN = plan("ResidualEncoderUNet", UNET, **UNET_KEYS)


@pytest.mark.parametrize(
    "extra",
    [
        {"current_epoch": "x"},
        {"nnssl_adaptation_plan": PLAN | {"pretrain_plan": [1]}},
        {"nnssl_adaptation_plan": PLAN | {"architecture_plans": 3}},
        {"nnssl_adaptation_plan": PLAN | {"pretrain_plan": {"configurations": {"a": 5}}}},
    ],
)
def test_malformed_plans_of_nnssl(extra, tmp_path):
    torch.save(checkpoint(unet(), PLAN) | extra, tmp_path / "c.pth")
    with pytest.raises(WeightsError, match=r"c\.pth is corrupted, or not supported by importer 'nnssl' \(\w+Error: "):
        run_importer("nnssl", tmp_path / "c.pth", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "state"),
    [({}, {}), ({"configuration": "3d"}, {"encoder.stem.convs.0.conv.weight": torch.tensor(1.0)})],
)
def test_malformed_models_of_nnunet(arguments, state, tmp_path):
    (tmp_path / "fold_0").mkdir()
    for name, content in (("plans", {"configurations": {"3d": {}}}), ("dataset", {})):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    torch.save({"init_args": arguments, "network_weights": state}, tmp_path / "fold_0" / "checkpoint_final.pth")
    with pytest.raises(WeightsError, match=r"is corrupted, or not supported by importer 'nnunet'"):
        run_importer("nnunet", tmp_path, tmp_path / "out")


def test_what_the_user_got_wrong_stays_what_it_is(tmp_path):
    with pytest.raises(ConfigError, match="patch"):
        run_importer({"name": "nnssl", "patch": 3}, tmp_path, tmp_path / "out")
    with pytest.raises(UnknownNameError, match="did you mean 'nnssl'"):
        run_importer("nssl", tmp_path, tmp_path / "out")
