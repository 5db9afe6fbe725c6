from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import torch

import umzoo
from tests.scans.conftest import as_nifti
from umzoo.downstream.embed.config import EmbedConfig
from umzoo.downstream.evaluate import EvaluateConfig, evaluate
from umzoo.downstream.evaluate.properties import Mirrored, Zoomed, is_altered, property_tables
from umzoo.downstream.tasks import load_task
from umzoo.spec import InputSpec


def write_task(folder: Path) -> Path:
    """Noise about a bright spot that is always on one side; every second file has voxels twice as large."""
    lines = ["image,mark"]
    for number in range(24):
        rng = np.random.default_rng(number)
        voxels = rng.normal(0, 40, (16, 16, 16))
        voxels[2:6, 4:12, 4:12] += 600
        image = as_nifti(voxels.astype(np.int16))
        if number % 2:
            image = nibabel.Nifti1Image(
                image.get_fdata().astype(np.int16), np.diag([2.0, 2.0, 2.0, 1.0]) @ image.affine
            )
        nibabel.save(image, folder / f"s{number}.nii.gz")
        lines.append(f"s{number}.nii.gz,{number // 2 % 2}")
    (folder / "scans.csv").write_text("\n".join(lines))
    text = '[task]\nkind = "classification"\ndata = "scans.csv"\ntargets = "mark"\nmodality = "ct"\n'
    (folder / "task.toml").write_text(text)
    return folder / "task.toml"


def test_what_differs_is_probed_and_what_does_not_is_not(tmp_path):
    torch.manual_seed(0)
    network = umzoo.create_model("resenc_unet_s", features_per_stage=(4, 8), n_blocks_per_stage=(1, 1))
    umzoo.save_pretrained(network, tmp_path / "w", input=InputSpec(spacing=None, patch_size=(16, 16, 16)))
    network = umzoo.from_pretrained(tmp_path / "w", head=False)
    options = EmbedConfig(pooling="mean+max", levels=(0, 1))
    tables = property_tables(load_task(write_task(tmp_path)), {"w": network}, tmp_path / "c", options)
    assert tables.keys() == {"spacing", "side", "scale"}, "all are CT, of one source"
    assert set(np.unique(tables["side"].targets)) == {0, 1}
    simple = {name: it.features["intensity and size"] for name, it in tables.items()}
    config = EvaluateConfig(seeds=1, folds=3, bootstrap=100, permutations=100)
    found = {name: evaluate(it, config) for name, it in tables.items()}
    of_size = next(it for it in found["spacing"].scores if it.reference == "intensity and size")
    assert of_size.interval.value > 0.9, "size in mm tells the spacing"
    assert simple["side"].shape == simple["scale"].shape == (24, 15)
    of_side = next(it for it in found["side"].scores if it.reference == "intensity and size")
    assert of_side.interval.value < 0.85, "intensities do not tell a mirror image"


def test_views_keep_the_size_and_leave_half_as_it_is(tmp_path):
    task = load_task(write_task(tmp_path))
    cases = sorted(task.cases, key=is_altered)
    scan = umzoo.load_scan(tmp_path / "s0.nii.gz", InputSpec(spacing=None), modality="ct")
    assert torch.equal(Mirrored()(scan, cases[0]).image, scan.image)
    mirrored = Mirrored()(scan, cases[-1])
    assert not torch.equal(mirrored.image, scan.image)
    assert torch.equal(Mirrored()(mirrored, cases[-1]).image, scan.image)
    ramp = replace(scan, image=torch.linspace(-1, 1, 16).expand(1, 16, 16, 16).clone())
    whole, middle = (Zoomed()(ramp, case).image for case in (cases[0], cases[-1]))
    assert whole.shape == middle.shape == ramp.image.shape
    assert float(middle.abs().max() / whole.abs().max()) < 0.85


def test_the_page_says_what_else_can_be_read(tmp_path, run):
    torch.manual_seed(0)
    network = umzoo.create_model("resenc_unet_s", features_per_stage=(4, 8), n_blocks_per_stage=(1, 1))
    umzoo.save_pretrained(network, tmp_path / "w", input=InputSpec(spacing=None, patch_size=(16, 16, 16)))
    out, task = tmp_path / "out", write_task(tmp_path)
    options = ("--seeds", "1", "--draws", "1", "--cpu", "--invariances")
    text = run("evaluate", task, "--weights", tmp_path / "w", "--out", out, *options)
    assert "custom, side:" in text
    page = (out / "README.md").read_text()
    titles = ("## Scan properties in the features", "### Spacing", "### Side", "### Scale")
    assert all(title in page for title in titles)
    assert (out / "scale" / "scores.csv").is_file()
