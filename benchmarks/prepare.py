"""Time and memory from DICOM slices to arrays for training: umzoo, dcm2niix with nibabel, and nnU-Net's preprocessing.

    python benchmarks/prepare.py [--series 2] [--slices 300] [--rows 512] [--rounds 3] [--before FOLDER]

Contenders take turns on the same files, each in a process of its own with one thread, the files in the page cache.
With ``--before``, the umzoo in FOLDER, such as an older version unpacked there, is one of them.
``umzoo prepare`` sorts the slices, checks, resamples, quantizes, compresses and writes a store. dcm2niix writes NIfTI,
which nibabel then reads as float32, and no more. nnU-Net, which reads no DICOM, preprocesses what dcm2niix wrote: it
crops, normalizes, resamples and writes compressed arrays; the time of dcm2niix is part of its row. Processor time is
what to compare on a machine that has other work. Needs dcm2niix (``pip install dcm2niix``) and nnunetv2.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from report import write_results
from rich.console import Console
from rich.table import Table

PIXEL_MM, SLICE_MM = 0.7, 1.0
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLOSC_NTHREADS")
_READ = """
import sys, numpy, nibabel, pathlib
for file in sorted(pathlib.Path(sys.argv[1]).glob("*.nii*")):
    numpy.asarray(nibabel.load(file).dataobj, numpy.float32).sum()
"""
_PREPROCESS = """
import sys, pathlib
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
resampling = "resample_data_or_seg_to_shape"
options = {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None}
configuration = {
    "architecture": {"network_class_name": "x", "arch_kwargs": {}, "_kw_requires_import": []},
    "data_identifier": "x", "preprocessor_name": "DefaultPreprocessor", "spacing": [1.0, 1.0, 1.0],
    "patch_size": [96, 96, 96], "normalization_schemes": ["CTNormalization"], "use_mask_for_norm": [False],
    "resampling_fn_data": resampling, "resampling_fn_data_kwargs": options,
    "resampling_fn_seg": resampling, "resampling_fn_seg_kwargs": {**options, "is_seg": True, "order": 1},
}
values = {"mean": 0.0, "std": 300.0, "percentile_00_5": -1000.0, "percentile_99_5": 1000.0}
plans = PlansManager({
    "dataset_name": "x", "plans_name": "x", "transpose_forward": [0, 1, 2], "transpose_backward": [0, 1, 2],
    "image_reader_writer": "SimpleITKIO", "configurations": {"one": configuration},
    "foreground_intensity_properties_per_channel": {"0": values},
})
dataset = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "a": 1}, "file_ending": ".nii"}
for file in sorted(pathlib.Path(sys.argv[1]).glob("*.nii")):
    one = plans.get_configuration("one")
    data, seg, properties = DefaultPreprocessor(verbose=False).run_case([str(file)], None, plans, one, dataset)
    nnUNetDatasetBlosc2.save_case(data, seg, properties, sys.argv[2] + "/" + file.stem)
"""


@dataclass(frozen=True)
class Cost:
    """Seconds on the clock and of the processor in all processes, and the peak memory of the largest one in MB."""

    wall: float
    processor: float
    memory: float

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.wall + other.wall, self.processor + other.processor, max(self.memory, other.memory))


def write_series(folder: Path, slices: int, rows: int, seed: int) -> int:
    """Write a CT of noise and shades as DICOM slices; return the bytes of its pixels."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : rows * 1j]
    series, study = generate_uid(), generate_uid()
    for k in range(slices):
        plane = np.where(x**2 + y**2 < 0.7, 40 + 60 * x + 30 * y + k / 10, -1000) + rng.normal(0, 12, (rows, rows))
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        item: Any = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        item.SOPClassUID, item.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        item.StudyInstanceUID, item.SeriesInstanceUID, item.FrameOfReferenceUID = study, series, study
        item.Modality, item.PatientID, item.InstanceNumber, item.SeriesNumber = "CT", str(seed), k + 1, seed + 1
        item.Rows = item.Columns = rows
        item.SamplesPerPixel, item.PhotometricInterpretation, item.PixelRepresentation = 1, "MONOCHROME2", 0
        item.BitsAllocated, item.BitsStored, item.HighBit = 16, 12, 11
        item.PixelSpacing, item.ImageOrientationPatient = [PIXEL_MM] * 2, [1, 0, 0, 0, 1, 0]
        item.ImagePositionPatient, item.SliceThickness = [0, 0, k * SLICE_MM], SLICE_MM
        item.RescaleSlope, item.RescaleIntercept = 1, -1024
        item.PixelData = np.clip(np.rint(plane + 1024), 0, 4095).astype("<u2").tobytes()
        item.save_as(folder / f"{k:04d}.dcm", enforce_file_format=True)
    return 2 * slices * rows * rows


