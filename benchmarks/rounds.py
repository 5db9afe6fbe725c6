"""Fair timing on a busy machine: contenders take turns, and ratios are formed within a round."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table


def interleave(
    contenders: Mapping[str, Callable[[], int]],
    rounds: int,
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Return items per second of each contender in each round.

    A contender does some work and returns how many items that was; it is called until *seconds* are over by *clock*.
    One call of each before the first round is not counted.
    """
    for work in contenders.values():
        work()
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, work in contenders.items():
            done, began = 0, clock()
            while (spent := clock() - began) < seconds or not done:
                done += work()
            rates[name].append(done / spent)
    return rates


def summarize(rates: Mapping[str, list[float]], reference: str) -> dict[str, dict[str, float]]:
    """Median rate of each contender, and the median over the rounds of its ratio to *reference*."""
    return {
        name: {
            "per_second": round(statistics.median(values), 2),
            "ratio": float(f"{statistics.median(a / b for a, b in zip(values, rates[reference], strict=True)):.4g}"),
        }
        for name, values in rates.items()
    }


def summarize_runs(rounds: Sequence[Mapping[str, Mapping[str, float]]], reference: str) -> dict[str, dict[str, float]]:
    """Medians of what each contender took, and medians over the *rounds* of its ratios to *reference*."""
    result: dict[str, dict[str, float]] = {name: {} for name in rounds[0]}
    for name, summary in result.items():
        for key in rounds[0][name]:
            summary[key] = round(statistics.median(one[name][key] for one in rounds), 3)
            ratio = statistics.median(one[name][key] / one[reference][key] for one in rounds)
            summary[f"{key}_ratio"] = round(ratio, 3)
    return result


def show(console: Console, title: str, results: Mapping[str, Mapping[str, Mapping[str, Any]]], reference: str) -> None:
    """Print a table: one row a contender, one pair of columns (rate, ratio to *reference*) a setting."""
    table = Table(title=title, caption=f"median rate; factor against '{reference}', paired within rounds")
    table.add_column("", no_wrap=True)
    for setting in results:
        table.add_column(f"{setting}\nper second", justify="right", no_wrap=True)
        table.add_column("factor", justify="right", no_wrap=True)
    for name in dict.fromkeys(name for summary in results.values() for name in summary):
        cells = []
        for summary in results.values():
            entry = summary.get(name)
            cells += [f"{entry['per_second']:,.1f}", f"{entry['ratio']:.3g}"] if entry else ["", ""]
        table.add_row(name, *cells)
    console.print(table)
