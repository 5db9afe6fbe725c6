"""Builds source archives and wheels of umzoo and its plug-in packages, and checks what is in the wheels.

``python .ci/wheels.py [--out dist] [PACKAGE ...]``. Equal commits give equal wheels: ``SOURCE_DATE_EPOCH`` is the
date of the last commit, unless it is set already.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).resolve().parents[1]
WANTED = {
    "umzoo": (
        "umzoo/py.typed",
        "umzoo/recipes/universal.toml",
        "umzoo/nnunet/ext_trainers/",
        "umzoo/authoring/templates/",
    ),
    "umzoo_weights": (".safetensors", "/config.json", "/README.md"),
}
"""Name of a wheel to what must be in the path of some file in it."""
UNWANTED = ("tests/", "__pycache__", ".pyc", "docs/", "benchmarks/", "plugins/")
"""What must be in no path."""


def main() -> None:
    """Build, check, and write the sums.

    Raises:
        SystemExit: if a wheel lacks a file, or holds one that does not belong there.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packages", nargs="*", help="names of packages; default: all")
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    args = parser.parse_args()
    environment = {**os.environ, "SOURCE_DATE_EPOCH": os.environ.get("SOURCE_DATE_EPOCH") or date_of_commit()}
    for project in projects(args.packages):
        subprocess.run(
            [sys.executable, "-m", "build", "--outdir", str(args.out), str(project)], check=True, env=environment
        )
    wheels = sorted(args.out.glob("*.whl"))
    if faults := [fault for wheel in wheels for fault in check(wheel)]:
        raise SystemExit("\n".join(faults))
    files = [*wheels, *sorted(args.out.glob("*.tar.gz"))]
    lines = (f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files)
    (args.out / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")


def date_of_commit() -> str:
    """Return seconds since 1970 of the last commit."""
    command = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def projects(names: Iterable[str]) -> list[Path]:
    """Return the folders of the projects called *names*, or of all."""
    known = {
        "umzoo": ROOT,
        **{folder.parent.name: folder.parent for folder in sorted(ROOT.glob("plugins/*/pyproject.toml"))},
    }
    return [known[name] for name in (names or known)]


def check(wheel: Path) -> Iterator[str]:
    """Yield a line for each fault of *wheel*."""
    with ZipFile(wheel) as archive:
        names = archive.namelist()
    for wanted in WANTED.get(wheel.name.partition("-")[0], ()):
        if not any(wanted in name for name in names):
            yield f"{wheel.name}: {wanted} is missing"
    yield from (f"{wheel.name}: {name} does not belong there" for name in names if any(it in name for it in UNWANTED))


if __name__ == "__main__":
    main()
