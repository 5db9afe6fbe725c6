import pytest
from torch.profiler import ProfilerActivity, profile

from umzoo.engine.build import build_from_recipe
from umzoo.engine.optim import build_optimizer
from umzoo.engine.plan import make_plan
from umzoo.engine.recipe import load_recipe
from umzoo.fields import Rng
from umzoo.plugins import zoo
from umzoo.testing.material import training_batch

CHANGES = ["backbone.width=4", "data.patch_size=[32, 32, 32]", "data.batch_size=4"]


def measured(recipe):
    """Bytes at the peak of the second step of the whole model on the CPU, as the profiler saw them come and go."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        model = build_from_recipe(zoo(), recipe, ("ct", "mr"))
        optimizer = build_optimizer(recipe.optim, model)
        batch = training_batch(recipe.data.patch_size, recipe.data.batch_size)
        for step in range(2):
            model(batch, Rng(0, step)).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    held = peak = 0
    for event in sorted(seen.profiler.kineto_results.events(), key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak


RECIPE = load_recipe("universal_tiny", CHANGES)


@pytest.fixture(scope="module")
def whole():
    return make_plan(RECIPE)


def test_memory_is_that_of_a_run_within_a_quarter(whole):
    assert abs(whole.memory / measured(RECIPE) - 1) < 0.25


def test_a_smaller_memory_gets_smaller_passes_of_the_same_step(whole):
    assert (whole.batch, whole.passes) == (4, 1)
    part = make_plan(RECIPE, limit=0.7 * whole.memory)
    assert part.batch * part.passes == 4 and part.batch < 4
    assert part.memory <= 0.7 * whole.memory
    assert part.parameters == whole.parameters
