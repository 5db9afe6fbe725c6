"""The original corruptions of Models Genesis, from a checkout that whoever runs the benchmark has fetched."""

from __future__ import annotations

import contextlib
import importlib.util
import random
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umzoo.errors import ConfigError

RATES = {"flip_rate": 0.4, "local_rate": 0.5, "nonlinear_rate": 0.9, "paint_rate": 0.9, "inpaint_rate": 0.2}
"""The rates of the original's ``config.py``."""


def load_original(checkout: Path) -> Any:
    """Import ``pytorch/utils.py`` of a checkout of ``MrGiovanni/ModelsGenesis``.

    It imports scikit-image and imageio, which the corruptions do not use; absent, they are left out.

    Raises:
        ConfigError: if *checkout* has no such file.
    """
    file = checkout / "pytorch" / "utils.py"
    if not file.is_file():
        raise ConfigError(f"{file} does not exist: git clone https://github.com/MrGiovanni/ModelsGenesis")
    with _stand_ins("skimage", "skimage.transform", "imageio"):
        spec = importlib.util.spec_from_file_location("models_genesis_utils", file)
        if spec is None or spec.loader is None:
            raise ConfigError(f"{file} cannot be imported")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module


def original_pairs(module: Any, cubes: NDArray[Any], batch: int) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Endless corrupted and clean batches from *cubes* ``(N, 1, X, Y, Z)`` in [0, 1], by the original's generator."""
    random.seed(0)
    np.random.seed(0)
    config = types.SimpleNamespace(**RATES, save_samples=None)
    pairs: Iterator[tuple[NDArray[Any], NDArray[Any]]] = module.generate_pair(cubes, batch, config)
    return pairs


@contextlib.contextmanager
def _stand_ins(*names: str) -> Iterator[None]:
    missing = [name for name in names if importlib.util.find_spec(name.partition(".")[0]) is None]
    for name in missing:
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].resize = None  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for name in missing:
            del sys.modules[name]
