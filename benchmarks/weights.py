"""The weights of plugins/umzoo-weights, from the scans on: list, store, pre-training, weights folder.

    python benchmarks/weights.py DATA --work FOLDER

DATA holds ``manifest.csv`` with the columns ``file``, ``role``, ``modality`` and ``subject``, and the files it names.
Only data sets whose licenses allow it are used, and of these no subject that studies judge on (``subjects.py``).
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
from pathlib import Path

from subjects import part, read_manifest

PLACE = Path(__file__).parents[1] / "plugins" / "umzoo-weights" / "umzoo_weights" / "vox2vec_tiny"
NAME, RECIPE, LICENSE = "plainconv_unet.vox2vec_tiny", "vox2vec_tiny", "cc-by-sa-4.0"
LABELED = ("Task04_Hippocampus", "Task96_LungNodule")
"""Medical Segmentation Decathlon, CC BY-SA 4.0; LIDC-IDRI, CC BY 3.0."""
OTHERS = {
    "mr/prostate_T2_sag.nii.gz",
    "mr/prostate_PD.nii.gz",
    "mr/brain_tumour_T1post.nii.gz",
    "dicom/ct_chest_lidc",
    "dicom/mr_prostate_dce",
}
"""PROSTATEx and LIDC-IDRI, CC BY 3.0; Brain-Tumor-Progression, CC BY 4.0."""
COLUMNS = ("file", "modality", "subject", "source", "role")


def main() -> None:
    """Do all of it; what is there already is kept."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, required=True, help="folder of list, store and run")
    arguments = parser.parse_args()
    work = arguments.work
    work.mkdir(parents=True, exist_ok=True)
    write_list(arguments.data.resolve(), work / "scans.csv")
    umzoo("prepare", work / "scans.csv", "--out", work / "store")
    umzoo("pretrain", RECIPE, "--data", work / "store", "--out", work / "run", "--cpu")
    umzoo("export", work / "run", PLACE, "--name", NAME, "--license", LICENSE)


def write_list(data: Path, file: Path) -> None:
    """Write the scans to train on into *file*."""
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        for row in read_manifest(data):
            folder = row["file"].partition("/")[0]
            labeled = folder in LABELED and row["role"] == "image" and part(folder, row["subject"]) == "train"
            if labeled or row["file"] in OTHERS:
                source = folder if labeled else "CCBY"
                writer.writerow([data / row["file"], row["modality"], row["subject"], source, "image"])


def umzoo(*words: str | Path) -> None:
    """Run the command of umzoo."""
    subprocess.run([sys.executable, "-m", "umzoo", *map(str, words)], check=True)


if __name__ == "__main__":
    main()
