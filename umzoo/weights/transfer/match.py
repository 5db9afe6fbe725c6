"""Whether and how one trained tensor can be adapted to one tensor of the target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod

from torch import Tensor

from umzoo.errors import ConfigError
from umzoo.weights.transfer import adapt
from umzoo.weights.transfer.report import by
from umzoo.weights.transfer.rules import TransferRules
from umzoo.weights.transfer.source_and_target import Side, Size
from umzoo.weights.transfer.tensor_roles import UNETS, Slot

Shape = tuple[int, ...]


class MisfitError(Exception):
    """The source tensor cannot be adapted to the target tensor; the message gives the reason."""


@dataclass(frozen=True)
class Step:
    """One change of a tensor: description, function, resulting shape, and the number of values it sets if not all."""

    text: str
    apply: Callable[[Tensor], Tensor]
    shape: Shape
    values: int | None = None


@dataclass(frozen=True)
class Pair:
    """A trained tensor and the target tensor that it is adapted to.

    Attributes:
        sides: source and target.
        names: name of the tensor in source and target.
        slot: position of the target tensor.
        rules: allowed adaptations.
        labels: number of label channels in source and target, the last of the input channels.
        turn: for each array axis (D, H, W) of the target, the corresponding axis of the source; None to keep the axes.
        shape: shape of the trained tensor after the steps so far.
    """

    sides: tuple[Side, Side]
    names: tuple[str, str]
    slot: Slot
    rules: TransferRules
    labels: tuple[int, int]
    turn: Size | None
    shape: Shape

    @property
    def target(self) -> Tensor:
        """The target tensor."""
        return self.sides[1].tensors[self.names[1]]

    @property
    def wanted(self) -> Shape:
        """Shape of the target tensor."""
        return tuple(self.target.shape)

    @property
    def kind(self) -> str:
        """Kind of its layer."""
        return self.sides[1].kinds.get(self.names[1], "")


def steps_for(pair: Pair) -> list[Step]:
    """Return the steps that adapt the source tensor of *pair* to the target; none if they have the same shape.

    Raises:
        MisfitError: if it cannot be adapted.
        ConfigError: if a rule contradicts the tensors.
    """
    original, steps = pair.shape, []
    for adapter in (_turn_axes, _positions, _channels, _kernel, _widths):
        if step := adapter(pair):
            steps.append(step)
            pair = replace(pair, shape=step.shape)
    if pair.shape != pair.wanted:
        hint = "; set widths='slice' to copy the first features" if _only_widths_differ(pair) else ""
        raise MisfitError(f"the source has shape {original}, but the target has {pair.wanted}{hint}")
    return steps


def _turn_axes(pair: Pair) -> Step | None:
    """Permutes kernels that were trained on arrays with another axis order."""
    if pair.turn is None or len(pair.shape) != 5 or set(pair.shape[2:]) == {1}:
        return None
    order = (0, 1, *(2 + axis for axis in pair.turn))
    turned = tuple(pair.shape[axis] for axis in order)
    return Step("axes permuted", lambda weight: weight.permute(order), turned)


def _positions(pair: Pair) -> Step | None:
    """Resizes position embeddings to another grid."""
    source, target = pair.sides
    wanted = target.positions.get(pair.names[1])
    if wanted is None or len(pair.shape) != 3:
        return None
    grid = pair.rules.source_grid or source.positions.get(pair.names[0])
    order = pair.rules.token_order or source.token_order
    if grid is None:
        if pair.shape == pair.wanted and order == "dhw":
            return None
        raise MisfitError("the source does not record its token grid; set source_grid")
    if prod(grid) != pair.shape[1]:
        raise ConfigError(
            f"{source.name} has {pair.shape[1]} tokens, which is not a grid of {by(grid)}: set source_grid to its grid"
        )
    if grid == wanted and order == "dhw":
        return None
    turned = "" if order == "dhw" else f", tokens reordered from {order}"
    return Step(
        f"position embedding {by(grid)} to {by(wanted)}{turned}",
        lambda values: adapt.fit_positions(values, grid, order, wanted),
        (1, prod(wanted), *pair.shape[2:]),
    )


def _channels(pair: Pair) -> Step | None:
    """Adapts the kernels that read the image to the target's input channels."""
    if pair.names[1] not in pair.sides[1].image_kernels or not len(pair.shape) == len(pair.wanted) == 5:
        return None
    if pair.rules.source_channels and pair.rules.target_channels:
        return _named_channels(pair, pair.rules.source_channels, pair.rules.target_channels)
    count, wanted, how = pair.shape[1], pair.wanted[1], pair.rules.channels
    if count == wanted and pair.labels[0] == pair.labels[1]:
        return None
    shape = (pair.shape[0], wanted, *pair.shape[2:])
    if any(pair.labels):
        return _image_channels(pair, shape)
    return Step(f"{count} to {wanted} input channels ({how})", lambda it: adapt.fit_channels(it, wanted, how), shape)


