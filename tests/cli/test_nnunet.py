import os

import pytest

from umzoo.errors import UmzooError

pytest.importorskip("nnunetv2", reason="nnU-Net is not installed")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give --weights REF, or --no-weights"),
        (["--weights", "x", "--no-weights"], "give --weights REF, or --no-weights"),
        (["--weights", "x", "--recipe", "sawtoth"], "did you mean 'sawtooth'"),
        (["--weights", "x", "finetuning.epoch=1"], "unknown key 'finetuning.epoch' (did you mean 'epochs'"),
        (["--weights", "x", "-device", "cpu"], "nnUNet_preprocessed is not set"),
    ],
)
def test_wrong_calls_end_in_one_line(arguments, message, monkeypatch, run):
    for name in [name for name in os.environ if name.startswith("nnUNet_")]:
        monkeypatch.delenv(name)
    with pytest.raises(UmzooError) as raised:
        run("nnunet", "train", "4", "3d_fullres", "0", *arguments)
    assert message in str(raised.value) and "\n" not in str(raised.value)
