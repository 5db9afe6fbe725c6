"""nnU-Net finds the trainer of an installed umzoo, in a fresh interpreter that has no source tree."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

LOOK_UP = """
import os, pickle, sys
import umzoo
assert umzoo.__file__.startswith(sys.argv[1]), umzoo.__file__
from umzoo.nnunet.environment import make_trainer_findable
make_trainer_findable()
make_trainer_findable()
assert len(os.environ["nnUNet_extTrainer"].split(os.pathsep)) == 2
from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name as find
first, second = find("nnUNetTrainerUmzoo"), find("nnUNetTrainerUmzoo")
from umzoo.nnunet.training.trainer import nnUNetTrainerUmzoo
assert first is second is nnUNetTrainerUmzoo
assert pickle.loads(pickle.dumps(first)) is first
assert find("nnUNetTrainerOfTheUser").__name__ == "nnUNetTrainerOfTheUser"
assert find("nnUNetTrainer").__name__ == "nnUNetTrainer"
print(first.__module__)
"""

USERS_TRAINER = """
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
class nnUNetTrainerOfTheUser(nnUNetTrainer):
    pass
"""


@pytest.mark.slow
def test_lookup_from_a_wheel(tmp_path, monkeypatch):
    installed, own = tmp_path / "site", tmp_path / "own"
    ready = ["--no-build-isolation"] if find_spec("setuptools") else []
    options = ["--quiet", "--no-deps", "--no-compile", *ready, "--target", installed]
    pip = [sys.executable, "-m", "pip", "install", *options, ROOT]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    own.mkdir()
    (own / "trainers.py").write_text(USERS_TRAINER)
    monkeypatch.setenv("PYTHONPATH", str(installed))
    monkeypatch.setenv("nnUNet_extTrainer", str(own))
    program = [sys.executable, "-P" if sys.version_info >= (3, 11) else "-B", "-c", LOOK_UP, str(installed)]
    done = subprocess.run(program, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == "umzoo.nnunet.training.trainer"
