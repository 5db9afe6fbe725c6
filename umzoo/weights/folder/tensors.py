"""The tensors of a weights folder, checked against the sha256 that its ``config.json`` records."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from umzoo.weights.folder.reader import MODEL, recorded_sha256
from umzoo.weights.folder.safetensors_file import TensorFile
from umzoo.weights.folder.strict_json import own_file


def open_tensors(folder: Path | str, name: str = MODEL) -> TensorFile:
    """Open file *name* of a weights folder; its sha256 is checked while it is read.

    Raises:
        WeightsError: if the file is missing, is a link out of the folder, or has an invalid header.
    """
    return TensorFile(own_file(folder, name), recorded_sha256(folder, name))


def load_state(folder: Path | str, name: str = MODEL) -> dict[str, Tensor]:
    """Return the tensors of file *name* of a weights folder, on the CPU, after checking its sha256.

    Raises:
        WeightsError: if the file is missing or corrupted, its checksum differs, or it contains NaN or infinity.
    """
    with open_tensors(folder, name) as file:
        return dict(file)
