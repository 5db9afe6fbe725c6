"""``umzoo list`` and ``umzoo plugins`` as a user meets them."""

import functools
import gc
import json
import re
import subprocess
import sys
import textwrap
from types import SimpleNamespace

import pytest

import umzoo
from umzoo import plugins
from umzoo.cli import component_cache as kept
from umzoo.errors import ConfigError, UnknownNameError
from umzoo.weights.catalog import search as find
from umzoo.weights.catalog.entry import WeightsEntry
from umzoo.weights.networks import construction

KINDS = ("backbone", "corruption", "pretext_task", "head", "weights", "importer")


COUNT = functools.cache(construction.count_parameters)


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch, tmp_path):
    """Listings are made anew in each test, but every network is counted once for all."""
    monkeypatch.setenv("UMZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(construction, "count_parameters", COUNT)


@pytest.fixture
def own(monkeypatch):
    """A zoo of umzoo's own entries and one record of weights, so that no other plug-in makes a difference."""
    zoo = plugins.load_zoo([])
    entry = WeightsEntry("genesis_unet.lab", "org/name", "cc-by-4.0", description="A test.")
    plugin = SimpleNamespace(register_weights=umzoo.hookimpl(lambda register: register(entry)))
    zoo.load(plugin, "lab", "umzoo")
    monkeypatch.setattr(plugins, "zoo", lambda: zoo)
    return zoo


def cells(output):
    return [line.split("\t") for line in output.splitlines()]


def test_a_line_for_each_entry_of_every_kind(own, run):
    rows = cells(run("list"))
    assert {(row[0], row[1]) for row in rows} == {(kind, name) for kind in KINDS for name in own.registries[kind]}
    assert {len(row) for row in rows} == {6}
    assert ["weights", "genesis_unet.lab", "", "umzoo", "cc-by-4.0", "A test."] in rows
    for kind, name, size, package, license, text in rows:
        assert (size.endswith(" M"), package) == (kind == "backbone", "umzoo") and text
        assert license == (own.weights[name].license if kind == "weights" else "Apache-2.0")


@pytest.mark.parametrize("kind", ["backbone", "backbones", "Backbones"])
def test_one_kind_by_pattern(own, run, kind):
    rows = {row[1]: row for row in cells(run("list", kind, "*unet*"))}
    assert rows["genesis_unet"][:5] == ["backbone", "genesis_unet", "19.1 M", "umzoo", "Apache-2.0"]
    assert rows.keys() == set(own.backbones.list("*unet*"))
    assert {row[0] for row in cells(run("list", "pretext-tasks"))} == {"pretext_task"}


@pytest.mark.parametrize("columns", ["60", "80", "200"])
def test_names_are_whole_on_any_terminal(own, run, monkeypatch, columns):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", columns)
    words = set(re.findall(r"[\w.]+", re.sub(r"\x1b\[\d*m", "", run("list") + run("plugins"))))
    for kind in KINDS:
        assert kind in words and words >= set(own.registries[kind])


def test_weights_that_were_listed_are_listed_again_without_the_plugins(own, run, monkeypatch):
    asked = ("list", "--pretrained", "--json", "--use", "commercial")
    first = run(*asked)

    def fail():
        raise AssertionError("the plug-ins are loaded")

    for module in (plugins, find):
        monkeypatch.setattr(module, "zoo", fail)
    assert run(*asked) == first


def test_refusals(own, run):
    with pytest.raises(UnknownNameError, match="unknown kind 'backbine' .did you mean 'backbone'"):
        run("list", "backbine")
    assert run("list", "head", "zzz") == "nothing matches 'zzz' among head: 'umzoo list' shows all\n"
    assert run("list", "recipes", "zzz") == "no recipe matches 'zzz': 'umzoo list recipes' shows all\n"
    assert gc.isenabled()


def test_plugins_and_reasons(own, run):
    broken = SimpleNamespace(name="rotten", value="rotten", dist=None, load=lambda: 1 / 0)
    own.load_entry_point(broken)
    rows = {row[0]: row for row in cells(run("plugins"))}
    brings = "head: classification, projection, regression, segmentation, survival"
    assert rows["heads"] == ["heads", "umzoo", umzoo.__version__, brings]
    assert rows["rotten"][3].startswith("not loaded: ZeroDivisionError")


@pytest.fixture
def catalog(monkeypatch):
    """A zoo with records of weights of all kinds."""
    zoo = plugins.load_zoo([])
    brain = {"modalities": {"mr": 3}, "regions": ["head"]}
    entries = (
        WeightsEntry("resenc_unet_s.free", "org/a", "MIT", provenance=brain),
        WeightsEntry("primus_s.free", "org/b", "MIT", provenance=brain),
        WeightsEntry("resenc_unet_s.nc", "org/c", "CC-BY-NC-4.0", provenance=brain),
        WeightsEntry("resenc_unet_s.nd", "org/d", "CC-BY-ND-4.0", provenance=brain),
        WeightsEntry("resenc_unet_s.ct", "org/e", "MIT", modalities=("ct",), regions=("chest",)),
        WeightsEntry("resenc_unet_s.body", "org/f", "MIT", modalities=("mr",), regions=("body",)),
        WeightsEntry("resenc_unet_s.vague", "org/g", "other", license_link="https://example.org"),
    )
    plugin = SimpleNamespace(register_weights=umzoo.hookimpl(lambda register: [register(it) for it in entries]))
    zoo.load(plugin, "lab", "lab")
    monkeypatch.setattr(plugins, "zoo", lambda: zoo)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--use", "commercial", "--modality", "mr", "--region", "brain", "--takes", "nnunet"], {"free", "nd", "body"}),
        (["--use", "share", "--region", "chest"], {"ct", "body"}),
        (["--modality", "CT"], {"ct"}),
        (["--takes", "monai"], set()),
    ],
)
def test_weights_by_what_they_are_for(catalog, run, options, names):
    found = json.loads(run("list", "--pretrained", "*_s.*", *options, "--json"))
    assert {it["name"].partition(".")[2] for it in found if it["location"].startswith("org/")} == names