def _image_channels(pair: Pair, shape: Shape) -> Step:
    """Adapts image channels to image channels. Kernels of label channels are kept if their number agrees, else zero."""
    (source, target), how = pair.labels, pair.rules.channels
    images, wanted = pair.shape[1] - source, shape[1] - target
    if images < 1 or wanted < 1:
        raise MisfitError(
            f"the source has {pair.shape[1]} input channels ({source} for labels), but the target has {shape[1]}"
            f" ({target} for labels)"
        )
    kept = source if source == target else 0
    labels = f"{target} label channels {'kept' if kept else 'zero'}"
    return Step(
        f"{images} to {wanted} image channels ({how}), {labels}",
        lambda weight: adapt.fit_image_channels(weight, images, wanted, shape[1], how, kept > 0),
        shape,
    )


def _named_channels(pair: Pair, source: tuple[str, ...], target: tuple[str, ...]) -> Step | None:
    for side, names, count in zip(pair.sides, (source, target), (pair.shape[1], pair.wanted[1]), strict=True):
        if len(names) != count:
            raise ConfigError(
                f"{side.name} has {count} input channels, but the rules name {len(names)}: {', '.join(names)}"
            )
    if source == target:
        return None
    text = "channels by name: " + ", ".join(name if name in source else f"{name} (zero)" for name in target)
    shape = (pair.shape[0], len(target), *pair.shape[2:])
    return Step(text, lambda weight: adapt.pick_channels(weight, source, target), shape)


def _kernel(pair: Pair) -> Step | None:
    """Adapts kernels of another size."""
    old, new = pair.shape[2:], pair.wanted[2:]
    if not len(pair.shape) == len(pair.wanted) == 5 or old == new:
        return None
    size = (new[0], new[1], new[2])
    shape = (*pair.shape[:2], *new)
    if pair.kind == "transposed":
        return Step(f"upsampling {by(old)} to {by(new)}", lambda weight: adapt.fit_upsampling(weight, size), shape)
    if pair.kind == "patch":
        text = f"patch embedding {by(old)} to {by(new)}"
        return Step(text, lambda weight: adapt.fit_patch_embedding(weight, size), shape)
    if not all(taps % 2 for taps in (*old, *new)):
        return None
    smaller = any(a > b for a, b in zip(old, new, strict=True))
    text = f"kernel {by(old)} to {by(new)} ({pair.rules.kernels if smaller else 'center'})"
    return Step(text, lambda weight: adapt.fit_kernel(weight, size, pair.rules.kernels), shape)


def _widths(pair: Pair) -> Step | None:
    """Copies the first features between different numbers of features, if the rules allow it."""
    if pair.rules.widths != "slice" or not _only_widths_differ(pair):
        return None
    inputs = 2 if pair.slot.key[0] == "decoder.stages" and pair.slot.key[2] == "convs.0.conv.weight" else 1
    target, transposed = pair.target, pair.kind == "transposed"
    return Step(
        f"first features copied, {by(pair.shape[:2])} to {by(pair.wanted[:2])}",
        lambda weight: adapt.fit_widths(weight, target, inputs, transposed),
        pair.wanted,
        prod(min(a, b) for a, b in zip(pair.shape, pair.wanted, strict=True)),
    )


def _only_widths_differ(pair: Pair) -> bool:
    """Whether only the number of features differs, in a family where features can be sliced."""
    alike = len(pair.shape) == len(pair.wanted) and pair.shape[2:] == pair.wanted[2:]
    return pair.sides[1].layout.family in UNETS and pair.shape != pair.wanted and alike
