"""Data sets that describe themselves: nnU-Net raw and MSD folders (``dataset.json``), and BIDS trees."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from umzoo.data.reading.formats import stem_of
from umzoo.data.reading.modality import Label, label_from_name, strongest
from umzoo.data.reading.regular_files import read_json

_BIDS_LABELS = ("dseg", "mask", "probseg", "roi")
_BIDS_FOLDERS = {"anat": "mr", "func": "mr", "fmap": "mr"}
_CHANNEL = re.compile(r"^(?P<case>.+)_(?P<channel>\d{4})$")
_SUBJECT = re.compile(r"(?:^|_)(sub-[A-Za-z0-9]+)")


@dataclass(frozen=True)
class DataSet:
    """Information on a file from its data set's layout.

    Args:
        name: recorded as the source of its volumes.
        channels: of nnU-Net and MSD: channel number to its name, such as ``{0: "FLAIR", 1: "T1w"}``.
        named: whether the user gave the name; other names stay on the machine.
    """

    name: str
    kind: Literal["folder", "nnunet", "bids"] = "folder"
    channels: Mapping[int, str] = field(default_factory=dict)
    named: bool = False

    def is_label(self, path: Path) -> bool:
        """Whether *path* is a label map according to the layout."""
        if self.kind == "nnunet":
            return path.parent.name.lower().startswith("labels")
        stem = stem_of(path)
        return (self.kind == "bids" or bool(_SUBJECT.match(stem))) and stem.rsplit("_", 1)[-1] in _BIDS_LABELS

    def subject(self, path: Path) -> str:
        """The person shown in *path*, by the naming rule of the layout; otherwise the file name."""
        stem = stem_of(path)
        if self.kind == "nnunet" and self._channel(stem) is not None:
            return _CHANNEL.sub(r"\g<case>", stem)
        found = _SUBJECT.search(stem)
        return found.group(1) if found else stem

    def labels(self, path: Path) -> tuple[Label, ...]:
        """The labels of *path* in the layout: one, or one per channel of a 4-D file; empty if unknown."""
        stem = stem_of(path)
        if self.kind == "nnunet":
            channel = self._channel(stem)
            names = list(self.channels.values()) if channel is None else [self.channels[channel]]
            found = [label_from_name(name, "dataset.json") for name in names]
            return tuple(label or Label("", "", "unknown") for label in found)
        if self.kind == "bids" or _SUBJECT.match(stem):
            suffix = label_from_name(stem.rsplit("_", 1)[-1], "bids")
            folder = label_from_name(_BIDS_FOLDERS.get(path.parent.name, path.parent.name), "bids")
            label = strongest(suffix, folder)
            return (label,) if label else ()
        return ()

    def _channel(self, stem: str) -> int | None:
        """The channel in names such as ``case_0001``, if the data set has that channel."""
        match = _CHANNEL.match(stem)
        number = int(match["channel"]) if match else -1
        return number if number in self.channels else None


def describe_folder(folder: Path) -> DataSet | None:
    """The data set whose root is *folder*, if it is one.

    Raises:
        DataError: if its ``dataset.json`` or ``dataset_description.json`` cannot be read.
    """
    content = read_json(folder / "dataset.json")
    channels = content.get("channel_names") or content.get("modality")
    if isinstance(channels, dict) and channels:
        numbered = {int(key): str(value) for key, value in channels.items() if str(key).isdecimal()}
        inverse = {int(value): str(key) for key, value in channels.items() if str(value).isdecimal()}
        return DataSet(_name(content.get("name"), folder), "nnunet", dict(sorted((numbered or inverse).items())))
    if (folder / "dataset_description.json").is_file():
        return DataSet(_name(read_json(folder / "dataset_description.json").get("Name"), folder), "bids")
    return None


def _name(given: object, folder: Path) -> str:
    return str(given).strip()[:64] if given and "/" not in str(given) else folder.name
