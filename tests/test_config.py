"""Closed options: every complaint names the dotted path, and the nearest key."""

import pytest
from pydantic import Field, ValidationError, model_validator

from umzoo.config import Config
from umzoo.errors import ConfigError


class Inner(Config):
    width: int = Field(4, ge=1, description="width")


class Outer(Config):
    inner: Inner = Inner()
    many: tuple[Inner, ...] = ()
    maybe: Inner | None = None
    needed: str
    low: int = 0

    @model_validator(mode="after")
    def _check(self):
        if self.low > 9:
            raise ValueError("low must not exceed 9 of ABC")
        return self


def complaint(**options):
    with pytest.raises(ConfigError) as caught:
        Outer.parse({"needed": "x", **options}, "recipe")
    return str(caught.value)


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"inner": {"widht": 1}}, "recipe.inner.widht"),
        ({"many": [{}, {"widht": 1}]}, "recipe.many.1.widht"),
        ({"maybe": {"widht": 1}}, "recipe.maybe.widht"),
    ],
)
def test_unknown_keys_name_path_and_nearest(options, path):
    assert complaint(**options) == f"unknown key '{path}' (did you mean 'width'?)"


def test_unknown_keys_without_a_near_one_list_the_known():
    assert complaint(zzz=1) == "unknown key 'recipe.zzz' (known: inner, many, maybe, needed, low)"


def test_missing_and_wrong_values():
    with pytest.raises(ConfigError, match="^missing key 'needed'$"):
        Outer.parse({})
    assert "'recipe.inner.width'" in complaint(inner={"width": "wide"})
    assert "got 'wide'" in complaint(inner={"width": "wide"})


def test_a_value_in_place_of_a_table_is_told_once():
    assert complaint(many=["x"]) == "'recipe.many.0': expected a table such as { name = \"...\" }, got 'x'"

    class Needs(Config):
        many: tuple[Inner, ...] = Field(min_length=1)

    with pytest.raises(ConfigError) as caught:
        Needs.parse({"many": ["x"]})
    assert str(caught.value).count(";") == 0


def test_several_problems_come_at_once():
    assert complaint(zzz=1, low="x").count(";") == 1


def test_own_checks_keep_their_words():
    assert complaint(low=10) == "'recipe': low must not exceed 9 of ABC"


def test_frozen_and_defaults_checked():
    with pytest.raises(ValidationError):
        Outer(needed="x").low = 3

    class Wrong(Config):
        width: int = Field(0, ge=1)

    with pytest.raises(ConfigError, match="width"):
        Wrong.parse({})


class Lists(Config):
    size: tuple[int, int, int] = (4, 5, 6)
    names: tuple[str, ...] = ()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"size": 4}, r"^'size': expected a list such as \[4, 5, 6\], got 4$"),
        ({"size": [1, 2, "x"]}, "^'size.2': expected a whole number, got 'x'$"),
        ({"size": [1, 2, 3, 4]}, "^'size': list should have at most 3 items, not 4, got"),
        ({"names": "a"}, "^'names': expected a list, got 'a'$"),
    ],
)
def test_lists_are_called_lists(options, says):
    with pytest.raises(ConfigError, match=says):
        Lists.parse(options)
