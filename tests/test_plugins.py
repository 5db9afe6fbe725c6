"""Plug-ins load whole or not at all, never break the others, and failures say what happened."""

import logging
import sys
from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace

import pytest

import umzoo
from umzoo import plugins
from umzoo.backbones.base import Backbone
from umzoo.builtin import PACKAGES
from umzoo.corruptions.base import Corruption
from umzoo.errors import PluginError, UnknownNameError
from umzoo.heads.base import Head
from umzoo.plugins import Zoo, load_zoo


def head(called):
    """A head of that name."""

    class Some(Head):
        name = called

        def forward(self, features):
            return features.pooled

    return Some


def plugin(**hooks):
    """A plug-in that registers, per kind such as ``heads``, the entries given."""

    def implementation(entries):
        def function(register):
            for entry in entries:
                if isinstance(entry, BaseException):
                    raise entry
                register(entry)

        return umzoo.hookimpl(function)

    return SimpleNamespace(**{f"register_{kind}": implementation(entries) for kind, entries in hooks.items()})


class FakeEntryPoint:
    """What importlib.metadata gives for an installed plug-in."""

    def __init__(self, name, loaded, dist=None):
        self.name, self.value = name, f"module_of_{name}"
        self.loaded = loaded
        self.dist = SimpleNamespace(name=dist or f"dist-{name}", version="1.2")

    def load(self):
        if isinstance(self.loaded, BaseException):
            raise self.loaded
        return self.loaded


def load(**loaded):
    return load_zoo([FakeEntryPoint(name, it) for name, it in loaded.items()])


def reason(zoo, name):
    return next(plugin.reason for plugin in zoo.plugins if plugin.name == name)


@pytest.fixture(autouse=True)
def _no_choice(monkeypatch):
    monkeypatch.delenv("UMZOO_PLUGINS", raising=False)


def test_a_good_plugin_is_listed_with_its_origin():
    zoo = load(good=plugin(heads=[head("mine"), head("yours")]))
    assert zoo.heads["mine"].name == "mine"
    assert zoo.heads.owner("mine") == "good"
    record = zoo.plugins[-1]
    assert (record.name, record.origin, record.version, record.reason) == ("good", "dist-good", "1.2", "")
    assert record.entries == {"head": ["mine", "yours"]}


@pytest.mark.parametrize(
    "error", [ImportError("no module\nnamed torchvision"), RuntimeError("x"), SystemExit(3), SyntaxError("y")]
)
def test_a_broken_import_harms_nobody(error, caplog):
    with caplog.at_level(logging.WARNING):
        zoo = load(bad=error, good=plugin(heads=[head("mine")]))
    assert zoo.heads["mine"]
    assert type(error).__name__ in reason(zoo, "bad") and "\n" not in reason(zoo, "bad")
    assert "plug-in 'bad' was not loaded" in caplog.text
    with pytest.raises(UnknownNameError, match="not loaded: bad"):
        zoo.heads["of_bad"]


def test_half_a_plugin_is_none():
    """It registers two kinds, then fails: nothing of it stays, and its names say why."""
    zoo = load(half=plugin(heads=[head("first"), ValueError("second is wrong")], corruptions=[]))
    assert "first" not in zoo.heads
    assert "second is wrong" in reason(zoo, "half")
    with pytest.raises(
        PluginError, match="head 'first' is unavailable: plug-in 'half' failed to load.*second is wrong"
    ):
        zoo.heads["first"]


def test_a_failure_in_one_kind_takes_back_the_others():
    zoo = load(half=plugin(heads=[head("first")], importers=[RuntimeError("no")]))
    assert "first" not in zoo.heads


def test_built_ins_cannot_be_replaced():
    zoo = load(greedy=plugin(heads=[head("extra"), head("segmentation")]))
    assert zoo.heads.owner("segmentation") == "heads"
    assert zoo.heads["segmentation"].__module__ == "umzoo.heads.segmentation"
    assert "head 'segmentation' is registered by both 'heads' and 'greedy'" in reason(zoo, "greedy")
    assert "extra" not in zoo.heads


def test_two_strangers_with_one_name():
    zoo = load(anna=plugin(heads=[head("ours"), head("hers")]), bert=plugin(heads=[head("ours"), head("his")]))
    with pytest.raises(PluginError, match="registered by both 'anna' and 'bert'.*UMZOO_PLUGINS"):
        zoo.heads["ours"]
    assert "ours" not in zoo.heads.list()
    assert zoo.heads["hers"]
    with pytest.raises(PluginError, match="'his' is unavailable"):
        zoo.heads["his"]


def test_choosing_resolves_the_collision(monkeypatch):
    monkeypatch.setenv("UMZOO_PLUGINS", "bert")
    zoo = load(anna=plugin(heads=[head("ours")]), bert=plugin(heads=[head("ours")]))
    assert zoo.heads.owner("ours") == "bert"


def test_a_failed_plugin_does_not_block_anothers_entry():
    zoo = load(a=plugin(heads=[head("mine"), RuntimeError("no")]), b=plugin(heads=[head("mine")]))
    assert zoo.heads.owner("mine") == "b"
    assert zoo.heads["mine"]


