"""Pre-training that starts from weights instead of random initialization."""

from __future__ import annotations

import logging
from pathlib import Path

from pydantic import Field

from umzoo.backbones.base import Backbone
from umzoo.config import Config
from umzoo.data.store.reader import Store
from umzoo.engine.recipe import Recipe
from umzoo.spec import InputSpec
from umzoo.weights.folder.base_model import origin
from umzoo.weights.folder.info import BaseModel
from umzoo.weights.folder.reader import read_info
from umzoo.weights.transfer import TransferReport, transfer

log = logging.getLogger(__name__)


class Start(Config):
    """Initial weights of a run, recorded in ``start.json`` and in exported weights."""

    base: BaseModel = Field(description="which weights")
    license: str = Field(description="their license, which holds for what is trained from them unless another is given")
    license_link: str = Field("", description="text of a license that has no SPDX identifier")
    citations: tuple[str, ...] = Field((), description="what they ask to cite")
    verdict: str = Field(description="how much of the network they set")
    report: TransferReport | None = Field(None, exclude=True, description="the same in full, kept in a file of its own")


def start_from(folder: Path, backbone: Backbone, input: InputSpec) -> Start:
    """Copy matching weights from *folder* into *backbone*; return a record of them.

    Args:
        folder: a weights folder.
        backbone: the network of the run, changed in place.
        input: input of the network in the run; differences from that of the weights are logged.

    Raises:
        WeightsError: if they cannot be read, are of another family, or cover too little of the network.
    """
    report = transfer(folder, backbone, input=input)
    info = read_info(folder)
    log.info("%s", report.verdict)
    for warning in report.warnings:
        log.warning("%s", warning)
    return Start(
        base=origin(folder, info),
        license=info.license,
        license_link=info.license_link,
        citations=info.citations,
        verdict=report.verdict,
        report=report,
    )


def trained_input(store: Store, recipe: Recipe, backbone: Backbone) -> InputSpec:
    """Return the input of *backbone* in a run of *recipe* on *store*."""
    return store.info.input.model_copy(
        update={"space": backbone.info.input_space, "patch_size": recipe.data.patch_size}
    )
