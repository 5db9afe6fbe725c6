"""Which page a folder or a file gets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from umzoo.data.loading.open_store import open_store
from umzoo.downstream.browse.embedded import table_page
from umzoo.downstream.browse.evaluation import evaluation_page
from umzoo.downstream.browse.page import Page
from umzoo.downstream.browse.runs import finetuning_page, pretraining_page
from umzoo.downstream.browse.store import store_page
from umzoo.downstream.browse.transfer import add_report
from umzoo.downstream.embed.table_files import SUFFIXES
from umzoo.downstream.finetune.training import RUN
from umzoo.engine.run import is_run
from umzoo.errors import ConfigError
from umzoo.files import read_text
from umzoo.weights.folder.reader import CARD, CONFIG, read_info
from umzoo.weights.transfer.saved_report import REPORT, read_report


def page_of(place: Path, method: str = "pca", table: Path | None = None, targets: Sequence[str] = ()) -> Page:
    """Return the page of what is at *place*.

    Args:
        place: folder of a store, a run, weights or an evaluation, a fold of nnU-Net, or a table of ``umzoo embed``.
        method: of maps of vectors; see :func:`umzoo.downstream.browse.projection.project`.
        table: of targets for the vectors of ``umzoo embed``.
        targets: columns of it.

    Raises:
        ConfigError: if it is none of them.
        UmzooError: if it is damaged.
    """
    if place.suffix in SUFFIXES and place.is_file():
        return table_page(place, method, table, targets)
    if table is not None or targets:
        raise ConfigError(f"--table and --target color vectors of 'umzoo embed', and {place} is no file of them")
    if (place / "store.json").is_file():
        return store_page(open_store(place))
    if is_run(place):
        return pretraining_page(place)
    if (place / RUN).is_file():
        return finetuning_page(place)
    if (place / CONFIG).is_file():
        return _weights(place)
    if (place / CARD).is_file() and (place / "scores.png").is_file():
        return evaluation_page(place, method)
    if (place / REPORT).is_file():
        return _fold(place)
    raise ConfigError(
        f"{place} is neither a store (store.json), nor a run (run.json or {RUN}), nor weights ({CONFIG}), nor an"
        f" evaluation ({CARD} and scores.png), nor a fold of nnU-Net ({REPORT}), nor a table of 'umzoo embed'"
        f" ({', '.join(SUFFIXES)})"
    )


def _weights(folder: Path) -> Page:
    """What the weights say of themselves, and their card."""
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
    if (card := folder / CARD).is_file():
        page.markdown(read_text(card), folder)
    return page


def _fold(folder: Path) -> Page:
    """What a training of nnU-Net began with, and its own curves."""
    page = Page(f"nnU-Net {folder.name}")
    add_report(page, read_report(folder))
    if (curves := folder / "progress.png").is_file():
        page.heading("Curves")
        page.picture(curves)
    return page
