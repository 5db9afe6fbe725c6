"""Pages are one file that loads nothing, and show what is in the folder."""

import base64
import io
import json
import re

import numpy as np
import pytest
from matplotlib.image import imread, imsave

import umzoo
from umzoo.data.store.reader import Store
from umzoo.downstream.browse.folders import page_of
from umzoo.downstream.browse.page import Page
from umzoo.engine.recipe import load_recipe
from umzoo.engine.run import Run
from umzoo.errors import ConfigError


def written(page, folder):
    page.write(folder / "page.html")
    return (folder / "page.html").read_text(encoding="utf-8")


def picture(file):
    imsave(file, np.eye(4))
    return file


def addresses(html):
    return re.findall(r'(?:src|href)="([^"]*)"', html)


def test_a_store_shows_its_slices_in_order(tiny_store, tmp_path):
    html = written(page_of(tiny_store.path), tmp_path)
    stacks = [json.loads(it) for it in re.findall(r'<script type="application/json">(.*?)</script>', html)]
    assert len(stacks) == 6, "a stack for each volume"
    assert "6 volumes" in html and ">ct<" in html and ">mr<" in html
    assert all(uri.startswith("data:image/jpeg;base64,") for uri in addresses(html))
    store = Store(tiny_store.path)
    low, high = store.records[0].stored_window
    first = np.asarray(store.read(0, (0, 0, 0), store.records[0].shape), float)
    wanted = ((first - low) / (high - low)).clip(0, 1)
    shown = [pixels(uri) for stack in stacks for uri in stack]
    rows = [np.abs(np.stack(shown[:32])[:, :, :] - wanted[row]).mean((1, 2)).min() for row in (0, 31)]
    assert len(stacks[0]) == 32 and max(rows) < 0.05


def pixels(uri):
    image = imread(io.BytesIO(base64.b64decode(uri.partition(",")[2])), format="jpeg")
    return image[..., 0] / 255


def test_a_run_shows_curves_panels_and_recipe(tmp_path):
    run = Run(tmp_path / "run", load_recipe("universal_tiny"), tmp_path / "store")
    run.begin(())
    (run.folder / "metrics.jsonl").write_text('{"step": 1, "loss": 0.25}\n{"step": 2, "loss": null}\n')
    picture(run.pictures / "curves.png")
    for step in range(9):
        picture(run.pictures / f"panel-{step:08d}.png")
    html = written(page_of(run.folder), tmp_path)
    assert ">loss</td><td>0.25<" in html and "universal_tiny" in html
    assert html.count("<img ") == 1 + 6 and html.index("panel-00000008") < html.index("panel-00000007")


def test_weights_and_evaluations_show_their_page(tmp_path):
    umzoo.save_pretrained(umzoo.create_model("genesis_unet", width=1), tmp_path / "w", license="cc0-1.0")
    html = written(page_of(tmp_path / "w"), tmp_path)
    assert "cc0-1.0" in html and "genesis_unet" in html and not any(it.startswith("http") for it in images(html))
    (tmp_path / "e").mkdir()
    picture(tmp_path / "e" / "scores.png")
    (tmp_path / "e" / "README.md").write_text(
        "# Do they help?\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n![s](scores.png)\n"
    )
    html = written(page_of(tmp_path / "e"), tmp_path)
    assert "<td>2</td>" in html and [it[:22] for it in images(html)] == ["data:image/png;base64,"]


def images(html):
    return re.findall(r'<img src="([^"]*)"', html)


def test_other_folders_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="neither a store"):
        page_of(tmp_path)


def test_what_others_wrote_is_text(tmp_path):
    (tmp_path / "secret.png").write_bytes(b"mine")
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "link.png").symlink_to(tmp_path / "secret.png")
    page = Page("<b>title</b>")
    page.paragraph("<script>alert(1)</script>")
    page.table([["<i>x</i>"]])
    text = "<img src=x onerror=alert(1)> ![a](../secret.png) ![b](https://there/x.png) ![c](link.png)"
    page.markdown(f"---\na: 1\n---\n<!-- note -->\n{text}", tmp_path / "w")
    html = written(page, tmp_path)
    assert not re.search(r"<(b|i)>|<script>alert|<img src=x|note|a: 1", html)
    assert images(html) == ["", "", ""] and "default-src 'none'" in html