def measure(*command: str, **environment: str) -> Cost:
    """Run *command* with one thread; its processes, and those they start, are looked at every 20 ms."""
    start = time.perf_counter()
    environment = {**os.environ, **dict.fromkeys(_ONE_THREAD, "1"), **environment}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    root, seconds, memory = psutil.Process(process.pid), dict[int, float](), 0.0
    while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
        for each in (root, *_started_by(root)):
            with suppress(psutil.Error, OSError):
                times = each.cpu_times()
                seconds[each.pid] = times.user + times.system
                memory = max(memory, _peak(each.pid))
        time.sleep(0.02)
    process.returncode = os.waitstatus_to_exitcode(ended[1])
    if process.returncode:
        raise SystemExit(f"{' '.join(command)[:200]} ended with {process.returncode}")
    waited = ended[2].ru_utime + ended[2].ru_stime
    return Cost(time.perf_counter() - start, max(waited, sum(seconds.values())), memory)


def _started_by(root: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.Error):
        return root.children(recursive=True)
    return []


def _peak(pid: int) -> float:
    """Largest memory of a process in MB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return float(status.partition("VmHWM:")[2].split()[0]) / 1024 if "VmHWM:" in status else 0.0


def umzoo(dicom: Path, work: Path, spacing: str, **environment: str) -> Cost:
    """``umzoo prepare`` with one worker."""
    command = ("-m", "umzoo", "prepare", str(dicom), "--out", str(work / "store"), "--workers", "1")
    return measure(sys.executable, *command, "--spacing", spacing, **environment)


def converted(dicom: Path, work: Path, packed: str) -> Cost:
    """The part of dcm2niix, gzipped (``y``) or not (``n``)."""
    tool = shutil.which("dcm2niix", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if tool is None:
        raise SystemExit("dcm2niix is missing: pip install dcm2niix")
    return measure(tool, "-z", packed, "-f", "%s_%n", "-o", str(work), str(dicom))


def by_nibabel(dicom: Path, work: Path, packed: str) -> Cost:
    """dcm2niix, and nibabel to read what it wrote."""
    return converted(dicom, work, packed) + measure(sys.executable, "-c", _READ, str(work))


def by_nnunet(dicom: Path, work: Path) -> Cost:
    """dcm2niix, and nnU-Net to preprocess what it wrote."""
    (work / "preprocessed").mkdir()
    made = converted(dicom, work, "n")
    return made + measure(sys.executable, "-c", _PREPROCESS, str(work), str(work / "preprocessed"))


CONTENDERS: dict[str, Any] = {
    "umzoo prepare, native spacing": lambda dicom, work: umzoo(dicom, work, "native"),
    "dcm2niix (.nii) + nibabel": lambda dicom, work: by_nibabel(dicom, work, "n"),
    "dcm2niix (.nii.gz) + nibabel": lambda dicom, work: by_nibabel(dicom, work, "y"),
    "umzoo prepare, 1 mm": lambda dicom, work: umzoo(dicom, work, "1"),
    "dcm2niix (.nii) + nnU-Net, 1 mm": by_nnunet,
}


def main() -> None:
    """Measure all contenders in turn."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--series", type=int, default=2)
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--rows", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--before")
    arguments = parser.parse_args()
    contenders = dict(CONTENDERS)
    if before := arguments.before:
        contenders["the umzoo in --before, native spacing"] = lambda dicom, work: umzoo(
            dicom, work, "native", PYTHONPATH=before
        )
    costs: dict[str, list[Cost]] = {name: [] for name in contenders}
    with tempfile.TemporaryDirectory() as folder:
        dicom = Path(folder) / "dicom"
        size = sum(write_series(dicom / str(n), arguments.slices, arguments.rows, n) for n in range(arguments.series))
        for number in range(arguments.rounds):
            for place, (name, contender) in enumerate(contenders.items()):
                work = Path(folder) / f"{number}-{place}"
                work.mkdir()
                costs[name].append(contender(dicom, work))
                shutil.rmtree(work)
    rows = {name: _row(rounds, arguments.series, size / 1e6) for name, rounds in costs.items()}
    settings = {name: value for name, value in vars(arguments).items() if name != "before"}
    console = Console()
    console.print(_table(rows))
    console.print(f"wrote {write_results('prepare', {**settings, 'megabytes': size / 1e6, 'contenders': rows})}")


def _row(rounds: list[Cost], volumes: int, megabytes: float) -> dict[str, float]:
    wall = statistics.median(cost.wall for cost in rounds)
    processor = statistics.median(cost.processor for cost in rounds)
    return {
        "volumes_per_minute": round(60 * volumes / wall, 2),
        "volumes_per_processor_minute": round(60 * volumes / processor, 2),
        "megabytes_per_processor_second": round(megabytes / processor, 1),
        "peak_memory_megabytes": round(max(cost.memory for cost in rounds)),
        "wall_seconds": round(wall, 1),
        "processor_seconds": round(processor, 1),
    }


def _table(rows: dict[str, dict[str, float]]) -> Table:
    table = Table(title="From DICOM to arrays, one process", title_justify="left")
    table.add_column("")
    for name in next(iter(rows.values())):
        table.add_column(name.replace("_", " "), justify="right")
    for name, row in rows.items():
        table.add_row(name, *map(str, row.values()))
    return table


if __name__ == "__main__":
    main()
