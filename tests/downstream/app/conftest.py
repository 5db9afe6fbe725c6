"""Weights with and without a head, and a scan to upload."""

import nibabel
import pytest

import umzoo
from tests.downstream.embed.conftest import make_weights
from tests.scans.conftest import as_nifti, make_body

ANSWERS = {
    "segmentation": {"classes": ("background", "liver", "tumor"), "labels": {"background": 0, "liver": 6, "tumor": 9}},
    "classification": {"classes": ("no", "yes")},
    "regression": {"targets": ("age", "weight")},
}


@pytest.fixture(scope="session")
def plain(tmp_path_factory):
    """Weights without a head."""
    return make_weights(tmp_path_factory.mktemp("app") / "plain")


@pytest.fixture(scope="session")
def tuned(plain, tmp_path_factory):
    """Return a function that gives the folder of weights with a head for a task."""
    folders = {}

    def make(task):
        if task not in folders:
            count = len(ANSWERS[task].get("classes") or ANSWERS[task]["targets"])
            options = {"targets": count} if task == "regression" else {"classes": count}
            model = umzoo.from_pretrained(plain, head={"name": task, **options})
            answer = {"task": task, "modalities": ("ct",), "channels": ("ct",), **ANSWERS[task]}
            folders[task] = tmp_path_factory.mktemp("app") / task
            umzoo.save_pretrained(model, folders[task], answer=answer)
        return folders[task]

    return make


@pytest.fixture
def upload(tmp_path):
    """A CT that a visitor uploaded, under a name that tells too much."""
    nibabel.save(as_nifti(make_body(0)), tmp_path / "jane_doe.nii.gz")
    return tmp_path / "jane_doe.nii.gz"