def test_two_plugins_of_one_name():
    found = [
        FakeEntryPoint("same", plugin(heads=[head("mine")]), dist="one"),
        FakeEntryPoint("same", plugin(heads=[head("yours")]), dist="two"),
    ]
    zoo = load_zoo(found)
    assert "yours" not in zoo.heads and zoo.heads["mine"]
    assert "two plug-ins are called 'same', from 'one' and from 'two'" in zoo.plugins[-1].reason


def test_one_plugin_under_two_names():
    same = plugin(heads=[head("mine")])
    zoo = load(first=same, second=same)
    assert zoo.heads.owner("mine") == "first"
    assert "plug-in 'first' under another name" in reason(zoo, "second")


def test_a_misspelled_hook():
    zoo = load(bad=plugin(haeds=[head("mine")]), good=plugin(heads=[head("yours")]))
    assert "no hook 'register_haeds' (did you mean 'register_heads'" in reason(zoo, "bad")
    assert zoo.heads["yours"], "the misspelled hook of another does no harm"


def test_forgotten_marks():
    zoo = load(bad=SimpleNamespace(register_heads=lambda register: None), empty=SimpleNamespace())
    assert "register_heads must be marked with @umzoo.hookimpl" in reason(zoo, "bad")
    assert "one hook at least" in reason(zoo, "empty")


def test_a_hook_with_a_wrong_argument():
    zoo = load(bad=SimpleNamespace(register_heads=umzoo.hookimpl(lambda registry: None)))
    assert "registry" in reason(zoo, "bad")


class NoForward(Head):
    name = "no_forward"


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        (NoForward, "does not implement forward"),
        (head("BadName"), "lower_snake_case"),
        (head(""), "lower_snake_case"),
        (Backbone, "must be a umzoo.heads.base.Head"),
        (Corruption, "must be a umzoo.heads.base.Head"),
        ("segmentation", "must be a umzoo.heads.base.Head"),
    ],
)
def test_what_may_be_registered(entry, complaint):
    zoo = load(bad=plugin(heads=[entry]))
    assert complaint in reason(zoo, "bad")


def test_one_name_twice_in_one_plugin():
    assert "registered twice" in reason(load(bad=plugin(heads=[head("mine"), head("mine")])), "bad")


def test_weights_need_a_tag():
    from umzoo.weights.catalog.entry import WeightsEntry

    good, bad = (WeightsEntry(name, "org/name", "mit") for name in ("genesis_unet.lab", "genesis_unet"))
    assert load(good=plugin(weights=[good])).weights["genesis_unet.lab"] is good
    assert "architecture.tag" in reason(load(bad=plugin(weights=[bad])), "bad")


@pytest.mark.parametrize(("choice", "loaded"), [(None, {"a", "b"}), ("", set()), ("a", {"a"}), (" b , a ", {"a", "b"})])
def test_choice(monkeypatch, choice, loaded):
    if choice is not None:
        monkeypatch.setenv("UMZOO_PLUGINS", choice)
    zoo = load(a=plugin(heads=[head("of_a")]), b=plugin(heads=[head("of_b")]))
    assert {record.name for record in zoo.plugins if record.origin != "umzoo"} == loaded
    assert zoo.heads["segmentation"], "built-ins are always there"


def test_choosing_what_is_not_there(monkeypatch):
    monkeypatch.setenv("UMZOO_PLUGINS", "a,c")
    with pytest.raises(PluginError, match=r"not installed: c \(installed: a\)"):
        load(a=plugin(heads=[]))


def test_order_does_not_depend_on_installation():
    entries = {"b": plugin(heads=[head("ours")]), "a": plugin(heads=[head("ours")])}
    assert load(**entries).heads.owner("ours") == "a"


def test_a_real_distribution_is_found(tmp_path, monkeypatch):
    """A package on the path with nothing but its metadata, as pip would leave it."""
    (tmp_path / "umzoo_lab.py").write_text(
        "import umzoo\n"
        "class Lab(umzoo.Head):\n"
        "    name = 'lab'\n"
        "    def forward(self, features):\n"
        "        return features.pooled\n"
        "@umzoo.hookimpl\n"
        "def register_heads(register):\n"
        "    register(Lab)\n"
    )
    metadata = tmp_path / "umzoo_lab-0.3.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: umzoo-lab\nVersion: 0.3\n")
    (metadata / "entry_points.txt").write_text("[umzoo]\nlab = umzoo_lab\nlost = umzoo_not_there\n")
    monkeypatch.syspath_prepend(tmp_path)
    zoo = load_zoo([entry for entry in entry_points(group="umzoo") if entry.dist.name == "umzoo-lab"])
    assert zoo.heads["lab"].name == "lab"
    record = next(record for record in zoo.plugins if record.name == "lab")
    assert (record.origin, record.version) == ("umzoo-lab", "0.3")
    assert "umzoo_not_there" in reason(zoo, "lost")
    sys.modules.pop("umzoo_lab")


