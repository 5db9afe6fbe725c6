"""Maps of vectors: what is drawn, and what is said of the vectors themselves."""

import json
import re

import numpy as np
import pytest

from umzoo.downstream.browse.agreement import agreement
from umzoo.downstream.browse.coloring import OTHER, UNKNOWN, Coloring
from umzoo.downstream.browse.folders import page_of
from umzoo.downstream.browse.projection import project
from umzoo.downstream.embed.table_files import COLUMNS, write_table
from umzoo.downstream.evaluate.feature_table import FeatureTable
from umzoo.downstream.evaluate.saved_vectors import VECTORS, save_vectors
from umzoo.errors import ConfigError, DataError

pytest.importorskip("sklearn")
RNG = np.random.default_rng(0)
GROUPS = np.repeat(["a", "b"], 12)
APART = RNG.normal(size=(24, 6)).astype(np.float32) + 8 * (GROUPS == "b")[:, None]


@pytest.mark.parametrize("method", ["pca", "tsne", "umap"])
def test_what_lies_apart_is_drawn_apart_and_always_alike(method):
    if method == "umap":
        pytest.importorskip("umap")
    places = project(APART, method).places
    gap = np.linalg.norm(places[GROUPS == "a"].mean(0) - places[GROUPS == "b"].mean(0))
    assert gap > 2 * max(places[name == GROUPS].std(0).max() for name in "ab")
    assert np.array_equal(places, project(APART, method).places)


def test_the_shares_of_the_components_are_told():
    rows = np.column_stack([np.arange(8.0), np.arange(8.0), np.ones(8)])
    assert "100% of the variance from left to right, 0%" in project(rows).note
    assert not project(np.ones((4, 3))).places.any(), "equal vectors"
    assert project(np.arange(4.0)[:, None]).places.shape == (4, 2), "vectors of one number"


def test_maps_that_cannot_be_drawn_are_refused():
    with pytest.raises(ConfigError, match="did you mean 'tsne'"):
        project(APART, "tnse")
    with pytest.raises(DataError, match="needs 3 vectors, got 2"):
        project(APART[:2])


def test_neighbors_tell_what_is_in_the_vectors_beside_who_does_not_look():
    persons = np.arange(24).astype(str)
    told = agreement(APART[4:], persons[4:], Coloring.of("group", GROUPS[4:]))
    assert told.value == 1 and told.blind == 12 / 20 and "always saying 'b' is right in 60%" in told.text
    number = Coloring.of_numbers("age", APART[:, 0].astype(float))
    told = agreement(APART, persons, number)
    assert told.value < told.blind / 2 and "always saying the median" in told.text


def test_vectors_of_one_person_are_no_neighbors():
    """Two scans of each of 40 persons, alike, and classes that have nothing to do with them."""
    rows, classes = RNG.normal(size=(40, 5)), RNG.integers(0, 2, 40).astype(str)
    twice, persons = rows.repeat(2, axis=0), np.arange(40).repeat(2)
    assert agreement(twice, np.arange(80), Coloring.of("class", classes.repeat(2))).value > 0.95
    assert agreement(twice, persons, Coloring.of("class", classes.repeat(2))).value < 0.75


def test_too_few_persons_or_values_say_nothing():
    assert agreement(APART, np.zeros(24), Coloring.of("group", list(GROUPS))) is None
    assert agreement(APART, np.arange(24), Coloring.of("group", ["a"] * 23 + [""])) is None


def test_classes_and_numbers_get_colors_and_a_legend():
    classes = Coloring.of("class", [*"aaabbcdefghi", ""])
    colors = classes.colors()
    assert colors[0] == colors[2] != colors[3] and colors[-1] == UNKNOWN and colors[-2] == OTHER
    assert [label for _, label in classes.legend()][-2:] == ["2 more (2)", "unknown (1)"]
    numbers = Coloring.of("age", [*map(str, range(20)), ""])
    assert len(set(numbers.colors())) == 21 and [label for _, label in numbers.legend()][0::4] == ["0", "19"]
    assert Coloring.of("grade", [*"1231231"]).numbers is None, "few numbers are classes"


