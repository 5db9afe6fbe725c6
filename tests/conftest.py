"""Fixtures shared by all tests: a small store of smooth random volumes, made without reading any scan; commands."""

from __future__ import annotations

import gc
import json
from collections.abc import Callable
from pathlib import Path

import blosc2
import numpy as np
import pytest
from typer.testing import CliRunner

from umzoo.cli import make_app
from umzoo.data.store.reader import Store, StoreInfo
from umzoo.data.store.record import VolumeRecord
from umzoo.spec import InputSpec

gc.disable()  # until the tests are collected


def pytest_collection_finish() -> None:
    """Collect garbage seldom, and not among what the tests imported: a tenth of their time otherwise."""
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
    gc.enable()


def write_volume(
    folder: Path, name: str, voxels: np.ndarray, modality: str = "ct", source: str = "a", **changes: object
) -> VolumeRecord:
    """Add *voxels* int16 (D, H, W) to the store in *folder*, with window 0..1000 in stored units."""
    (folder / "volumes").mkdir(parents=True, exist_ok=True)
    file = folder / "volumes" / f"{name}.b2nd"
    blosc2.asarray(np.ascontiguousarray(voxels), urlpath=str(file), mode="w", blocks=(8, 8, 8), chunks=(16, 16, 16))
    unit = np.clip(voxels / 1000, 0, 1)
    record = VolumeRecord(
        **{
            "id": name, "modality": modality, "modality_from": "option", "source": source, "subject": name,
            "shape": voxels.shape, "spacing": (2.0, 1.0, 1.0), "slope": 1.0, "intercept": 0.0, "window": (0.0, 1000.0),
            "mean": float(unit.mean()), "std": float(unit.std()) or 1.0,
            "points": tuple(map(tuple, np.argwhere(unit > np.quantile(unit, 0.9))[:: 50].tolist())),
        }
        | changes
    )  # fmt: skip
    with (folder / "index.jsonl").open("a") as index:
        index.write(record.model_dump_json() + "\n")
    info = StoreInfo(input=InputSpec(spacing=(2.0, 1.0, 1.0)))
    (folder / "store.json").write_text(json.dumps(info.model_dump(mode="json")))
    return record


def smooth_volume(seed: int, shape: tuple[int, int, int]) -> np.ndarray:
    """Random int16 voxels (D, H, W) between 0 and 1000 that vary smoothly, with a bright ball in the middle."""
    rng = np.random.default_rng(seed)
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    waves = sum(np.sin(rng.normal(0, 4, 3) @ np.stack([z, y, x]).reshape(3, -1) + rng.uniform(0, 6)) for _ in range(4))
    volume = 450 + 80 * np.reshape(waves, shape) + 200 * (z**2 + y**2 + x**2 < 0.3) + rng.normal(0, 10, shape)
    return volume.clip(0, 1000).astype(np.int16)


@pytest.fixture
def tiny_store(tmp_path: Path) -> Store:
    """Six volumes of 32 x 40 x 36 voxels: four CT (three of source a, one of b), two MR of source c."""
    for number, (modality, source) in enumerate((("ct", "a"),) * 3 + (("ct", "b"),) + (("mr", "c"),) * 2):
        write_volume(tmp_path / "store", f"v{number}", smooth_volume(number, (32, 40, 36)), modality, source)
    return Store(tmp_path / "store")


@pytest.fixture(name="write_volume")
def _write_volume():
    """The function that adds a volume to a store."""
    return write_volume


@pytest.fixture
def run() -> Callable[..., str]:
    """Run ``umzoo`` with arguments; give what it prints. It must exit with *code*; its errors are raised."""
    app = make_app()
    app.registered_callback = None  # it sets up logging, for the tests after it too

    def call(*arguments: object, code: int = 0) -> str:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result.output

    return call


@pytest.fixture
def run_command(run: Callable[..., str]) -> Callable[..., str]:
    """The fixture ``run``, for modules that have a function of that name."""
    return run
