"""What weights say of a scan, and how it is shown."""

import nibabel
import numpy as np
import pytest

import umzoo
from umzoo.data.reading.geometry import Grid
from umzoo.downstream.app.answer import result_of
from umzoo.downstream.app.shown import EDGE, Shown, pixel_of, upright
from umzoo.downstream.app.upload import Limits
from umzoo.downstream.app.words import introduction, known_modalities, upload_label, usual_modality, what_it_says
from umzoo.downstream.embed.table_files import read_table
from umzoo.heads.answer import Answer

pytest.importorskip("monai")
pytest.importorskip("pandas")


@pytest.fixture
def say(upload, tmp_path):
    """What the weights in a folder say of the upload."""

    def ask(folder):
        model = umzoo.from_pretrained(folder)
        return result_of(model, umzoo.load_scan(upload, model, modality="ct"), tmp_path)

    return ask


def test_a_mask_lies_on_the_scans_own_grid(say, tuned, upload):
    said = say(tuned("segmentation"))
    mask, scan = nibabel.load(said.file), nibabel.load(upload)
    assert mask.shape == scan.shape and np.allclose(mask.affine, scan.affine)
    values = set(np.unique(mask.dataobj).tolist())
    assert values <= {0, 6, 9} and all(f"({value})" in said.summary for value in values - {0})
    shown = said.shown
    row = shown.first
    assert shown.labels.shape == shown.gray.shape and (shown.labels[row] > 0).sum() == max(
        (it > 0).sum() for it in shown.labels
    )
    masks = shown.labeled(row)
    assert masks.keys() == set(np.unique(shown.labels[row]).tolist()) - {0}
    assert all(mask.shape == shown.slice(row).shape for mask in masks.values())


def test_classes_get_probabilities_and_numbers_their_names(say, tuned):
    found = say(tuned("classification"))
    assert found.values.keys() == {"no", "yes"} and sum(found.values.values()) == pytest.approx(1)
    assert found.file is None and found.shown.labeled(0) == {}
    assert say(tuned("regression")).values.keys() == {"age", "weight"}


def test_without_a_head_features_are_shown_and_the_vector_is_that_of_embed(say, plain, upload):
    said = say(plain)
    model = umzoo.from_pretrained(plain)
    scan = umzoo.load_scan(upload, model, modality="ct")
    assert np.allclose(read_table(said.file).features[0], umzoo.embed(model, scan).vector, atol=1e-6)
    colors = said.shown.colors
    assert colors.shape == (*said.shown.gray.shape, 3) and colors.dtype == np.uint8 and len(np.unique(colors)) > 50
    assert np.array_equal(colors, say(plain).shown.colors)


AXES = [
    np.diag([1.0, 2, 3, 1]),
    np.diag([-1.0, 2, -3, 1]),
    np.diag([3.0, 2, 1, 1])[[2, 1, 0, 3]],
    np.eye(4)[[1, 2, 0, 3]],
]


@pytest.mark.parametrize("affine", AXES, ids=range(len(AXES)))
def test_slices_run_upwards_backwards_and_to_the_left_whatever_the_axes_of_the_weights(affine):
    grid = Grid((5, 6, 7), affine)
    places = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1) @ affine[:3, :3].T
    places = (places - places.min((0, 1, 2))).astype(np.uint8)
    for axis, world in enumerate((2, 1, 0)):
        steps = np.diff(upright(places[..., world], grid).astype(int), axis=axis)
        assert (steps > 0).all()
    heights, widths = np.abs(affine[1, :3]).max(), np.abs(affine[0, :3]).max()
    assert pixel_of(grid) == (heights, widths)


def test_pixels_are_square_in_mm():
    shown = Shown(np.zeros((3, 10, 20), np.uint8), (2.0, 1.0), np.ones((3, 10, 20), np.uint8))
    assert shown.slice(0).shape == (EDGE, EDGE) and shown.labeled(0)[1].all()
    assert Shown(np.zeros((3, 10, 20), np.uint8), (1.0, 1.0)).slice(0).shape == (EDGE // 2, EDGE)


def test_the_page_says_what_it_does_and_names_of_others_are_text(tuned, plain):
    info = umzoo.from_pretrained(tuned("segmentation")).weights_info
    text = introduction(info, "org/name", Limits(), 10)
    assert "liver, tumor" in text and "background" not in text and "Not for clinical use." in text
    assert "(https://huggingface.co/org/name)" in text and "200 MB" in text and usual_modality(info) == "ct"
    assert "no trained head" in introduction(umzoo.from_pretrained(plain).weights_info, "", Limits(), 10)
    strange = Answer(task="classification", classes=("<b>x</b>", "[y](http://z)"))
    assert "\\<b\\>" in what_it_says(strange) and "\\[y\\]" in what_it_says(strange)
    mixed = Answer(task="regression", channels=("a", "b"), modalities=("ct", "pt"))
    assert known_modalities(mixed) == ("ct", "pt") and known_modalities(info.answer) == known_modalities(None) == ()
    assert upload_label(2, ("flair", "t1")) == "Scan: 2 files, in this order: flair, t1"
