"""Whether and how one trained tensor becomes one tensor of the target."""

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
    """One tensor cannot become the other; the message says why."""


@dataclass(frozen=True)
class Step:
    """One change of a tensor: what it is, how it is done, the shape it gives, and the values it sets if not all."""

    text: str
    apply: Callable[[Tensor], Tensor]
    shape: Shape
    values: int | None = None


@dataclass(frozen=True)
class Pair:
    """A trained tensor and the one it shall become.

    Attributes:
        sides: source and target.
        names: its name in each.
        slot: the place of the latter.
        rules: what may be changed.
        labels: of the input channels of each side, those at the end that hold labels.
        turn: which axis of the source's arrays each axis (D, H, W) of the target's is; None to keep them.
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
        """The tensor to become."""
        return self.sides[1].tensors[self.names[1]]

    @property
    def wanted(self) -> Shape:
        """Its shape."""
        return tuple(self.target.shape)

    @property
    def kind(self) -> str:
        """Kind of its layer."""
        return self.sides[1].kinds.get(self.names[1], "")


def steps_for(pair: Pair) -> list[Step]:
    """Return the steps from the one tensor of *pair* to the other; none if they are alike.

    Raises:
        MisfitError: if there is no way.
        ConfigError: if a rule contradicts the tensors.
    """
    original, steps = pair.shape, []
    for adapter in (_turn_axes, _positions, _channels, _kernel, _widths):
        if step := adapter(pair):
            steps.append(step)
            pair = replace(pair, shape=step.shape)
    if pair.shape != pair.wanted:
        hint = "; widths='slice' would set the first features" if _only_widths_differ(pair) else ""
        raise MisfitError(f"the source has shape {original}, this network {pair.wanted}{hint}")
    return steps


def _turn_axes(pair: Pair) -> Step | None:
    """Kernels trained on arrays with another order of axes."""
    if pair.turn is None or len(pair.shape) != 5 or set(pair.shape[2:]) == {1}:
        return None
    order = (0, 1, *(2 + axis for axis in pair.turn))
    turned = tuple(pair.shape[axis] for axis in order)
    return Step("axes turned", lambda weight: weight.permute(order), turned)


def _positions(pair: Pair) -> Step | None:
    """Position embeddings, by grid."""
    source, target = pair.sides
    wanted = target.positions.get(pair.names[1])
    if wanted is None or len(pair.shape) != 3:
        return None
    grid = pair.rules.source_grid or source.positions.get(pair.names[0])
    order = pair.rules.token_order or source.token_order
    if grid is None:
        if pair.shape == pair.wanted and order == "dhw":
            return None
        raise MisfitError("the source does not record the grid of its tokens; give it as source_grid")
    if prod(grid) != pair.shape[1]:
        raise ConfigError(f"{source.name} has {pair.shape[1]} tokens, not {by(grid)}: give its grid as source_grid")
    if grid == wanted and order == "dhw":
        return None
    turned = "" if order == "dhw" else f", tokens from {order} order"
    return Step(
        f"positions {by(grid)} to {by(wanted)}{turned}",
        lambda values: adapt.fit_positions(values, grid, order, wanted),
        (1, prod(wanted), *pair.shape[2:]),
    )


def _channels(pair: Pair) -> Step | None:
    """The kernels that read the image, for other input channels."""
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
    """Channels of images for channels of images; those of labels keep their kernels if there are as many, or get 0."""
    (source, target), how = pair.labels, pair.rules.channels
    images, wanted = pair.shape[1] - source, shape[1] - target
    if images < 1 or wanted < 1:
        raise MisfitError(f"{pair.shape[1]} input channels, {source} of them labels, become no {shape[1]}, {target}")
    kept = source if source == target else 0
    labels = f"{target} of labels {'kept' if kept else 'zero'}"
    return Step(
        f"{images} to {wanted} channels of images ({how}), {labels}",
        lambda weight: adapt.fit_image_channels(weight, images, wanted, shape[1], how, kept > 0),
        shape,
    )


def _named_channels(pair: Pair, source: tuple[str, ...], target: tuple[str, ...]) -> Step | None:
    for side, names, count in zip(pair.sides, (source, target), (pair.shape[1], pair.wanted[1]), strict=True):
        if len(names) != count:
            raise ConfigError(f"{side.name} has {count} input channels, but {len(names)} are named: {', '.join(names)}")
    if source == target:
        return None
    text = "channels by name: " + ", ".join(name if name in source else f"{name} (zero)" for name in target)
    shape = (pair.shape[0], len(target), *pair.shape[2:])
    return Step(text, lambda weight: adapt.pick_channels(weight, source, target), shape)


def _kernel(pair: Pair) -> Step | None:
    """Kernels of another size."""
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
    """Other numbers of features, if the rules ask for them."""
    if pair.rules.widths != "slice" or not _only_widths_differ(pair):
        return None
    inputs = 2 if pair.slot.key[0] == "decoder.stages" and pair.slot.key[2] == "convs.0.conv.weight" else 1
    target, transposed = pair.target, pair.kind == "transposed"
    return Step(
        f"first features, {by(pair.shape[:2])} into {by(pair.wanted[:2])}",
        lambda weight: adapt.fit_widths(weight, target, inputs, transposed),
        pair.wanted,
        prod(min(a, b) for a, b in zip(pair.shape, pair.wanted, strict=True)),
    )


def _only_widths_differ(pair: Pair) -> bool:
    """Whether the shapes differ in features only, in a family where features can be sliced."""
    alike = len(pair.shape) == len(pair.wanted) and pair.shape[2:] == pair.wanted[2:]
    return pair.sides[1].layout.family in UNETS and pair.shape != pair.wanted and alike
