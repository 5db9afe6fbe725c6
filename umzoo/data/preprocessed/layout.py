"""Metadata of nnU-Net v2 and nnssl next to preprocessed arrays: plans, channel names, properties of each case."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from umzoo.data.preparing.dataset_names import UNNAMED
from umzoo.data.reading.modality import Label, label_from_name
from umzoo.data.reading.regular_files import read_json
from umzoo.errors import DataError, in_one_line
from umzoo.pickles.client import PlainPickles, UnreadableError

Axes = tuple[int, int, int]


@dataclass(frozen=True)
class Image:
    """One channel of a preprocessed array, with its metadata."""

    file: Path
    channel: int
    label: Label
    source: str
    subject: str


@dataclass(frozen=True)
class Layout:
    """A configuration's folder, with the relevant entries of its plans.

    Attributes:
        folder: folder of the arrays, at any depth.
        spacing: mm in the order of the arrays' axes; None if the plans have none.
        axes: original axis of each of the arrays' axes (nnU-Net's ``transpose_forward``).
        channels: names of channels, from ``dataset.json``.
        images: entries of nnssl's list of images, by path relative to the folder, without suffix.
    """

    folder: Path
    spacing: tuple[float, ...] | None
    axes: Axes
    channels: tuple[str, ...]
    images: dict[str, tuple[str, str, str]]

    def image(self, file: Path, channel: int) -> Image:
        """Describe *channel* of the array in *file*."""
        name = file.relative_to(self.folder).with_suffix("").as_posix()
        modality, source, subject = self.images.get(name, ("", f"{UNNAMED}1", name))
        if channel < len(self.channels):
            modality = self.channels[channel]
        label = label_from_name(modality, "dataset.json") if modality else None
        return Image(file, channel, label or Label(""), source, subject)


def find_layout(path: Path) -> Layout | None:
    """Return the layout of *path*, the folder of a configuration or of a data set; None if it is neither.

    Raises:
        DataError: if *path* has several configurations.
    """
    inside = [path / entry["data_identifier"] for _, entry, _ in _configurations(path)]
    inside = sorted({folder for folder in inside if folder.is_dir()})
    if len(inside) > 1:
        raise DataError(f"{path} has several configurations: choose one of {', '.join(map(str, inside))}")
    folder = inside[0] if inside else path
    if not next(arrays(folder), None):
        return None
    for name, entry, plans in _configurations(folder.parent):
        if entry["data_identifier"] == folder.name:
            first, second, third = plans.get("transpose_forward") or (0, 1, 2)
            spacing = tuple(entry["spacing"]) if entry.get("spacing") else None
            return Layout(folder, spacing, (first, second, third), _channels(folder.parent), _images(folder, name))
    return Layout(folder, None, (0, 1, 2), _channels(folder.parent), {})


def arrays(folder: Path) -> Iterator[Path]:
    """The arrays of images in *folder*, at any depth: ``.b2nd`` files with a ``.pkl`` file (masks have none)."""
    return (file for file in folder.rglob("*.b2nd") if file.with_suffix(".pkl").is_file())


def read_properties(file: Path, pickles: PlainPickles) -> dict[str, Any]:
    """Return the pickled properties of the array in *file*, with arrays as nested lists.

    Args:
        file: the array.
        pickles: reads them in a separate process, because malicious files may run code.

    Raises:
        DataError: if the file is corrupted or contains anything but NumPy arrays and plain containers.
    """
    path = file.with_suffix(".pkl")
    try:
        properties = pickles.read(path)
    except (OSError, UnreadableError) as error:
        raise DataError(f"{path} cannot be read: {in_one_line(error, 200)}") from None
    if not isinstance(properties, dict):
        raise DataError(f"{path}: expected a dictionary of properties, got {type(properties).__name__}")
    return properties


def _configurations(folder: Path) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Name, entry and plans of each configuration in the plans files of *folder*."""
    for file in sorted(folder.glob("*.json")):
        plans = read_json(file)
        for name, entry in (plans.get("configurations") or {}).items():
            if isinstance(entry, dict) and "data_identifier" in entry:
                yield name, entry, plans


def _channels(folder: Path) -> tuple[str, ...]:
    content = read_json(folder / "dataset.json")
    names = content.get("channel_names") or content.get("modality") or {}
    return tuple(str(names[key]) for key in sorted(names, key=int))


def _images(folder: Path, configuration: str) -> dict[str, tuple[str, str, str]]:
    """Modality, data set (a number, as its name may identify a person) and subject of each image in nnssl's list."""
    content = read_json(folder.parent / f"pretrain_data__{configuration}.json")
    found = {}
    for number, (index, dataset) in enumerate(sorted((content.get("datasets") or {}).items()), 1):
        for subject, entry in dataset["subjects"].items():
            for session, images in entry["sessions"].items():
                for image in images["images"]:
                    stem = image["name"].removesuffix(".gz").removesuffix(".nii").removesuffix(".nrrd")
                    name = f"{content['collection_name']}/{index}/{subject}/{session}/{stem}"
                    found[name] = (str(image.get("modality") or ""), f"{UNNAMED}{number}", f"{index}/{subject}")
    return found
