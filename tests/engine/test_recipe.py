import pytest

from umzoo.engine.recipe import Recipe, dump_recipe, load_recipe
from umzoo.errors import ConfigError

SHIPPED = ["tour", "universal", "universal_genesis", "universal_tiny"]


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_recipes_survive_a_round_trip(name, tmp_path):
    recipe = load_recipe(name)
    assert isinstance(recipe, Recipe)
    (tmp_path / "recipe.toml").write_text(dump_recipe(recipe))
    assert load_recipe(tmp_path / "recipe.toml") == recipe


def test_overrides_reach_tables_lists_and_options():
    overrides = ["trainer.steps=7", "data.patch_size=[16, 16, 16]", "backbone.name=resenc_unet_s"]
    overrides += ["pretext.tasks.restoration.weight=2", "pretext.corruptions.1.p=0.25", "seed=3"]
    recipe = load_recipe("universal_tiny", overrides)
    assert recipe.trainer.steps == 7
    assert recipe.data.patch_size == (16, 16, 16)
    assert recipe.backbone.name == "resenc_unet_s"
    assert recipe.pretext.tasks[0].weight == 2
    assert recipe.pretext.corruptions[1].options["p"] == 0.25
    assert recipe.seed == 3


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer.step=7", "unknown key 'trainer.step' .*'steps'"),
        ("trainer.steps=many", "'trainer.steps'.*'many'"),
        ("trainer.steps", "key.sub=value"),
        ("pretext.tasks.rotation.weight=1", "no entry 'rotation'"),
        ("seed.x=1", "seed"),
        ("data.patch_size=[1, 2]", "data.patch_size"),
    ],
)
def test_wrong_overrides_are_explained_in_one_line(override, message):
    with pytest.raises(ConfigError, match=message) as caught:
        load_recipe("universal_tiny", [override])
    assert "\n" not in str(caught.value)


def test_unknown_and_broken_recipes(tmp_path):
    with pytest.raises(ConfigError, match="universal_tiny"):
        load_recipe("no_such_recipe")
    (tmp_path / "broken.toml").write_text("a = [")
    with pytest.raises(ConfigError, match="not valid TOML"):
        load_recipe(tmp_path / "broken.toml")
