"""Fine-tuning recipes: options of nnU-Net's training instead of trainer classes."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.optim import Optimizer
from typing_extensions import Self

from umzoo.backbones.state import named_tensors
from umzoo.config import Config
from umzoo.errors import UnknownNameError, nearest
from umzoo.weights.transfer.tensor_roles import Layout


class FineTuning(Config):
    """Options of nnU-Net's training from weights. After a linear warm-up, the rate follows nnU-Net's poly schedule."""

    epochs: int = Field(1000, ge=1, description="epochs")
    iterations: int = Field(250, ge=1, description="training iterations per epoch")
    validation_iterations: int = Field(50, ge=1, description="validation iterations per epoch")
    lr: float = Field(1e-2, gt=0, description="peak learning rate (SGD with Nesterov momentum 0.99)")
    weight_decay: float = Field(3e-5, ge=0, description="weight decay")
    warmup: int = Field(0, ge=0, description="epochs of linear learning rate warm-up at the start of each phase")
    frozen: int = Field(0, ge=0, description="epochs at the start in which transferred encoder weights are frozen")
    restart: bool = Field(False, description="restart the learning rate schedule after the frozen epochs")
    layer_decay: float = Field(
        1.0,
        gt=0,
        le=1,
        description="factor on the learning rate from each encoder stage to the next finer one; decoder: 1",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.frozen > self.epochs:
            raise ValueError(f"frozen must be at most epochs ({self.epochs}), got {self.frozen}")
        if self.restart and not 0 < self.frozen < self.epochs:
            raise ValueError(f"restart needs frozen between 1 and epochs - 1, got {self.frozen} of {self.epochs}")
        for start, end in self.phases:
            if self.warmup > end - start:
                raise ValueError(f"a warm-up of {self.warmup} epochs does not fit a phase of {end - start}")
        return self

    @property
    def phases(self) -> tuple[tuple[int, int], ...]:
        """Start and end epoch of each run of the learning rate schedule."""
        return ((0, self.frozen), (self.frozen, self.epochs)) if self.restart else ((0, self.epochs),)

    def rate(self, epoch: int) -> float:
        """Return the learning rate of *epoch*, without layer factors."""
        start, end = next(phase for phase in reversed(self.phases) if epoch >= phase[0])
        done = epoch - start
        if done < self.warmup:
            return self.lr * (done + 1) / self.warmup
        left: float = 1 - (done - self.warmup) / (end - start - self.warmup)
        return self.lr * float(left**0.9)


RECIPES = {
    "nnunet": FineTuning(),
    "warmup": FineTuning(epochs=150, lr=1e-3, warmup=15),
    "frozen": FineTuning(epochs=150, lr=1e-3, warmup=15, frozen=150),
    "sawtooth": FineTuning(epochs=150, lr=1e-3, warmup=15, frozen=15, restart=True),
}
"""Named recipes: nnU-Net's default training; a short one with warm-up; a frozen encoder; the decoder first, then all.

Sawtooth and warm-up did best, and a frozen encoder far worse, in the OpenMind study (arXiv 2412.17041).
"""


def recipe(name: str) -> FineTuning:
    """Return the fine-tuning recipe *name*.

    Raises:
        UnknownNameError: if there is no such recipe.
    """
    if name not in RECIPES:
        raise UnknownNameError(
            f"unknown fine-tuning recipe '{name}'{nearest(name, RECIPES)}: give one of {', '.join(RECIPES)}"
        )
    return RECIPES[name]


def parameter_groups(network: nn.Module, layer_decay: float) -> list[dict[str, object]]:
    """Return parameter groups of *network* for an optimizer, each with a ``factor`` on the learning rate.

    Decoder and heads come first, with factor 1. The encoder's stages follow, finest first; the coarsest one has the
    factor *layer_decay*, the next finer one its square, and so on.
    """
    if layer_decay == 1:
        return [{"params": list(network.parameters()), "factor": 1.0}]
    rest: list[Tensor] = []
    stages: dict[str, list[Tensor]] = {}
    tensors = {name: tensor for name, tensor in named_tensors(network).items() if isinstance(tensor, nn.Parameter)}
    layout = Layout(tensors)
    for name, tensor in tensors.items():
        slot = layout.slot(name)
        (stages.setdefault(slot.group, []) if slot.part == "encoder" else rest).append(tensor)
    depth = len(stages)
    encoder = [{"params": group, "factor": layer_decay ** (depth - i)} for i, group in enumerate(stages.values())]
    return [{"params": rest, "factor": 1.0}, *encoder]


class Schedule:
    """Sets the learning rate of every group at the start of an epoch; it has no state to save."""

    def __init__(self, optimizer: Optimizer, options: FineTuning) -> None:
        self.optimizer = optimizer
        self.options = options

    def step(self, epoch: int) -> None:
        """Set the learning rates of *epoch*."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.options.rate(epoch) * group["factor"]


def encoder_parameters(network: nn.Module, names: frozenset[str]) -> Iterator[nn.Parameter]:
    """Yield the parameters of the encoder of *network* that are among the canonical *names*."""
    tensors = named_tensors(network)
    layout = Layout(tensors)
    for name, tensor in tensors.items():
        if name in names and layout.slot(name).part == "encoder" and isinstance(tensor, nn.Parameter):
            yield tensor
