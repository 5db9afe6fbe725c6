"""Comparison of the tour's two arms: the same fine-tuning from random initialization and from weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.table import Table

from umzoo.downstream.study.convergence import Curve
from umzoo.downstream.study.figures import arm_lines, save_learning
from umzoo.engine.log import read_metrics
from umzoo.errors import ConfigError
from umzoo.files import read_json

SCRATCH, PRETRAINED = "from scratch", "pre-trained"
ARMS = (SCRATCH, PRETRAINED)


@dataclass(frozen=True)
class Outcome:
    """Result of one fine-tuning.

    Attributes:
        arm: one of :data:`ARMS`.
        seed: seed of the labeled subset, the head, the random backbone and the crops; the same for both arms.
        dice: mean Dice of each class over the test volumes.
        curve: mean Dice over the validation volumes at each validated step.
    """

    arm: str
    seed: int
    dice: dict[str, float]
    curve: Curve

    @property
    def mean(self) -> float:
        """Mean Dice over the classes."""
        return float(np.mean(list(self.dice.values())))


def read_outcome(folder: Path, arm: str, seed: int) -> Outcome:
    """Return the result of the fine-tuning in *folder*."""
    remedy = "remove the run, and train it again"
    test = read_json(folder / "summary.json", "test", remedy=remedy)["test"]
    if not isinstance(test, dict) or not isinstance(metrics := test.get("metrics"), dict):
        raise ConfigError(f"{folder / 'summary.json'} is damaged: it has no metrics of the test volumes; {remedy}")
    dice = {name.removeprefix("dice."): value for name, value in metrics.items() if name.startswith("dice.")}
    lines = read_metrics(folder / "metrics.jsonl")
    return Outcome(arm, seed, dice, {line["step"]: line["val.dice"] for line in lines if "val.dice" in line})


def comparison_table(outcomes: Sequence[Outcome]) -> Table:
    """Return a table of each arm's test Dice and their difference; with several seeds, mean and range."""
    several = len({outcome.seed for outcome in outcomes}) > 1
    of_seeds = ", mean over seeds (least to greatest)" if several else ""
    table = Table(title=f"Dice on test volumes{of_seeds}", title_justify="left")
    table.add_column("fine-tuned")
    for name in (*outcomes[0].dice, "mean"):
        table.add_column(name, justify="right")
    scores = {arm: _scores(outcomes, arm) for arm in ARMS}
    for arm in ARMS:
        table.add_row(arm, *(_cell(column, "") for column in scores[arm].T), end_section=arm == PRETRAINED)
    table.add_row("difference", *(_cell(column, "+") for column in (scores[PRETRAINED] - scores[SCRATCH]).T))
    return table


def _scores(outcomes: Sequence[Outcome], arm: str) -> np.ndarray:
    """Dice of *arm*, ``(seeds, classes and mean)``."""
    mine = sorted((outcome for outcome in outcomes if outcome.arm == arm), key=lambda outcome: outcome.seed)
    return np.array([[*outcome.dice.values(), outcome.mean] for outcome in mine], float)


def _cell(values: np.ndarray, sign: str) -> str:
    span = f" ({values.min():{sign}.3f} to {values.max():{sign}.3f})" if len(values) > 1 else ""
    return f"{values.mean():{sign}.3f}{span}"


def ahead(outcomes: Sequence[Outcome]) -> int:
    """Return the number of seeds with which the pre-trained arm has the greater mean Dice."""
    return int((_scores(outcomes, PRETRAINED)[:, -1] > _scores(outcomes, SCRATCH)[:, -1]).sum())


def save_curves(file: Path, outcomes: Sequence[Outcome], labels: str) -> None:
    """Draw the learning curves of both arms."""
    curves = {(outcome.arm, labels, str(outcome.seed)): outcome.curve for outcome in outcomes}
    save_learning(file, curves, arm_lines(ARMS, SCRATCH), "Dice of validation")
