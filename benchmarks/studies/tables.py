"""What the study few_labels reads: a table for each labeled set, and the lists of scans to pre-train on.

    python benchmarks/studies/tables.py DATA --out FOLDER
    umzoo prepare FOLDER/scans.csv --out FOLDER/store
    umzoo pretrain FOLDER/pretraining.toml --data FOLDER/store --out FOLDER/run --cpu
    umzoo export FOLDER/run FOLDER/WEIGHTS
    umzoo study FOLDER/few_labels.toml --out FOLDER/out

DATA holds the labeled sets of :data:`SETS`, other scans in ``ct``, ``mr`` and ``dicom``, and ``manifest.csv`` with the
columns ``file``, ``role`` (``image`` or ``label``), ``modality`` and ``subject``.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from subjects import part, place, read_manifest

HERE = Path(__file__).parent / "few_labels"
SETS = {
    "hippocampus": "Task04_Hippocampus",
    "brain": "Task92_BrainStructures",
    "cardiac": "Task93_ACDC",
    "atrium": "Task94_LeftAtrium",
}
UNLABELED = ("Task96_LungNodule", *SETS.values())
OTHERS = ("ct", "mr", "dicom")
MOST = {"train": 1000, "dev": 8, "test": 20}
"""Subjects of each part, at most."""
SPLITS = {"train": "train", "dev": "validation", "test": "test"}


def main() -> None:
    """Write the tables, the list and the options into FOLDER."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    shutil.copytree(HERE, arguments.out, dirs_exist_ok=True)
    rows = [row for row in read_manifest(arguments.data) if row["role"] != "label"]
    for name, folder in SETS.items():
        _write(arguments.out / f"{name}.csv", labeled(arguments.data.resolve(), folder, rows))
    scans = unlabeled(arguments.data.resolve(), rows)
    _write(arguments.out / "scans.csv", scans)
    for modality in ("ct", "mr"):
        _write(arguments.out / f"{modality}.csv", [scan for scan in scans if scan["modality"].lower() == modality])


def labeled(data: Path, folder: str, rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return a row for the first case of each subject of *folder*, in the order of the hash."""
    found: list[dict[str, str]] = []
    mine = [row for row in rows if row["file"].startswith(f"{folder}/")]
    seen: dict[str, int] = dict.fromkeys(MOST, 0)
    subjects: set[str] = set()
    for row in sorted(mine, key=lambda row: (place(folder, row["subject"]), Path(row["file"]).name)):
        where = part(folder, row["subject"])
        if row["subject"] in subjects or seen[where] >= MOST[where]:
            continue
        subjects.add(row["subject"])
        seen[where] += 1
        name = Path(row["file"]).name
        place_of = {"image": str(data / row["file"]), "label": str(data / folder / "labelsTr" / name)}
        found.append({"case": name.split(".")[0], **place_of, "subject": row["subject"], "split": SPLITS[where]})
    return found


def unlabeled(data: Path, rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return the scans to pre-train on: of labeled sets those of training subjects alone."""
    found = []
    for row in rows:
        folder = row["file"].partition("/")[0]
        trained = folder in UNLABELED and part(folder, row["subject"]) == "train"
        if trained or (folder in OTHERS and "uint8" not in row["file"]):
            source = folder if trained else "others"
            about = {"modality": row["modality"], "subject": row["subject"] or row["file"]}
            found.append({"file": str(data / row["file"]), **about, "source": source, "role": "image"})
    return found


def _write(file: Path, rows: list[dict[str, str]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
