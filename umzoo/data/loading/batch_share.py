"""The part of a step's batch that belongs to a process, and its number of passes."""

from __future__ import annotations

from dataclasses import dataclass

from umzoo.errors import DataError


@dataclass(frozen=True)
class Share:
    """The part of the batch of each step that belongs to one process.

    The items of a step are numbered in slots, across all passes and processes. The content of a slot is a function of
    (seed, step, slot), so it does not depend on the number of processes and passes that share the batch.

    Attributes:
        batch: items per pass.
        passes: forward passes per step, whose gradients are accumulated.
        rank: number of this process.
        world: number of processes.

    Raises:
        DataError: if there is no such process.
    """

    batch: int
    passes: int = 1
    rank: int = 0
    world: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.world:
            raise DataError(f"rank must be from 0 to {self.world - 1}, got {self.rank}")

    @classmethod
    def of(cls, total: int, batch: int, rank: int, world: int) -> Share:
        """Return the share of process *rank* in steps of *total* items, with at most *batch* per pass.

        Raises:
            DataError: if *total* cannot be divided among *world* processes.
        """
        if total % world:
            raise DataError(
                f"a step of this run has {total} items, which cannot be divided equally among {world} processes: use a"
                f" number of processes that divides {total}"
            )
        each = total // world
        most = max(size for size in range(1, min(batch, each) + 1) if each % size == 0)
        return cls(most, each // most, rank, world)

    @property
    def total(self) -> int:
        """Items of a step over all processes."""
        return self.batch * self.passes * self.world

    def place(self, number: int) -> tuple[int, range]:
        """Return the step and the slots of pass *number*, counted from the first step."""
        step, part = divmod(number, self.passes)
        first = (part * self.world + self.rank) * self.batch
        return step, range(first, first + self.batch)
