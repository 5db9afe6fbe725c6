"""torch.hub from a plain checkout, in an interpreter where umzoo is not installed."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import umzoo

ROOT = Path(__file__).resolve().parents[1]

PREAMBLE = """
import os, sys
os.environ["UMZOO_PLUGINS"] = ""
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in str(finder).lower()]
sys.path = [place for place in sys.path if "__editable__" not in place and place not in ("", {root!r})]
import importlib.util, torch
assert importlib.util.find_spec("umzoo") is None, "umzoo is still installed"
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """What ``git clone`` gives, without metadata of an installation."""
    place = tmp_path_factory.mktemp("clone") / "umzoo-main"
    place.mkdir()
    shutil.copy(ROOT / "hubconf.py", place)
    shutil.copytree(ROOT / "umzoo", place / "umzoo", ignore=shutil.ignore_patterns("__pycache__"))
    return place


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("weights") / "w"
    umzoo.save_pretrained(umzoo.create_model("genesis_unet", width=1), place)
    return place


def run(program, cwd):
    """Run *program* in a fresh interpreter that does not know of umzoo; return its last line."""
    code = PREAMBLE.format(root=str(ROOT)) + program
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def test_from_pretrained(checkout, folder, tmp_path):
    program = f"""
model = torch.hub.load({str(checkout)!r}, "from_pretrained", {str(folder)!r}, source="local")
import umzoo
features = model(torch.rand(1, 1, 16, 16, 16), dense=True)
print(umzoo.__file__, type(model).__name__, tuple(features.dense.shape), "nibabel" in sys.modules)
"""
    expected = f"{checkout}/umzoo/__init__.py GenesisUNet (1, 2, 16, 16, 16) False"
    assert run(program, tmp_path) == expected


def test_entries(checkout, folder, tmp_path):
    program = f"""
def load(entry, **options):
    return torch.hub.load({str(checkout)!r}, entry, source="local", **options)
print(load("resenc_unet_s", features_per_stage=[4, 6], in_channels=2).info.in_channels)
print(load("genesis_unet", weights={str(folder)!r}).weights_info.name)
for options in ({{"weights": {str(folder)!r}}}, {{"pretrained": True}}):
    try:
        load("plainconv_unet", **options)
    except Exception as error:
        print(error)
sys.path.insert(0, {str(checkout)!r})
import hubconf
print(*[name for name in dir(hubconf) if callable(getattr(hubconf, name)) and not name.startswith("_")])
"""
    import umzoo.plugins

    listed = run(program, tmp_path).split()
    built_in = [name for name in umzoo.list_models() if umzoo.plugins.zoo().backbones.owner(name) == "backbones"]
    assert sorted(listed) == sorted([*built_in, "from_pretrained"])


def test_wrong_weights_and_no_weights_are_said(folder):
    import importlib.util

    spec = importlib.util.spec_from_file_location("hubconf", ROOT / "hubconf.py")
    hubconf = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hubconf)
    with pytest.raises(umzoo.UmzooError, match="weights are of 'genesis_unet', not of 'plainconv_unet'"):
        hubconf.plainconv_unet(weights=folder)
    with pytest.raises(umzoo.UmzooError, match="no weights of 'primus_l' are registered"):
        hubconf.primus_l(pretrained=True)
    assert "resenc_unet_l" in hubconf.resenc_unet_l.__doc__
