"""The report of a transfer: how each tensor was handled, as a table, as one line, and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from umzoo.config import Config
from umzoo.weights.transfer.rules import TransferRules

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

Kind = Literal["exact", "adapted", "fresh"]


class TensorRecord(Config):
    """One tensor of the target."""

    name: str = Field(description="canonical name")
    part: Literal["encoder", "decoder", "head"] = Field(description="part of the network")
    group: str = Field(description="stem, stage, block or head")
    kind: Kind = Field(description="exact: copied; adapted: changed, then copied; fresh: not copied")
    source: str | None = Field(None, description="name of the source tensor")
    note: str = Field("", description="how it was adapted, or why it is fresh")
    kernel: bool = Field(description="whether it is a convolution or linear weight; only these count in shares")
    values: int = Field(description="number of values in the tensor")
    transferred: int = Field(description="number of values set from the source")


class DroppedRecord(Config):
    """One tensor of the source that was not used."""

    name: str = Field(description="canonical name in the source")
    note: str = Field(description="why it was not used")
    values: int = Field(description="number of values in the tensor")


class GroupTotal(Config):
    """Kernels of one group of the target: number of tensors and of values."""

    part: Literal["encoder", "decoder", "head"] = Field(description="part of the network")
    group: str = Field(description="stem, stage, block or head")
    exact: int = Field(description="number of kernels that were copied")
    adapted: int = Field(description="number of kernels that were changed, then copied")
    fresh: int = Field(description="number of kernels that were not copied")
    values: int = Field(description="number of values in the kernels")
    transferred: int = Field(description="number of values set from the source")


class TransferReport(Config):
    """The result of a transfer, or of its plan. ``to_json`` writes it, and ``model_validate_json`` reads it.

    Shares count values in kernels (convolution and linear weights), each tensor once. Biases and norms are not counted,
    because they have the same constants in every fresh network. Heads are not counted either.
    """

    source: str = Field(description="name of the weights")
    target: str = Field(description="class of the target network")
    family: str = Field(description="family of the target network")
    sha256: str | None = Field(None, description="sha256 of the weights file")
    rules: TransferRules = Field(description="rules of the transfer")
    coverage: float = Field(description="share of the encoder's kernels set from the source")
    decoder_coverage: float | None = Field(description="the same share for the decoder; None without a decoder")
    groups: tuple[GroupTotal, ...] = Field(description="totals per group, in the order of the network")
    tensors: tuple[TensorRecord, ...] = Field(description="all tensors of the target")
    dropped: tuple[DroppedRecord, ...] = Field((), description="tensors of the source that were not used")
    warnings: tuple[str, ...] = Field((), description="differences between source and target that may affect results")

    def of(self, kind: Kind) -> dict[str, TensorRecord]:
        """Return the tensors that are *kind*, by name."""
        return {record.name: record for record in self.tensors if record.kind == kind}

    @property
    def exact(self) -> tuple[str, ...]:
        """Names of the tensors that were copied without a change."""
        return tuple(self.of("exact"))

    @property
    def adapted(self) -> dict[str, str]:
        """Tensors that were changed and then copied, with the change."""
        return {name: record.note for name, record in self.of("adapted").items()}

    @property
    def fresh(self) -> dict[str, str]:
        """Tensors that keep the target's values, with the reason."""
        return {name: record.note for name, record in self.of("fresh").items()}

    @property
    def verdict(self) -> str:
        """The report in one line."""
        decoder = "" if self.decoder_coverage is None else f" and {percent(self.decoder_coverage)} of the decoder's"
        counts = Counter(record.kind for record in self.tensors)
        return (
            f"{percent(self.coverage)} of the encoder's kernels{decoder} of {self.target} come from {self.source}:"
            f" {counts['exact']} tensors exact, {counts['adapted']} adapted, {counts['fresh']} fresh,"
            f" {len(self.dropped)} of the source dropped; warnings: {len(self.warnings)}"
        )

    def __str__(self) -> str:
        return self.verdict

    def to_json(self) -> str:
        """Return the whole report as JSON."""
        return self.model_dump_json(indent=2)

    def table(self) -> Table:
        """Return the totals per group as a table for rich."""
        from rich.box import SIMPLE_HEAD
        from rich.table import Table

        title = f"{self.source} into {self.target}: kernels"
        table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
        for column in ("group", "exact", "adapted", "fresh", "values", "set"):
            table.add_column(column, justify="left" if column == "group" else "right")
        for total in self.groups:
            share = f"{total.transferred / total.values:.1%}" if total.values else ""
            counts = (total.exact, total.adapted, total.fresh)
            table.add_row(total.group, *(str(count or "") for count in counts), f"{total.values:,}", share)
        return table

    def __rich_console__(self, console: object, options: object) -> Iterator[RenderableType]:
        from rich.text import Text

        yield self.table()
        for kind in ("adapted", "fresh"):
            yield from (Text(f"{kind}: {line}") for line in _summed(self.of(kind).values()))
        yield from (Text(f"dropped: {line}") for line in _summed(self.dropped))
        yield from (Text(f"warning: {warning}", style="yellow") for warning in self.warnings)
        yield Text(self.verdict, style="bold")


def percent(share: float) -> str:
    """Return *share* as a percentage; only exactly 0 and 1 become 0.0% and 100.0%."""
    tenths = round(1000 * share)
    if 0 < share < 1:
        tenths = min(max(tenths, 1), 999)
    return f"{tenths / 10:.1f}%"


def totals(records: Sequence[TensorRecord]) -> tuple[GroupTotal, ...]:
    """Return the totals per group of *records*; heads come last."""
    groups: dict[str, list[TensorRecord]] = {}
    for record in sorted(records, key=lambda record: record.part == "head"):
        groups.setdefault(record.group, []).append(record)
    return tuple(_total(group, members) for group, members in groups.items())


def _total(group: str, members: Sequence[TensorRecord]) -> GroupTotal:
    kernels = [record for record in members if record.kernel]
    counts = Counter(record.kind for record in kernels)
    return GroupTotal(
        part=members[0].part,
        group=group,
        exact=counts["exact"],
        adapted=counts["adapted"],
        fresh=counts["fresh"],
        values=sum(record.values for record in kernels),
        transferred=sum(record.transferred for record in kernels),
    )


def share(records: Iterable[TensorRecord], part: str) -> float | None:
    """Return the share of kernel values of *part* that was set; None if it has no kernels."""
    kernels = [record for record in records if record.part == part and record.kernel]
    values = sum(record.values for record in kernels)
    return sum(record.transferred for record in kernels) / values if values else None


def _summed(records: Iterable[TensorRecord | DroppedRecord]) -> Iterator[str]:
    """One line per note, with the number of tensors and the name of the first."""
    notes: dict[str, list[str]] = {}
    for record in records:
        notes.setdefault(record.note, []).append(record.name)
    for note, names in notes.items():
        count = "1 tensor" if len(names) == 1 else f"{len(names)} tensors"
        yield f"{count}, {note} ({names[0]}{', ...' if len(names) > 1 else ''})"


def by(values: Iterable[float]) -> str:
    """Return sizes or spacings as ``1x2x3``."""
    return "x".join(f"{value:g}" for value in values)
