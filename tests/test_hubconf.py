"""torch.hub from a plain checkout, in an interpreter where umzoo is not installed."""

import shutil
import site
import subprocess
import sys
from pathlib import Path

import pytest

import umzoo

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.skipif(
    any((Path(place) / "umzoo").is_dir() for place in site.getsitepackages()),
    reason="umzoo is installed as a copy, which cannot be hidden: pip install -e",
)
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


def test_entries_and_weights(checkout, folder, tmp_path):
    program = f"""
def load(entry, *arguments, **options):
    return torch.hub.load({str(checkout)!r}, entry, *arguments, source="local", **options)
model = load("from_pretrained", {str(folder)!r})
import umzoo
features = model(torch.rand(1, 1, 16, 16, 16), dense=True)
assert umzoo.__file__ == {str(checkout)!r} + "/umzoo/__init__.py", umzoo.__file__
assert type(model).__name__ == "GenesisUNet" and features.dense.shape == (1, 2, 16, 16, 16), features.dense.shape
assert "nibabel" not in sys.modules
assert load("resenc_unet_s", features_per_stage=[4, 6], in_channels=2).info.in_channels == 2
assert load("genesis_unet", weights={str(folder)!r}).weights_info.name == "genesis_unet.custom"
for options in ({{"weights": {str(folder)!r}}}, {{"pretrained": True}}):
    try:
        load("plainconv_unet", **options)
    except umzoo.UmzooError as error:
        assert "genesis_unet" in str(error) or "are registered" in str(error), error
    else:
        raise AssertionError(options)
sys.path.insert(0, {str(checkout)!r})
import hubconf
print(*[name for name in dir(hubconf) if callable(getattr(hubconf, name)) and not name.startswith("_")])
"""
    import umzoo.plugins

    listed = run(program, tmp_path).split()
    built_in = [name for name in umzoo.list_models() if umzoo.plugins.zoo().backbones.owner(name) == "backbones"]
    assert sorted(listed) == sorted([*built_in, "from_pretrained"])


PLUGIN = """
import umzoo
from umzoo.backbones.unet import GenesisUNet


class Lab(GenesisUNet):
    name = "lab_unet"


@umzoo.hookimpl
def register_backbones(register):
    register(Lab)
"""


@pytest.fixture(scope="module")
def plugin(tmp_path_factory):
    """A folder in which a plug-in with one architecture is installed."""
    place = tmp_path_factory.mktemp("plugin")
    (place / "umzoo_lab.py").write_text(PLUGIN)
    metadata = place / "umzoo_lab-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: umzoo-lab\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[umzoo]\nlab = umzoo_lab\n")
    return place


GITHUB = """
import re, shutil
from importlib.metadata import packages_distributions, requires

import torch.hub

def allowed(names):
    "Distributions that the packages *names* need, theirs included."
    todo, done = {{name.replace("_", "-") for name in names}}, set()
    while todo:
        done.add(name := todo.pop())
        try:
            lines = [line for line in requires(name) or () if "extra ==" not in line]
        except ImportError:
            continue
        todo |= {{re.match(r"[A-Za-z0-9._-]+", line)[0].lower().replace("_", "-") for line in lines}} - done
    return done

class Others:
    "Refuses to import what no dependency of hubconf.py brings."
    def __init__(self, dependencies):
        known, kept = packages_distributions(), allowed(dependencies)
        plain = {{top: {{name.lower().replace("_", "-") for name in names}} for top, names in known.items()}}
        self.refused = {{top for top, names in plain.items() if not names & kept}} - {{"umzoo", "umzoo_lab"}}
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.refused:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

def fetch(url, destination, progress=True):
    assert url == "https://github.com/lab/umzoo/zipball/main", url
    shutil.copy({archive!r}, destination)

os.environ["UMZOO_PLUGINS"] = "lab"
sys.path.append({plugin!r})
torch.hub.download_url_to_file = fetch
torch.hub.set_dir({cache!r})
sys.path.insert(0, {checkout!r})
import hubconf
sys.path.remove({checkout!r})
for name in [name for name in sys.modules if name.partition(".")[0] in ("umzoo", "hubconf")]:
    del sys.modules[name]
sys.meta_path.insert(0, Others(hubconf.dependencies))
options = {{"skip_validation": True, "trust_repo": True}}
listed = torch.hub.list("lab/umzoo:main", **options)
assert {{"from_pretrained", "resenc_unet_l", "primus_b", "genesis_unet", "lab_unet"}} <= set(listed), listed
assert not {{"TYPE_CHECKING", "annotations", "umzoo"}} & set(listed), listed
assert "primus_l" in torch.hub.help("lab/umzoo:main", "primus_l", **options)
model = torch.hub.load("lab/umzoo:main", "genesis_unet", weights={folder!r}, **options)
import umzoo
assert umzoo.__file__.startswith({cache!r}), umzoo.__file__
assert torch.hub.load("lab/umzoo:main", "resenc_unet_s", features_per_stage=[4, 6], **options)
assert torch.hub.load("lab/umzoo:main", "lab_unet", width=1, **options).name == "lab_unet"
print(model.weights_info.name)
"""


def test_from_github_with_the_dependencies_alone(checkout, plugin, folder, tmp_path):
    """GitHub's answer is an archive of one folder; only its download is replaced."""
    import zipfile

    archive = tmp_path / "main.zip"
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr("lab-umzoo-0123abc/", "")
        for file in checkout.rglob("*"):
            out.write(file, Path("lab-umzoo-0123abc") / file.relative_to(checkout))
    place = {"archive": archive, "cache": tmp_path / "hub", "checkout": checkout, "plugin": plugin, "folder": folder}
    program = GITHUB.format(**{name: str(path) for name, path in place.items()})
    assert run(program, tmp_path) == "genesis_unet.custom"


def test_wrong_weights_and_no_weights_are_said(folder):
    import importlib.util

    spec = importlib.util.spec_from_file_location("hubconf", ROOT / "hubconf.py")
    hubconf = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hubconf)
    with pytest.raises(umzoo.UmzooError, match="weights are of 'genesis_unet', not of 'plainconv_unet'"):
        hubconf.plainconv_unet(weights=folder)
    with pytest.raises(umzoo.UmzooError, match="no weights of 'primus_s' are registered"):
        hubconf.primus_s(pretrained=True)
    with pytest.raises(umzoo.UmzooError, match=r"several weights .* one of resenc_unet_l\.nnfoundation, "):
        hubconf.resenc_unet_l(pretrained=True)
    assert "resenc_unet_l" in hubconf.resenc_unet_l.__doc__
