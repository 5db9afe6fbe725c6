"""Every task that is installed has pictures to look at."""

import pytest
import torch

import umzoo
from umzoo.corruptions.pipeline import Pipeline
from umzoo.plugins import zoo
from umzoo.pretext.guard import GuardedModel
from umzoo.testing import TinyBackbone, training_batch


def needs_no_options(name):
    return not any(option.is_required() for option in zoo().pretext_tasks[name].Config.model_fields.values())


@pytest.mark.parametrize("name", filter(needs_no_options, zoo().pretext_tasks))
def test_every_task_shows_what_it_sees(name):
    context = umzoo.PretextContext(TinyBackbone.info, (16, 16, 16), (0.5, 1.0, 2.0), ("ct", "mr"))
    task = zoo().pretext_tasks.build({"name": name}, context=context)
    model = GuardedModel(TinyBackbone(), {name: task}, {name: 1.0}, Pipeline([])).eval()
    with torch.no_grad():
        (made,) = model.passes(training_batch(), umzoo.Rng(0))
        images = model.task_pictures(name, made.features, made.view)
    assert {"seen", "view 1"} & images.keys()
    assert name != "restoration" or "restored" in images
    for title in images.keys() & {"clean", "seen", "view 1"}:
        assert images[title].min() >= 0 and images[title].max() <= 1


def test_answers_come_back_from_the_input_space():
    batch = training_batch()
    task = zoo().pretext_tasks.build(
        {"name": "restoration"}, context=umzoo.PretextContext(TinyBackbone.info, (16, 16, 16))
    )
    model = GuardedModel(TinyBackbone(), {"restoration": task}, {"restoration": 1.0}, Pipeline([]))
    (made,) = model.passes(batch, umzoo.Rng(0))
    torch.testing.assert_close(task.to_unit(made.view["clean_input"], made.view), batch["image"])
