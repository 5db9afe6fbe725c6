"""Prints constraints that hold every dependency of ``pyproject.toml`` at the oldest version it allows."""

from __future__ import annotations

import sys
from pathlib import Path

from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = ("finetune", "nnunet")


def main() -> None:
    """Print one line for each dependency with a lower bound; ``>=5.2`` becomes ``==5.2.*``."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [line for extra in EXTRAS for line in project["optional-dependencies"][extra]]
    for line in (*project["dependencies"], *extras):
        wanted = Requirement(line)
        for bound in wanted.specifier:
            exact = bound.version if bound.version.count(".") > 1 else f"{bound.version}.*"
            print(f"{wanted.name}=={exact}")


if __name__ == "__main__":
    main()
