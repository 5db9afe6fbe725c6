"""The ``umzoo`` entry of nnU-Net plans: which weights, how they are fitted and trained from, and what came of it.

nnU-Net keeps unknown entries of plans, and copies them into its results and checkpoints; so they are where a training
finds its weights on every rank and after every restart, and where a later reader finds which ones they were.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field, model_validator

from umzoo.config import Config
from umzoo.errors import ConfigError
from umzoo.nnunet.training.finetuning import FineTuning, recipe
from umzoo.overrides import apply_override
from umzoo.weights.transfer import TransferReport, TransferRules

KEY = "umzoo"
FORMAT = 1


class WeightsEntry(Config):
    """The weights a training starts from.

    Of a folder there is no path: :mod:`umzoo.nnunet.training.weights_location` keeps it here.
    """

    reference: str = Field("", description="org/name on the Hub, or architecture.tag; empty for a folder")
    revision: str | None = Field(None, description="commit of the repository")
    name: str = Field(description="architecture.tag")
    sha256: str | None = Field(None, description="sha256 of the file of tensors")
    license: str = Field("", description="SPDX identifier")
    license_link: str = Field("", description="text of a license that has no SPDX identifier")

    @model_validator(mode="before")
    @classmethod
    def _without_asked(cls, values: Any) -> Any:
        """Plans of before hold the reference as it was given, too."""
        return {key: value for key, value in values.items() if key != "asked"} if isinstance(values, dict) else values


class Summary(Config):
    """What was found before training: the transfer, without its list of tensors."""

    verdict: str = Field(description="the transfer in one line")
    coverage: float = Field(description="share of the encoder's kernels that the weights set")
    decoder_coverage: float | None = Field(None, description="the same of the decoder's")
    warnings: tuple[str, ...] = Field((), description="what fits and still differs")


class Options(Config):
    """What a user can choose about a training."""

    rules: TransferRules = Field(TransferRules(), description="how the weights are fitted")
    finetuning: FineTuning = Field(FineTuning(), description="how they are trained from")
    fast_augmentation: bool = Field(
        False, description="nnU-Net's default augmentation for whole batches on the training's device"
    )


class PlansEntry(Options):
    """All that umzoo's trainer needs to know."""

    format: int = Field(FORMAT, description="format number")
    base: str = Field(description="name of the plans that these were derived from")
    weights: WeightsEntry | None = Field(None, description="None: random weights, with all else equal")
    summary: Summary | None = Field(None, description="what becomes of the planned network's tensors")


def parse_options(name: str, overrides: Sequence[str] = ()) -> Options:
    """Return fine-tuning recipe *name* with *overrides* such as ``finetuning.epochs=50`` or ``rules.minimum=0.3``.

    Raises:
        UnknownNameError: if there is no such recipe.
        ConfigError: if a key or value is wrong.
    """
    table: dict[str, Any] = {"finetuning": recipe(name).model_dump(), "rules": {}}
    for override in overrides:
        apply_override(table, override)
    return Options.parse(table)


def read_entry(plans: Mapping[str, Any]) -> PlansEntry:
    """Return umzoo's entry in *plans*.

    Raises:
        ConfigError: if there is none, or it was written by a later umzoo, or is damaged.
    """
    content = plans.get(KEY)
    if not isinstance(content, Mapping):
        raise ConfigError(
            f"the plans '{plans.get('plans_name')}' have no '{KEY}' entry: make them with 'umzoo nnunet train'"
        )
    if isinstance(number := content.get("format"), int) and number > FORMAT:
        raise ConfigError(
            f"the plans' '{KEY}' entry has format {number}, this umzoo reads up to {FORMAT}: update umzoo"
        )
    return PlansEntry.parse(content, f"plans.{KEY}")


def summarize(report: TransferReport) -> Summary:
    """Return *report* without its tensors."""
    return Summary(
        verdict=report.verdict,
        coverage=report.coverage,
        decoder_coverage=report.decoder_coverage,
        warnings=report.warnings,
    )
