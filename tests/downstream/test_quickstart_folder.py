import pytest
from rich.console import Console

from umzoo.downstream.quickstart import QuickstartConfig, quickstart
from umzoo.downstream.quickstart_folder import MARKER, claim
from umzoo.errors import ConfigError

CONFIG = QuickstartConfig()


def content(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("made", [False, True])
def test_a_new_or_empty_folder_is_claimed_and_claimed_again(tmp_path, made):
    folder = tmp_path / "a" / "tour"
    if made:
        folder.mkdir(parents=True)
    claim(folder, CONFIG)
    before = content(folder)
    claim(folder, CONFIG)
    assert content(folder) == before and (folder / MARKER).is_file()


def test_a_folder_of_the_user_is_refused_and_not_touched(tmp_path):
    for name in ("run/run.json", "run/recipe.toml", "weights/model.safetensors"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
    before = content(tmp_path)
    with pytest.raises(ConfigError, match="the tour did not make it: choose another --out"):
        quickstart(tmp_path, CONFIG, Console(quiet=True))
    assert content(tmp_path) == before


@pytest.mark.parametrize("text", ["{}", "no JSON", "[1]"])
def test_another_tour_or_a_damaged_marker_is_refused(tmp_path, text):
    (tmp_path / MARKER).write_text(text)
    with pytest.raises(ConfigError, match="other options"):
        claim(tmp_path, CONFIG)
    assert (tmp_path / MARKER).read_text() == text


def test_a_file_is_refused(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(ConfigError, match="is a file"):
        claim(tmp_path / "out", CONFIG)


def test_options_that_differ_are_another_tour(tmp_path):
    claim(tmp_path, CONFIG)
    with pytest.raises(ConfigError, match="other options"):
        claim(tmp_path, QuickstartConfig(volumes=1))