def test_facts_of_weights(catalog, run):
    (found,) = json.loads(run("list", "--pretrained", "resenc_unet_s.nc", "--json"))
    assert (found["license_class"], found["modalities"], found["takes"]) == ("non-commercial", ["mr"], ["nnunet"])
    row = cells(run("list", "--pretrained", "resenc_unet_s.nc"))[0]
    assert row[:3] == ["resenc_unet_s.nc", "CC-BY-NC-4.0", "non-commercial"]


def test_whose_networks_take_weights(catalog, run):
    takes = {it["name"]: it["takes"] for it in json.loads(run("list", "--pretrained", "--json"))}
    assert takes["primus_s.free"] == [] and takes["resnet3d_50.medicalnet"] == ["monai"]
    found = json.loads(run("list", "--pretrained", "--takes", "torchvision", "--json"))
    assert {it["name"] for it in found} == {"resnet3d_18.medicalnet", "resnet3d_18.medicalnet_23"}


def test_wrong_searches(catalog, run):
    with pytest.raises(ConfigError, match="unknown --takes 'nunet' .did you mean 'nnunet'"):
        run("list", "--pretrained", "--takes", "nunet")
    with pytest.raises(ConfigError, match="unknown --use 'comercial' .did you mean 'commercial'"):
        run("list", "--pretrained", "--use", "comercial")
    with pytest.raises(ConfigError, match="go with --pretrained"):
        run("list", "backbone", "--modality", "ct")


def test_a_listing_is_kept_until_something_installed_changes(own, run, monkeypatch, tmp_path):
    looks = []
    look = kept._look
    monkeypatch.setattr(kept, "_look", lambda: looks.append(1) or look())
    first = run("list")
    assert run("list") == first and run("plugins") and run("list", "--pretrained")
    assert len(looks) == 1
    monkeypatch.setenv("UMZOO_PLUGINS", "")
    run("list", "head")
    assert len(looks) == 2
    (tmp_path / "cache" / kept.FILE).write_text('{"key": 1, "sho')
    assert run("list") == first
    assert len(looks) == 3


def test_a_module_of_a_plugin_that_is_edited_changes_the_key(monkeypatch, tmp_path):
    package = tmp_path / "mine"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    point = SimpleNamespace(name="mine", value="mine.part:plugin", dist=SimpleNamespace(version="1"))
    monkeypatch.setattr(kept, "entry_points", lambda group: [point])
    keys = [kept._key(), kept._key()]
    (package / "part.py").write_text("a = 1")
    keys.append(kept._key())
    point.dist.version = "2"
    keys.append(kept._key())
    assert keys[0] == keys[1] and len(set(keys)) == 3


def test_a_kept_catalog_holds_the_same_weights(run, monkeypatch):
    known = kept.shown().catalog
    monkeypatch.setattr(kept, "_look", lambda: pytest.fail("made anew"))
    again = kept.shown().catalog
    assert again.keys() == known.keys() and len(known) > 20
    assert {name: find.facts(it) for name, it in again.items()} == {name: find.facts(it) for name, it in known.items()}
    assert all(again[name].files == it.files and again[name].options == it.options for name, it in known.items())


def test_what_only_shows_imports_no_torch(run, tmp_path):
    """Listings that are kept, and what there is to know of weights, here or in the catalog."""
    umzoo.save_pretrained(umzoo.create_model("genesis_unet", width=1), tmp_path / "w")
    run("list")
    code = f"""
        import sys
        from umzoo.cli import make_app
        for command in (["list"], ["info", {str(tmp_path / "w")!r}], ["info", "genesis_unet.chest_ct"]):
            try:
                make_app()(command)
            except SystemExit as end:
                print(end.code)
        print([name for name in ("torch", "timm", "monai") if name in sys.modules])
    """
    shown = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True).stdout
    assert shown.endswith("[]\n") and shown.count("\n0\n") == 3
    assert "weights genesis_unet.custom" in shown and "weights genesis_unet.chest_ct" in shown


def test_recipes_are_listed_with_what_they_are_for(run):
    rows = dict(cells(run("list", "recipes")))
    assert {"universal", "universal_tiny", "tour"} <= rows.keys() and all(map(str.strip, rows.values()))
    assert list(dict(cells(run("list", "recipe", "tour")))) == ["tour"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("restoration", ["pretext_task restoration, from umzoo", "cite: Zhou", 'loss\t"mse"\tdistance']),
        ("genesis_unet", ["backbone genesis_unet, from umzoo", "width\t32\t"]),
        ("genesis_unet.lab", ["weights genesis_unet.lab", "license\tcc-by-4.0"]),
        ("tour", ["recipe tour: The tour", "tour.toml"]),
    ],
)
def test_one_entry_with_its_options(own, run, name, said):
    printed = run("show", name)
    assert all(part in printed for part in said), printed


def test_what_is_not_there_is_told_with_what_is_near(own, run):
    with pytest.raises(UnknownNameError, match="no entry 'restorations'.*restoration"):
        run("show", "restorations")
    with pytest.raises(UnknownNameError, match="no entry 'tour'"):
        run("show", "tour", "--kind", "backbone")
