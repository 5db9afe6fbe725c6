"""Reading, hand-over and corruption of crops: per second, against the original Models Genesis and usual readers.

    git clone https://github.com/MrGiovanni/ModelsGenesis
    python benchmarks/loader.py --models-genesis ModelsGenesis [--data STORE] [--rounds 5]

Contenders take turns, and factors are formed within a round (see ``rounds.py``). Corruption and reads run in one
process with one thread and count its processor time, so other work on the machine matters less; the hand-over uses one
and two reader processes and counts time on the wall. Without ``--data`` two large phantoms are made. nnU-Net's reader
is measured if nnunetv2 is installed.

End to end means: a crop is read and decompressed, mapped to [0, 1] and corrupted, with its clean target. The original
holds float64 cubes in memory, as its own training does, so it reads nothing; the second row lets it read each crop
from a ``.nii.gz``.
"""

from __future__ import annotations

import argparse
import functools
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import blosc2
import numpy as np
import torch
from genesis import load_original, original_pairs
from numpy.typing import NDArray
from report import write_results
from rich.console import Console
from rounds import interleave, show, summarize

from umzoo.corruptions.pipeline import Pipeline
from umzoo.data.loading.batch_share import Share
from umzoo.data.loading.config import DataConfig
from umzoo.data.loading.crop_reader import CropReader
from umzoo.data.loading.intensity import to_unit
from umzoo.data.loading.loader import Loader
from umzoo.data.loading.sampler import Sampler
from umzoo.data.phantoms.phantom import make_phantom
from umzoo.data.store.arrays import write_array
from umzoo.data.store.halves import write_half
from umzoo.data.store.reader import Store
from umzoo.data.store.record import VolumeRecord
from umzoo.errors import UmzooError
from umzoo.fields import Rng
from umzoo.plugins import zoo

Patch = tuple[int, int, int]
BATCH = 6
PATCHES: tuple[Patch, ...] = ((64, 64, 32), (96, 96, 96))
TITLES = ("end to end", "reads", "hand-over")
READS: tuple[Patch, ...] = (*PATCHES, (128, 128, 128))
CORRUPTIONS: tuple[dict[str, Any], ...] = (
    {"name": "flip"},
    {"name": "local_shuffle"},
    {"name": "bezier"},
    {"name": "paint"},
)


def name_of(patch: Patch) -> str:
    """Such as ``64x64x32``."""
    return "x".join(map(str, patch))


@dataclass(frozen=True)
class Comparison:
    """Contenders for one job, compared at several patch sizes."""

    title: str
    reference: str
    contenders: Callable[[Patch], dict[str, Callable[[], int]]]
    patches: tuple[Patch, ...]
    clock: Callable[[], float]

    def run(self, console: Console, rounds: int, seconds: float) -> dict[str, Any]:
        """Time the contenders and print a table."""
        found = {}
        for patch in self.patches:
            rates = interleave(self.contenders(patch), rounds, seconds, self.clock)
            found[name_of(patch)] = summarize(rates, self.reference)
        show(console, f"{self.title}: crops per second", found, self.reference)
        return found


