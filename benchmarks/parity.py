"""Do imported weights compute what the original network does?

    mkdir originals && cd originals
    git clone https://github.com/MIC-DKFZ/nnssl      # and the others that originals.py lists
    python benchmarks/parity.py originals

Each original is built by its authors' code with random weights, saved as they do, imported, and compared on a random
volume. Needs what the originals import (MONAI, batchgenerators, ...); those that cannot be built are listed as such.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import torch
from foundation_originals import foundation_originals
from originals import REPOSITORIES, Original, originals
from report import write_results
from rich.console import Console
from rich.table import Table

from umzoo.backbones.state import named_tensors
from umzoo.fields import Rng
from umzoo.plugins import zoo
from umzoo.weights.folder.reader import MODEL, PRETEXT, read_info, read_shapes
from umzoo.weights.networks.backbone import load_backbone

TOLERANCE = 1e-4


def main() -> None:
    """Compare all, print a table, write the result."""
    arguments = _parse()
    console, rows = Console(width=160), {}
    for name, build in (*originals(arguments.folder), *foundation_originals(arguments.folder)):
        if fnmatch(name, arguments.only):
            torch.manual_seed(0)
            try:
                rows[name] = compare(build())
            except (ImportError, OSError) as error:
                rows[name] = {"skipped": f"{type(error).__name__}: {error}"}
            console.print(f"{name}: {rows[name].get('skipped') or rows[name]['difference']}", highlight=False)
    console.print(_table(rows))
    console.print(f"wrote {write_results('parity', {'checkouts': _commits(arguments.folder), 'rows': rows})}")
    if not all(row.get("equal", True) for row in rows.values()):
        raise SystemExit(1)


def compare(original: Original) -> dict[str, Any]:
    """Import the original's checkpoint; return the largest difference and what became of its tensors."""
    image = Rng(0).normal((1, 1, *original.size))
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        file, out = Path(folder) / "checkpoint.pth", Path(folder) / "out"
        original.save(file)
        zoo().importers.build(original.importer).run(file, out)
        info = read_info(out)
        held = [len(read_shapes(out, name)) for name in (MODEL, PRETEXT) if (out / name).is_file()]
        expected, found = original.answer(image), original.ours(load_backbone(out), image)
    pairs = list(zip(expected, found, strict=True))
    difference = max(float((a - b).abs().max()) for a, b in pairs)
    count = len(named_tensors(original.network))
    return {
        "backbone": info.backbone.name,
        "parts": list(info.parts),
        "tensors": count,
        "arrived": held,
        "largest": round(max(float(a.abs().max()) for a, _ in pairs), 3),
        "difference": difference,
        "equal": difference <= TOLERANCE and sum(held) == count,
    }


def _commits(folder: Path) -> dict[str, str]:
    """Commit of each checkout that is there."""
    commits = {}
    for name in REPOSITORIES:
        done = subprocess.run(
            ["git", "-C", str(folder / name), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
        )
        if done.returncode == 0:
            commits[REPOSITORIES[name]] = done.stdout.strip()
    return commits


def _table(rows: dict[str, dict[str, Any]]) -> Table:
    table = Table("original", "backbone", "parts", "tensors", "arrived", "largest output", "largest difference")
    for name, row in rows.items():
        if "skipped" in row:
            table.add_row(name, row["skipped"])
        else:
            arrived = " + ".join(map(str, row["arrived"]))
            values = (row["backbone"], ", ".join(row["parts"]), row["tensors"], arrived, row["largest"])
            table.add_row(name, *map(str, values), f"{row['difference']:.1e}")
    return table


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="holds the checkouts")
    parser.add_argument("--only", default="*", help="shell pattern of the names")
    return parser.parse_args()


if __name__ == "__main__":
    main()
