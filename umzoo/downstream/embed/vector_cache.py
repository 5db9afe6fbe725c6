"""Cache of vectors on disk until a table is complete, and the signature that validates it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from umzoo.downstream.embed.config import EmbedConfig
from umzoo.files import written_whole


def file_name(key: str) -> str:
    """Return the name of the cache file for *key*, such as the name of a scan."""
    return f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.npz"


def save_arrays(file: Path, arrays: Mapping[str, Any]) -> None:
    """Write *arrays* to an .npz *file* atomically."""
    with written_whole(file) as temporary, temporary.open("wb") as stream:
        np.savez(stream, **dict(arrays))


def signature(network: nn.Module, config: EmbedConfig, *more: str) -> str:
    """Return a hash of everything that vectors depend on: options, the values of *network*, and *more*."""
    digest = hashlib.sha256("\n".join([config.model_dump_json(exclude={"batch_size"}), *more]).encode())
    for name, tensor in network.state_dict().items():
        values = tensor.detach().cpu().contiguous().flatten().view(torch.uint8)
        digest.update(name.encode() + values.numpy().tobytes())
    return digest.hexdigest()