def main() -> None:
    """Run every comparison, print the tables and write ``results/loader.json``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models-genesis", type=Path, required=True, help="checkout of MrGiovanni/ModelsGenesis")
    parser.add_argument("--data", type=Path, help="a store; its largest volume is used for the reads")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.6, help="per contender and round")
    parser.add_argument("--only", choices=TITLES, help="one comparison, with a file of results of its own")
    options = parser.parse_args()
    torch.set_num_threads(1)
    blosc2.set_nthreads(1)
    console = Console(width=max(Console().width, 100))
    original = load_original(options.models_genesis)
    results: dict[str, Any] = {"rounds": options.rounds, "batch": BATCH}
    with tempfile.TemporaryDirectory() as folder:
        store = Store(options.data) if options.data else phantom_store(Path(folder) / "store")
        files = write_copies(store, Path(folder))
        corrupted, read = functools.partial(pipelines, store, original, files), functools.partial(readers, store, files)
        handed = functools.partial(hand_over, store)
        for comparison in (
            Comparison(TITLES[0], "Models Genesis, cubes in memory", corrupted, PATCHES, time.process_time),
            Comparison(TITLES[1], "umzoo store", read, READS, time.process_time),
            Comparison(TITLES[2], "torch DataLoader, 2 workers", handed, PATCHES, time.perf_counter),
        ):
            if options.only in (None, comparison.title):
                results[comparison.title] = comparison.run(console, options.rounds, options.seconds)
    name = f"loader-{options.only.replace(' ', '-')}" if options.only else "loader"
    console.print(f"written to {write_results(name, results)}")


def phantom_store(folder: Path) -> Store:
    """A store of two CT phantoms of 192 x 320 x 320 voxels."""
    (folder / "volumes").mkdir(parents=True)
    lines = []
    for seed in range(2):
        size = (192, 320, 320)
        phantom = make_phantom(seed, "ct", size=size, spacing=(0.5, 0.25, 0.25))
        voxels = np.round(phantom.image).astype(np.int16)
        write_array(folder, f"phantom{seed}", voxels)
        write_half(folder, f"phantom{seed}", voxels)
        unit = np.clip((voxels + 1000.0) / 2000, 0, 1)
        record = VolumeRecord(
            id=f"phantom{seed}", modality="ct", modality_from="option", source="phantom", subject=str(seed), shape=size,
            spacing=(0.5, 0.25, 0.25), slope=1, intercept=0, window=(-1000, 1000), mean=unit.mean(), std=unit.std(),
        )  # fmt: skip
        lines.append(record.model_dump_json() + "\n")
    (folder / "index.jsonl").write_text("".join(lines))
    (folder / "store.json").write_text('{"format": 1, "input": {}}')
    return Store(folder)


def largest(store: Store) -> int:
    """Row of the volume with most voxels."""
    return max(range(len(store)), key=lambda row: int(np.prod(store.records[row].shape)))


def write_copies(store: Store, folder: Path) -> dict[str, Path]:
    """Write the largest volume as ``.nii.gz`` (int16), ``.npy`` (int16), and as nnU-Net does (float32)."""
    import nibabel

    row = largest(store)
    voxels = store.read(row, (0, 0, 0), store.records[row].shape)
    files = {"nii.gz": folder / "volume.nii.gz", "npy": folder / "volume.npy"}
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), files["nii.gz"])
    np.save(files["npy"], voxels)
    try:
        from nnunetv2.training.dataloading.nnunet_dataset import comp_blosc2_params, nnUNetDatasetBlosc2
    except ImportError:
        return files
    files["nnU-Net"] = folder / "nnunet"
    files["nnU-Net"].mkdir()
    normalized = ((voxels - voxels.mean()) / voxels.std()).astype(np.float32)[None]
    blocks, chunks = comp_blosc2_params(normalized.shape, (128, 128, 128))
    nnUNetDatasetBlosc2.save_case(
        normalized, np.zeros_like(normalized, np.int8), {}, str(files["nnU-Net"] / "case"), chunks=chunks, blocks=blocks
    )
    return files


def pipelines(store: Store, original: Any, files: dict[str, Path], patch: Patch) -> dict[str, Callable[[], int]]:
    """Contenders that give corrupted and clean batches."""
    plain = DataConfig(patch_size=patch, batch_size=BATCH, scales=(1.0,), matched=0, workers=0)
    scaled = DataConfig(patch_size=patch, batch_size=BATCH, workers=0)
    exact = tuple(spec | ({"law": "exact"} if spec["name"] == "local_shuffle" else {}) for spec in CORRUPTIONS)
    with Loader(store, plain, seed=1) as loader:
        units = [to_unit(next(loader))["image"] for _ in range(8)]
    cubes = torch.cat(units).double().numpy()
    pairs = original_pairs(original, cubes, BATCH)
    return {
        "Models Genesis, cubes in memory": lambda: len(next(pairs)[0]),
        "Models Genesis, crops from nii.gz": functools.partial(original_from_disk, original, files["nii.gz"], patch),
        "umzoo": ours(store, plain, CORRUPTIONS),
        "umzoo, exact law of shuffling": ours(store, plain, exact),
        "umzoo, scales 0.5, 1, 2": ours(store, scaled, CORRUPTIONS),
    }


def ours(store: Store, config: DataConfig, specs: tuple[dict[str, Any], ...]) -> Callable[[], int]:
    """Read, map to [0, 1] and corrupt one batch."""
    loader = Loader(store, config, seed=0)
    pipeline = Pipeline([zoo().corruptions.build(spec) for spec in specs])

    def work() -> int:
        rng = Rng(0, loader.number, items=range(BATCH))
        image, _, _ = pipeline(to_unit(next(loader), rng)["image"], rng.fork(1))
        return len(image)

    return work


def original_from_disk(original: Any, file: Path, patch: Patch) -> int:
    """Read one crop of a ``.nii.gz`` and let the original corrupt it."""
    import nibabel

    image = nibabel.load(file)
    crop = np.asarray(image.dataobj[box(image.shape, patch, np.random.default_rng())], np.float64)
    cube = ((crop + 1000) / 2000).clip(0, 1)[None, None]
    return len(next(original_pairs(original, cube, 1))[0])


def box(shape: tuple[int, ...], patch: Patch, rng: np.random.Generator) -> tuple[slice, ...]:
    """A random box of *patch* voxels in a volume of *shape*."""
    starts = [int(rng.integers(0, max(n - edge, 0) + 1)) for n, edge in zip(shape, patch, strict=True)]
    return tuple(slice(start, start + edge) for start, edge in zip(starts, patch, strict=True))


def readers(store: Store, files: dict[str, Path], patch: Patch) -> dict[str, Callable[[], int]]:
    """Contenders that read one random crop of the largest volume each."""
    import nibabel

    row = largest(store)
    shape = store.records[row].shape
    rng = np.random.default_rng(0)
    mapped = np.load(files["npy"], mmap_mode="r")

    def from_store(reader: Store) -> None:
        place = box(shape, patch, rng)
        stop = tuple(min(part.stop, n) for part, n in zip(place, shape, strict=True))
        reader.read(row, tuple(part.start for part in place), stop)  # type: ignore[arg-type]

    def counted(read: Callable[[], Any]) -> Callable[[], int]:
        def work() -> int:
            read()
            return 1

        return work

    found: dict[str, Callable[[], Any]] = {
        "umzoo store": lambda: from_store(store),
        "umzoo store, opened each time": lambda: (store._handle.cache_clear(), from_store(store)),
        ".npy memory map, int16": lambda: np.array(mapped[box(shape, patch, rng)]),
        "nibabel .nii.gz": lambda: np.asarray(nibabel.load(files["nii.gz"]).dataobj[box(shape, patch, rng)]),
    }
    if "nnU-Net" in files:
        from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2

        dataset = nnUNetDatasetBlosc2(str(files["nnU-Net"]))
        found["nnUNetDatasetBlosc2, float32"] = lambda: dataset.load_case("case")[0][(0, *box(shape, patch, rng))]
    return {name: counted(read) for name, read in found.items()}


class Crops(torch.utils.data.IterableDataset):
    """Batches for torch's DataLoader, read by the same code; each worker reads every nth."""

    def __init__(self, store: Store, config: DataConfig) -> None:
        sampler = Sampler(store.records, store.modalities, store.sources, config, seed=0)
        self.reader, self.config = CropReader(store, sampler, Share(BATCH)), config

    def __iter__(self) -> Iterator[NDArray[np.int16]]:
        from umzoo.data.loading.crop_reader import ITEM

        info = torch.utils.data.get_worker_info()
        blosc2.set_nthreads(1)
        step = info.id
        while True:
            voxels = np.empty((BATCH, 1, *self.config.patch_size), np.int16)
            for slot in range(BATCH):
                self.reader.fill(step, slot, voxels[slot, 0], np.zeros(1, ITEM)[0])
            yield voxels
            step += info.num_workers


