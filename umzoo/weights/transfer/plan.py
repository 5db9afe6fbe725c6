"""A transfer that is planned and checked before anything is changed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from umzoo.errors import WeightsError
from umzoo.spec import InputSpec
from umzoo.weights.transfer.differences import axes_turn, differences
from umzoo.weights.transfer.match import MisfitError, Pair, Step, steps_for
from umzoo.weights.transfer.refusals import refusal
from umzoo.weights.transfer.report import DroppedRecord, TensorRecord, TransferReport, by, share, totals
from umzoo.weights.transfer.rules import TransferRules
from umzoo.weights.transfer.source_and_target import Side
from umzoo.weights.transfer.tensor_roles import Slot


@dataclass(frozen=True)
class Match:
    """One tensor of the target: its source tensor and adaptation steps, or the reason why it is not set.

    It is a *misfit* if the source has a tensor at the same position that cannot be adapted to its shape.
    """

    name: str
    slot: Slot
    source: str | None = None
    steps: tuple[Step, ...] = ()
    reason: str = ""
    misfit: bool = False


@dataclass(frozen=True)
class Plan:
    """A planned transfer: :attr:`report` describes it, :meth:`check` refuses a poor one, :meth:`apply` executes it.

    Attributes:
        source: the weights.
        target: the network, with its actual tensors.
        rules: allowed adaptations.
        expected: expected input of the network; None if unknown.
    """

    source: Side
    target: Side
    rules: TransferRules
    expected: InputSpec | None = None

    @cached_property
    def matches(self) -> tuple[Match, ...]:
        """One entry for each tensor of the target, heads included."""
        index = {self.source.layout.slot(name).key: name for name in self.source.tensors}
        heads = (Match(name, Slot("head", "head", (name,)), reason=_HEAD) for name in self.target.heads)
        return (*(self._match(name, index) for name in self.target.tensors), *heads)

    def _match(self, name: str, index: Mapping[tuple[str | int, ...], str]) -> Match:
        slot = self.target.layout.slot(name)
        if slot.part == "head":
            return Match(name, slot, reason=_HEAD)
        if slot.part not in self.rules.parts:
            return Match(name, slot, reason=f"the rules exclude the {slot.part}")
        source = index.get(slot.key)
        if source is None:
            absent = Match(name, slot, reason=_absence(slot, self.source, "the source"))
            return self._zero_bias(name, slot, index) or absent
        shape = tuple(self.source.tensors[source].shape)
        try:
            sides, names = (self.source, self.target), (source, name)
            steps = steps_for(Pair(sides, names, slot, self.rules, self._labels, self._turn, shape))
        except MisfitError as misfit:
            return Match(name, slot, reason=str(misfit), misfit=True)
        return Match(name, slot, source, tuple(steps))

    def _zero_bias(self, name: str, slot: Slot, index: Mapping[tuple[str | int, ...], str]) -> Match | None:
        """A zero bias for a layer whose kernel is transferred and that has no bias in the source."""
        kernel = f"{name.removesuffix('.bias')}.weight"
        if not name.endswith(".bias") or kernel not in self.target.tensors or self.target.tensors[kernel].ndim < 2:
            return None
        source, shape = self._match(kernel, index).source, tuple(self.target.tensors[name].shape)
        zero = Step("zero, because the source layer has no bias", lambda weight: weight.new_zeros(shape), shape)
        return Match(name, slot, source, (zero,)) if source else None

    @cached_property
    def _labels(self) -> tuple[int, int]:
        """Number of label channels in the input of the source and of the target."""
        ours, theirs = self.source.input, self.expected
        return ours.label_channels if ours else 0, theirs.label_channels if theirs else 0

    @cached_property
    def _turn(self) -> tuple[int, int, int] | None:
        """The permutation of kernel axes; None to keep them."""
        turn = axes_turn(self.source.input, self.expected, self.rules)
        if turn and self.source.layout.family.startswith("primus"):
            raise WeightsError("axes='permute' cannot permute rotary position embeddings: transpose the images instead")
        return turn

    @cached_property
    def report(self) -> TransferReport:
        """How every tensor is handled."""
        records = tuple(map(self._record, self.matches))
        return TransferReport(
            source=self.source.name,
            target=self.target.name,
            family=self.target.layout.family,
            sha256=self.source.sha256,
            rules=self.rules,
            coverage=share(records, "encoder") or 0.0,
            decoder_coverage=share(records, "decoder"),
            groups=totals(records),
            tensors=records,
            dropped=tuple(self._dropped()),
            warnings=tuple(self._warnings()),
        )

    def _record(self, match: Match) -> TensorRecord:
        tensor = self.target.tensors[match.name] if match.name in self.target.tensors else self.target.heads[match.name]
        partial = next((step.values for step in match.steps if step.values is not None), tensor.numel())
        return TensorRecord(
            name=match.name,
            part=match.slot.part,
            group=match.slot.group,
            kind="fresh" if match.source is None else "adapted" if match.steps else "exact",
            source=match.source,
            note=match.reason or "; ".join(step.text for step in match.steps),
            kernel=tensor.ndim >= 2 and match.name.endswith("weight"),
            values=tensor.numel(),
            transferred=0 if match.source is None else partial,
        )

    def _dropped(self) -> Iterator[DroppedRecord]:
        used = {match.source for match in self.matches}
        places = {match.slot.key for match in self.matches}
        for name, tensor in {**self.source.tensors, **self.source.heads}.items():
            if name in used:
                continue
            slot = self.source.layout.slot(name)
            if slot.part == "head" or name in self.source.heads:
                note = _HEAD
            elif slot.part not in self.rules.parts:
                note = f"the rules exclude the {slot.part}"
            else:
                note = "shape does not fit" if slot.key in places else _absence(slot, self.target, "the target")
            yield DroppedRecord(name=name, note=note, values=tensor.numel())

    def _warnings(self) -> Iterator[str]:
        yield from differences(self.source, self.target, self.expected, self._turn)
        first = {*self.target.image_kernels, *self.target.positions}
        for match in self.matches:
            if match.source is None and match.name in first:
                yield f"{match.name} is fresh ({match.reason}): later layers were trained with a different one"
        yield from self._misfits(first)
        yield from self._other_steps()
        embeddings = [match.source for match in self.matches if match.source and match.name in self.target.positions]
        order = self.rules.token_order or self.source.token_order
        if embeddings and order != "dhw":
            yield f"the weights have token order {order}: their rotary embeddings cannot be reordered"
        if not self.rules.source_grid and any(name not in self.source.positions for name in embeddings):
            yield "the source does not record its token grid: the grid of the target is assumed"

    def _other_steps(self) -> Iterator[str]:
        """One line on convolutions with other strides or dilations, if the strides of stages are unknown."""
        if self.source.strides and self.target.strides:
            return
        pairs = [
            (match, self.source.steps.get(match.source or ""), self.target.steps.get(match.name))
            for match in self.matches
        ]
        others = [(match, old, new) for match, old, new in pairs if old and new and old != new]
        if others:
            match, old, new = others[0]
            words = (f"stride {by(stride)}, dilation {by(dilation)}" for stride, dilation in (old, new))
            more = f" and {len(others) - 1} more" if others[1:] else ""
            yield (
                f"{match.name}{more}: {' in the weights, '.join(words)} in the target:"
                " these and later kernels see a different scale"
            )

    def _misfits(self, told: Collection[str]) -> Iterator[str]:
        """One line on encoder kernels that both networks have, but with shapes that cannot be adapted."""
        misfits = [
            match for match in self.matches if match.misfit and match.slot.part == "encoder" and match.name not in told
        ]
        if misfits:
            first, more = misfits[0], f" and {len(misfits) - 1} more" if misfits[1:] else ""
            yield f"{first.name}{more} of the encoder stay fresh; first reason: {first.reason}"

    def check(self) -> None:
        """Refuse a transfer that would leave the encoder mostly untrained.

        Raises:
            WeightsError: if the families differ, or too little of the encoder would be set; it gives a remedy.
        """
        problem = refusal(self.report, self.source, self.target)
        if problem:
            raise WeightsError(f"nothing was transferred: {problem}")

    def apply(self) -> TransferReport:
        """Check that all values fit, copy them into the target in place, and return the report.

        Raises:
            WeightsError: if the weights have no values (``meta`` device), or NaN or infinite ones.
        """
        used = [match for match in self.matches if match.source is not None]
        with torch.no_grad():
            values = [self._value(match) for match in used]
            for match, value in zip(used, values, strict=True):
                self.target.tensors[match.name].copy_(value)
        return self.report

    def _value(self, match: Match) -> Tensor:
        value = self.source.tensors[match.source or ""].detach()
        if value.is_meta or self.target.tensors[match.name].is_meta:
            raise WeightsError(f"{match.name} is on the meta device, which has no values: use plan_transfer instead")
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise WeightsError(
                f"{match.source} of {self.source.name} contains NaN or infinity: use an earlier checkpoint"
            )
        for step in match.steps:
            value = step.apply(value)
        if value.shape != self.target.tensors[match.name].shape:
            raise WeightsError(
                f"{match.source} was adapted to shape {tuple(value.shape)}, which does not fit {match.name}: this is a"
                " bug in umzoo, please report it"
            )
        return value


_HEAD = "heads are not transferred"


def _absence(slot: Slot, side: Side, who: str) -> str:
    """The reason why *side* has no tensor at *slot*."""
    layout, level = side.layout, slot.key[1] if len(slot.key) == 3 else -1
    if not any(layout.slot(name).part == slot.part for name in side.tensors):
        return f"{who} has no {slot.part}"
    stages = layout.stages if slot.part == "encoder" else layout.stages - 1
    if layout.stages and isinstance(level, int) and level >= stages:
        return f"{who} has {layout.stages} stages"
    return f"{who} has no such block or tensor"
