from __future__ import annotations

import csv
import json

import nibabel
import numpy as np
import pytest
import torch

import umzoo
from tests.scans.conftest import as_nifti, make_body
from umzoo.downstream.prediction.answers import predict
from umzoo.downstream.prediction.folder import predict_scans, to_label_map
from umzoo.errors import ConfigError
from umzoo.heads.answer import Answer
from umzoo.scans.crops import crop_about
from umzoo.scans.listing import list_scans
from umzoo.scans.load import input_of
from umzoo.spec import InputSpec

monai = pytest.importorskip("monai")


def make_model(folder, head, answer, patch=(16, 16, 16)):
    torch.manual_seed(0)
    network = umzoo.create_model("resenc_unet_s", features_per_stage=(4, 8), n_blocks_per_stage=(1, 1))
    umzoo.save_pretrained(network, folder / "bare", input=InputSpec(spacing=(1.5, 1.5, 1.5), patch_size=patch))
    model = umzoo.from_pretrained(folder / "bare", head=head)
    umzoo.save_pretrained(model, folder / "tuned", answer=answer)
    return umzoo.from_pretrained(folder / "tuned", head=True)


@pytest.fixture
def segmenter(tmp_path):
    answer = Answer(
        task="segmentation", classes=("background", "body", "rest"), labels={"background": 0, "body": 5, "rest": 9}
    )
    return make_model(tmp_path, {"name": "segmentation", "classes": 3}, answer)


@pytest.fixture
def scans(tmp_path):
    folder = tmp_path / "scans"
    folder.mkdir()
    for number in range(2):
        nibabel.save(as_nifti(make_body(number)), folder / f"p{number}.nii.gz")
    (folder / "damaged.nii.gz").write_bytes(b"no scan")
    return folder


class Threshold(torch.nn.Module):
    """A network that calls bright voxels class 1."""

    def forward(self, image):
        return torch.cat([torch.zeros_like(image), 40 * image, torch.full_like(image, -50.0)], dim=1)


def test_a_mask_lies_on_the_scan(segmenter, body):
    """A network that knows the truth voxel by voxel gives the scan's own threshold back."""
    segmenter.forward = Threshold().forward
    scan = umzoo.load_scan(as_nifti(body), segmenter)
    probabilities = predict(segmenter, scan)
    assert torch.allclose(probabilities.sum(0), torch.ones(scan.image.shape[1:]), atol=1e-5)
    mask = to_label_map(scan, probabilities, (0, 5, 9)).values
    truth = body.transpose(2, 1, 0) > body.mean()
    assert mask.shape == truth.shape
    assert set(np.unique(mask)) == {0, 5}
    assert 2 * ((mask == 5) & truth).sum() / ((mask == 5).sum() + truth.sum()) > 0.95


def test_flips_and_ensembles_average(segmenter, body):
    scan = umzoo.load_scan(as_nifti(body), segmenter)
    alone = predict(segmenter, scan)
    assert torch.allclose(predict([segmenter, segmenter], scan), alone, atol=1e-6)
    flipped = predict(segmenter, scan, flips=True)
    assert flipped.shape == alone.shape
    assert not torch.allclose(flipped, alone)
    segmenter.forward = Threshold().forward
    assert torch.allclose(predict(segmenter, scan, flips=True), predict(segmenter, scan), atol=1e-5)


def test_masks_keep_labels_and_what_is_done_is_kept(tmp_path, segmenter, scans):
    listing = list_scans([scans], input_of(segmenter))
    skipped = predict_scans([segmenter], listing, tmp_path / "out", probabilities=True, pictures=True)
    assert [name for name, _ in skipped] == ["scans/damaged.nii.gz"]
    mask = nibabel.load(tmp_path / "out" / "p1.nii.gz")
    scan = nibabel.load(scans / "p1.nii.gz")
    assert mask.shape == scan.shape
    assert np.array_equal(mask.affine, scan.affine)
    assert set(np.unique(mask.dataobj)) <= {0, 5, 9}
    assert json.loads((tmp_path / "out" / "labels.json").read_text()) == {"background": 0, "body": 5, "rest": 9}
    assert nibabel.load(tmp_path / "out" / "probabilities" / "p1.nii.gz").shape == (*scan.shape, 3)
    assert (tmp_path / "out" / "pictures" / "p1.png").stat().st_size > 10_000
    (tmp_path / "out" / "p0.nii.gz").write_bytes(b"kept")
    predict_scans([segmenter], listing, tmp_path / "out")
    assert (tmp_path / "out" / "p0.nii.gz").read_bytes() == b"kept"


@pytest.mark.parametrize("view", ["center", "windows"])
def test_classes_and_numbers_become_a_table(tmp_path, scans, run, view):
    answer = Answer(task="classification", classes=("healthy", "ill"), thresholds={"ill": 0.0}, view=view)
    make_model(tmp_path, {"name": "classification", "classes": 2}, answer)
    for _ in range(2):
        run("predict", tmp_path / "tuned", scans, "--out", tmp_path / "out", "--cpu")
    with (tmp_path / "out" / "predictions.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["scan"] for row in rows] == ["scans/p0.nii.gz", "scans/p1.nii.gz"]
    for row in rows:
        assert float(row["healthy"]) + float(row["ill"]) == pytest.approx(1, abs=1e-4)
        assert row["class"] == "ill", "every probability reaches a threshold of 0"


def test_numbers_are_in_the_units_of_the_training(tmp_path, body):
    answer = Answer(task="regression", targets=("age",), mean=(50.0,), std=(10.0,))
    model = make_model(tmp_path, {"name": "regression", "targets": 1}, answer)
    scan = umzoo.load_scan(as_nifti(body), model)
    with torch.no_grad():
        model.head.layer.weight.zero_()
        model.head.layer.bias.fill_(0.5)
    assert predict(model, scan).tolist() == pytest.approx([55.0])


def test_networks_without_an_answer_are_refused(tmp_path, segmenter, body):
    bare = umzoo.from_pretrained(tmp_path / "bare")
    scan = umzoo.load_scan(as_nifti(body), segmenter)
    with pytest.raises(ConfigError, match="no trained head"):
        predict(bare, scan)
    other = make_model(
        tmp_path, {"name": "segmentation", "classes": 2}, Answer(task="segmentation", classes=("a", "b"))
    )
    with pytest.raises(ConfigError, match="one task with equal classes"):
        predict([segmenter, other], scan)


def test_a_network_of_centered_crops_looks_at_the_mask(tmp_path):
    """Where only the mask differs, so does the answer; the crop about the mask is what the network sees."""
    answer = Answer(task="classification", classes=("no", "yes"), view="center")
    model = make_model(tmp_path, {"name": "classification", "classes": 2}, answer)
    scan = umzoo.load_scan(as_nifti(make_body(0)), model, modality="ct")
    mask = torch.zeros(scan.image.shape[1:])
    mask[2:6, 2:6, 2:6] = 1
    crop = crop_about(scan.image.numpy(), (4, 4, 4), (16, 16, 16), float(scan.image.min()))
    with torch.no_grad():
        expected = model.eval()(torch.tensor(crop)[None]).softmax(1)[0]
    torch.testing.assert_close(predict(model, scan, mask=mask), expected)
    assert not torch.allclose(predict(model, scan), expected)
