import os
import re
import subprocess
import sys

import pytest

pytest.importorskip("nnunetv2", reason="nnU-Net is not installed")


def run(*arguments, **environment):
    command = [sys.executable, "-m", "umzoo", "nnunet", "train", *arguments]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("nnUNet_")}
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**clean, **environment})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give --weights REF, or --no-weights"),
        (["--weights", "x", "--no-weights"], "give --weights REF, or --no-weights"),
        (["--weights", "x", "--recipe", "sawtoth"], "did you mean 'sawtooth'"),
        (["--weights", "x", "finetuning.epoch=1"], "unknown key 'finetuning.epoch' .did you mean 'epochs'"),
        (["--weights", "x", "-device", "cpu"], "nnUNet_preprocessed is not set"),
    ],
)
def test_wrong_calls_end_in_one_line(arguments, message):
    done = run("4", "3d_fullres", "0", *arguments)
    assert done.returncode == 2
    assert re.search(message, done.stderr)
    assert done.stderr.count("\n") == 1
