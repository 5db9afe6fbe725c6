"""Pages of runs, weights and evaluations, and the choice of the page for a folder."""

from __future__ import annotations

from pathlib import Path

from umzoo.data.loading.open_store import open_store
from umzoo.downstream.browse.page import Page
from umzoo.downstream.browse.store import store_page
from umzoo.engine.log import read_metrics
from umzoo.engine.run import is_run
from umzoo.errors import ConfigError
from umzoo.files import read_text

PANELS = 6
"""Maximum number of panels shown of a run, newest first."""


def page_of(folder: Path) -> Page:
    """Return the page of the store, run, weights or evaluation in *folder*.

    Raises:
        ConfigError: if it is none of them.
        UmzooError: if it is damaged.
    """
    if (folder / "store.json").is_file():
        return store_page(open_store(folder))
    if is_run(folder):
        return _run(folder)
    if (folder / "config.json").is_file():
        return _weights(folder)
    if (folder / "README.md").is_file() and (folder / "scores.png").is_file():
        return _evaluation(folder)
    raise ConfigError(
        f"{folder} is neither a store (store.json), nor a run (run.json), nor weights (config.json), nor an evaluation"
        " (README.md and scores.png)"
    )


def _run(folder: Path) -> Page:
    """Return a page with the last logged values, the curves, the newest panels, and the recipe."""
    page = Page(f"Run {folder.name}")
    last: dict[str, float] = {}
    for line in read_metrics(folder / "metrics.jsonl") if (folder / "metrics.jsonl").is_file() else ():
        last |= {name: value for name, value in line.items() if value is not None}
    page.heading("Last values")
    page.facts({name: f"{value:.6g}" for name, value in last.items()})
    if (curves := folder / "pictures" / "curves.png").is_file():
        page.heading("Curves")
        page.picture(curves)
    if panels := sorted((folder / "pictures").glob("panel-*.png"))[-PANELS:]:
        page.heading("Panels")
        for file in reversed(panels):
            page.picture(file, file.stem)
    page.heading("Recipe")
    page.code(read_text(folder / "recipe.toml"))
    return page


def _weights(folder: Path) -> Page:
    """Return a page with the properties of the weights, and their model card."""
    from umzoo.weights.folder.reader import read_info

    info = read_info(folder)
    page = Page(f"Weights {info.name}")
    network = ", ".join(f"{name}={value}" for name, value in info.backbone.options.items())
    page.facts(
        {
            "network": f"{info.backbone.name} ({network})" if network else info.backbone.name,
            "parts": ", ".join(info.parts),
            "license": f"{info.license} {info.license_link}".strip(),
            "spacing": info.input.spacing and " x ".join(f"{mm:g}" for mm in info.input.spacing) + " mm",
            "patch": info.input.patch_size and " x ".join(map(str, info.input.patch_size)),
            "volumes": info.provenance.volumes,
            "steps": info.provenance.steps,
        }
    )
    if (card := folder / "README.md").is_file():
        page.markdown(read_text(card), folder)
    return page


def _evaluation(folder: Path) -> Page:
    """Return the page that ``umzoo evaluate`` wrote, with its pictures."""
    page = Page(f"Evaluation {folder.name}")
    page.markdown(read_text(folder / "README.md"), folder)
    return page