def hand_over(store: Store, patch: Patch) -> dict[str, Callable[[], int]]:
    """Contenders that give batches of int16 crops read by other processes."""
    found: dict[str, Callable[[], int]] = {}
    for workers in (1, 2):
        config = DataConfig(patch_size=patch, batch_size=BATCH, scales=(1.0,), matched=0, workers=workers)
        usual = torch.utils.data.DataLoader(
            Crops(store, config),
            batch_size=None,
            num_workers=workers,
            prefetch_factor=2,
        )
        batches, loader = iter(usual), Loader(store, config, seed=0)
        found[f"torch DataLoader, {workers} worker{'s'[: workers - 1]}"] = functools.partial(take, batches)
        found[f"umzoo ring, {workers} worker{'s'[: workers - 1]}"] = functools.partial(take_ours, loader)
    return found


def take(batches: Iterator[torch.Tensor]) -> int:
    """Take a batch and look at every voxel once."""
    voxels = next(batches)
    voxels.sum()
    return len(voxels)


def take_ours(loader: Loader) -> int:
    """Take a batch and look at every voxel once."""
    voxels = next(loader)["voxels"]
    voxels.sum()
    return len(voxels)


if __name__ == "__main__":
    try:
        main()
    except UmzooError as error:
        raise SystemExit(f"error: {error}") from None
