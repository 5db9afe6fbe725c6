"""The ``umzoo`` entry of nnU-Net plans: weights, options of transfer and training, and a summary of the transfer.

nnU-Net keeps unknown entries of plans and copies them into its results and checkpoints. So the entry tells every rank,
every resumed training and every later reader which weights were used.
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

    It holds no local path; :mod:`umzoo.nnunet.training.weights_location` stores that separately.
    """

    reference: str = Field("", description="org/name on the Hub, or architecture.tag; empty for a folder")
    revision: str | None = Field(None, description="commit of the repository")
    name: str = Field(description="architecture.tag")
    sha256: str | None = Field(None, description="sha256 of the tensor file")
    license: str = Field("", description="SPDX identifier")
    license_link: str = Field("", description="address of a license without SPDX identifier")

    @model_validator(mode="before")
    @classmethod
    def _without_asked(cls, values: Any) -> Any:
        """Drop the key ``asked`` of older plans."""
        return {key: value for key, value in values.items() if key != "asked"} if isinstance(values, dict) else values


class Summary(Config):
    """Summary of the transfer, without its list of tensors."""

    verdict: str = Field(description="summary of the transfer in one line")
    coverage: float = Field(description="fraction of the encoder's kernels that the weights set")
    decoder_coverage: float | None = Field(None, description="fraction of the decoder's kernels that the weights set")
    warnings: tuple[str, ...] = Field((), description="differences that do not prevent the transfer")


class Options(Config):
    """User options of a training."""

    rules: TransferRules = Field(TransferRules(), description="rules of the transfer of weights")
    finetuning: FineTuning = Field(FineTuning(), description="options of the training")
    fast_augmentation: bool = Field(
        False, description="run nnU-Net's default augmentation for whole batches on the training device"
    )


class PlansEntry(Options):
    """The ``umzoo`` entry of plans, read by umzoo's trainer."""

    format: int = Field(FORMAT, description="format number")
    base: str = Field(description="name of the original plans")
    weights: WeightsEntry | None = Field(None, description="weights; None for the matched training from scratch")
    summary: Summary | None = Field(None, description="summary of the transfer")


def parse_options(name: str, overrides: Sequence[str] = ()) -> Options:
    """Return the fine-tuning recipe *name* with *overrides* such as ``finetuning.epochs=50`` or ``rules.minimum=0.3``.

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
        ConfigError: if it is missing, damaged, or written by a later version of umzoo.
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
    """Return the summary of *report*."""
    return Summary(
        verdict=report.verdict,
        coverage=report.coverage,
        decoder_coverage=report.decoder_coverage,
        warnings=report.warnings,
    )