@pytest.fixture
def table(tmp_path):
    """Vectors of 24 scans whose names are those of cases 1000 to 1023, but for the first."""
    scans = ["<b>x</b>.nii.gz", *(f"images/brain_{1000 + number}.nii.gz" for number in range(1, 24))]
    texts = [scans, [f"p{number}" for number in range(24)], [""] * 24, ["ct", *["mr"] * 23], ["lab"] * 24]
    write_table(".npz", tmp_path / "f.npz", dict(zip(COLUMNS, texts, strict=True)), APART)
    lines = [f"brain_{1000 + number},{group},{number // 2}" for number, group in enumerate(GROUPS)]
    (tmp_path / "targets.csv").write_text("\n".join(["case,group,subject", *lines]))
    return tmp_path / "f.npz"


def html(page, folder):
    page.write(folder / "page.html")
    return (folder / "page.html").read_text(encoding="utf-8")


def test_a_page_colors_by_what_is_known_and_loads_nothing(table, tmp_path):
    text = html(page_of(table), tmp_path)
    assert text.count("<circle") == 24 and "by modality" in text and "data set" not in text
    assert "&lt;b&gt;x&lt;/b&gt;.nii.gz · modality: ct" in text and "<b>x" not in text
    assert "default-src 'none'" in text and not re.search(r'(src|href)="', text)


def test_a_table_of_targets_colors_too_and_names_the_persons(table, tmp_path):
    targets = tmp_path / "targets.csv"
    text = html(page_of(table, table=targets, targets=["group"]), tmp_path)
    assert re.findall(r"<option[^>]*>(.*?)</option>", text) == ["group", "modality"]
    colors = json.loads(re.search(r'<script type="application/json">(.*?)</script>', text)[1])
    assert [len(it) for it in colors] == [24, 24] and len(set(colors[0])) == 3 and "unknown (1)" in text
    assert ">13</td>" in text, "12 persons of two scans, one of which is not in the table"
    with pytest.raises(ConfigError, match="go together"):
        page_of(table, targets=["group"])
    with pytest.raises(DataError, match="no column 'gruop'"):
        page_of(table, table=targets, targets=["gruop"])
    targets.write_text("case,group\nother,a\n")
    with pytest.raises(DataError, match="names other scans: 'other'"):
        page_of(table, table=targets, targets=["group"])


def test_the_command(table, tmp_path, run):
    assert "wrote" in run("browse", table, "--map", "pca", "--out", tmp_path / "map.html")
    assert (tmp_path / "map.html").read_text().count("<circle") == 24
    (tmp_path / "other.npz").write_bytes(b"no table")
    with pytest.raises(DataError, match="no table of 'umzoo embed'"):
        run("browse", tmp_path / "other.npz")
    with pytest.raises(ConfigError, match="color vectors"):
        run("browse", tmp_path, "--target", "group", "--table", table)


KINDS = {
    "classification": (np.arange(24) % 2, ("no", "yes"), ["class"]),
    "multilabel": (np.stack([np.arange(24) % 2, np.arange(24) % 3 == 0], 1), ("x", "y"), ["x", "y"]),
    "regression": (np.arange(24.0)[:, None], ("age",), ["age"]),
    "survival": (np.stack([np.arange(24.0), np.arange(24) % 2], 1), ("time", "event"), ["time", "event"]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_evaluation_shows_its_vectors_and_those_of_its_controls(kind, tmp_path):
    targets, classes, shown = KINDS[kind]
    features = {"ours": APART, "simple": APART[:, :2], "random": np.stack([APART, APART])}
    persons = np.arange(24).astype(str)
    table = FeatureTable(features, targets, persons, kind, {"ours": "random"}, "simple", classes)
    save_vectors(table, [f"case{number}" for number in range(24)], tmp_path)
    (tmp_path / "README.md").write_text("# Do they help?\n")
    (tmp_path / "scores.png").touch()
    text = html(page_of(tmp_path), tmp_path)
    assert text.count("<circle") == 3 * 24 and "case23" in text and "without looking" in text
    heads = re.search(r"<th>vectors</th>(.*?)</tr>", text)[1]
    assert re.findall("<th>(.*?)</th>", heads) == shown
    (tmp_path / VECTORS).write_bytes(b"damaged")
    with pytest.raises(DataError, match="evaluate again"):
        page_of(tmp_path)