def test_built_ins_use_the_same_door():
    zoo = Zoo()
    with pytest.raises(PluginError):
        zoo.load(plugin(heads=[RuntimeError("no")]), "mine", "umzoo")
    assert set(plugins.BUILTINS) == {record.name for record in load().plugins}


@pytest.mark.parametrize(
    ("written_for", "message"),
    [
        (3, "written for plug-in interface 3, this umzoo has 2: update umzoo"),
        ("new", "interface 'new'"),
        (0, "interface 0; since then: features are tuples; heads get info: change it, and set UMZOO_INTERFACE = 2"),
    ],
)
def test_a_plugin_of_another_interface_is_refused_by_name(monkeypatch, written_for, message):
    monkeypatch.setattr(umzoo.hookspecs, "INTERFACE", 2)
    monkeypatch.setattr(umzoo.hookspecs, "CHANGES", {2: "heads get info", 1: "features are tuples"})
    old = plugin(heads=[head("mine")])
    old.UMZOO_INTERFACE = written_for
    zoo = load(old=old)
    assert message in reason(zoo, "old")
    assert "mine" not in zoo.heads


def test_the_interface_before_works_with_a_warning(monkeypatch, caplog):
    monkeypatch.setattr(umzoo.hookspecs, "INTERFACE", 2)
    monkeypatch.setattr(umzoo.hookspecs, "CHANGES", {2: "heads get info"})
    old = plugin(heads=[head("mine")])
    old.UMZOO_INTERFACE = 1
    with caplog.at_level(logging.WARNING):
        assert load(old=old).heads["mine"]
    assert "plug-in 'old'" in caplog.text and "heads get info" in caplog.text


def test_an_entry_added_by_hand_has_no_origin():
    zoo = load(good=plugin(heads=[head("mine")]))
    zoo.heads.add("by_hand", head("by_hand"), "notebook")
    assert zoo.plugin_of("head", "mine").origin == "dist-good"
    assert (zoo.plugin_of("head", "by_hand").origin, zoo.plugin_of("head", "by_hand").license) == ("", "")


def test_an_interface_without_a_list_of_changes(monkeypatch):
    old = plugin(heads=[head("mine")])
    old.UMZOO_INTERFACE = 0
    assert reason(load(old=old), "old") == (
        f"it is written for plug-in interface 0, umzoo has {umzoo.hookspecs.INTERFACE}: change it,"
        f" and set UMZOO_INTERFACE = {umzoo.hookspecs.INTERFACE}"
    )


def _task(**members):
    return type("Some", (umzoo.PretextTask,), {"name": "some", "loss": lambda self, features, views: None, **members})


def _nothing(self):
    return None


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"view": _nothing}, "'view', which umzoo never uses: was 'views' meant?"),
        ({"after_steps": _nothing}, "'after_steps', which umzoo never uses: was 'after_step' meant?"),
        ({"obstacles": classmethod(_nothing)}, "'obstacles'"),
        ({"veiws": _nothing}, "'veiws', which umzoo never uses: was 'views' meant?"),
        ({"raeds": frozenset()}, "'raeds', which umzoo never uses: was 'reads' meant?"),
        ({"view": _nothing, "views": _nothing}, ""),
        ({"_view": _nothing, "crop": _nothing, "reader": 3}, ""),
    ],
)
def test_methods_named_almost_like_those_of_the_base_class_are_told(members, told, caplog):
    assert load(mine=plugin(pretext_tasks=[_task(**members)])).pretext_tasks["some"]
    assert (told in caplog.text) if told else (caplog.text == "")


def test_nothing_that_ships_is_misspelled(caplog):
    plugins.load_zoo(entry for entry in entry_points(group="umzoo") if entry.dist.name in OURS)
    assert "never uses" not in caplog.text


OURS = {file.parent.name for file in (Path(__file__).parents[1] / "plugins").glob("*/pyproject.toml")}


def test_a_missing_plugin_is_named():
    zoo = load()
    with pytest.raises(UnknownNameError, match="'mae' comes with the package umzoo-mae, .* pip install umzoo-mae"):
        zoo.pretext_tasks["mae"]
    with pytest.raises(UnknownNameError, match="did you mean 'restoration'"):
        zoo.pretext_tasks["restoratoin"]


def test_the_packages_bring_what_they_are_named_for():
    zoo = plugins.load_zoo(entry for entry in entry_points(group="umzoo") if entry.dist.name in OURS)
    for name, package in PACKAGES.items():
        kinds = [kind for kind, registry in zoo.registries.items() if name in registry]
        assert [zoo.plugin_of(kind, name).origin for kind in kinds] == [package], name
    kinds = zoo.registries.keys() - {"weights"}
    brought = {(name, zoo.plugin_of(kind, name).origin) for kind in kinds for name in zoo.registries[kind]}
    assert {name for name, origin in brought if origin in OURS} == PACKAGES.keys()


def test_components_know_their_package():
    zoo = load(good=plugin(heads=[head("mine")]))
    assert zoo.heads["mine"].called() == "head 'mine' of dist-good"
    assert zoo.heads["segmentation"].called() == "head 'segmentation'"
