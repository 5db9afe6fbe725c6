"""Errors in the code of plug-ins end in one line that names the component, its package, the method and the line."""

from types import SimpleNamespace

import pytest
from torch import nn

import umzoo
from umzoo.blame import at_fault, explained
from umzoo.engine.build import build_model
from umzoo.errors import ComponentError, ConfigError
from umzoo.plugins import load_zoo
from umzoo.spec import ComponentSpec, TaskSpec
from umzoo.testing import TinyBackbone, training_batch


def boom(*_, **__):
    raise ValueError("first line\nsecond line")


def failing(method):
    """A method of that name that fails."""

    def fail(self, *_, **__):
        boom()

    fail.__code__ = fail.__code__.replace(co_name=method)
    return fail


class Quiet(umzoo.PretextTask):
    """Make features small."""

    name = "quiet"

    def __init__(self, config, context):
        super().__init__(config, context)
        self.head = nn.Linear(context.backbone.levels[-1].channels, 1)

    def loss(self, features, views):
        return self.head(features.pooled).square().mean()


class Plain(umzoo.Corruption):
    """Do nothing."""

    name = "plain"

    def draw(self, image, rng):
        return {"p": rng.uniform((len(image),))}

    def apply(self, image, params):
        return image.clone()


def use(task=(), corruption=(), backbone=TinyBackbone):
    """Go through all that a training calls, with components of the package ``umzoo-mine``."""
    task, corruption = type("Task", (Quiet,), dict(task)), type("Fog", (Plain,), dict(corruption))
    hooks = {"pretext_tasks": task, "corruptions": corruption, "backbones": backbone}
    functions = {f"register_{kind}": umzoo.hookimpl(lambda register, it=it: register(it)) for kind, it in hooks.items()}
    zoo = load_zoo(())
    zoo.load(SimpleNamespace(**functions), "mine", "umzoo-mine")
    context = umzoo.PretextContext(TinyBackbone.info, (16, 16, 16))
    corruptions, tasks = [ComponentSpec(name="plain")], [TaskSpec(name="quiet")]
    model = build_model(zoo, backbone(), corruptions, tasks, context)
    model(training_batch(), umzoo.Rng(0)).loss.backward()
    model.after_step()
    model.task_exported("quiet")


def network(**members):
    return type("Net", (TinyBackbone,), {"name": "net", **members})


def test_sound_components_pass():
    use(backbone=network())


@pytest.mark.parametrize("method", ["__init__", "bind", "after_step", "exported", "loss", "views"])
def test_tasks(method):
    line = rf"^pretext task 'quiet' of umzoo-mine failed in {method}, test_blame.py line \d+: ValueError: first line se"
    with pytest.raises(ComponentError, match=line) as caught:
        use(task={method: failing(method)})
    assert "\n" not in str(caught.value)


def test_an_obstacle():
    with pytest.raises(ComponentError, match="'quiet' of umzoo-mine failed in obstacle, test_blame.py"):
        use(task={"obstacle": classmethod(failing("obstacle"))})
    with pytest.raises(ComponentError, match="must return a reason or None from obstacle, got True"):
        use(task={"obstacle": classmethod(lambda cls, context: True)})


@pytest.mark.parametrize(("given", "told"), [(None, "None"), (nn.Linear(2, 2), "a Linear")])
def test_what_is_exported_is_a_backbone(given, told):
    with pytest.raises(ComponentError, match=f"must return a backbone from exported, got {told}"):
        use(task={"exported": lambda self, backbone: given})


@pytest.mark.parametrize("method", ["__init__", "draw", "apply"])
def test_corruptions(method):
    with pytest.raises(ComponentError, match=rf"^corruption 'plain' of umzoo-mine failed in {method}, test_blame.py"):
        use(corruption={method: failing(method)})


def test_a_backbone_is_named_and_not_the_task_that_calls_it():
    broken = network(encode=failing("encode"))
    with pytest.raises(ComponentError, match="^backbone 'net' of umzoo-mine failed in encode, test_blame.py"):
        use(backbone=broken)
    with pytest.raises(ComponentError, match="^backbone 'net' of umzoo-mine failed in encode"):
        use(task={"views": lambda self, batch, rng: {"image": batch["image"]}}, backbone=broken)


def test_own_refusals_stay_as_they_are():
    def refuse(self, *_):
        raise ConfigError("give me two")

    with pytest.raises(ConfigError, match="^give me two$"):
        use(task={"bind": refuse})


def test_reads_is_a_set():
    with pytest.raises(ComponentError, match="'reads' must be a set of names of fields, got 'scale'"):
        use(task={"reads": "scale"})
    use(task={"reads": ["width"], "loss": lambda self, f, views: Quiet.loss(self, f, views) + 0 * views["width"].sum()})


def test_errors_of_umzoo_are_nobody_elses():
    try:
        umzoo.Rng(0).integers((1,), 1, 0)
    except ValueError as error:
        assert at_fault(error) is None and explained(error) is None
