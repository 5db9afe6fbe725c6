"""Writes a weights folder: ``model.safetensors``, ``config.json``, ``README.md``, and optionally ``head.safetensors``
and ``pretext.safetensors``.

The folder is written under a temporary name, flushed to disk and renamed, so it is never incomplete.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from umzoo.backbones.state import require_contract
from umzoo.errors import WeightsError
from umzoo.files import fsync, fsync_folder, sha256
from umzoo.plugins import zoo
from umzoo.weights.card.model_card import merge_card, model_card
from umzoo.weights.folder.info import WeightsInfo
from umzoo.weights.folder.licenses import require_allowed
from umzoo.weights.folder.reader import CARD, CONFIG, HEAD, MODEL, PRETEXT, read_card, read_info
from umzoo.weights.folder.safetensors_file import is_finite

LOCAL_PATH = re.compile(r"^(/|~|file:|[A-Za-z]:[\\/]|\\\\)")
"""Prefixes of paths that are valid only on one machine."""


def save_folder(
    folder: Path | str,
    state: Mapping[str, Tensor],
    info: WeightsInfo,
    pretext_state: Mapping[str, Tensor] | None = None,
    card: str | None = None,
    unchanged: WeightsInfo | None = None,
    head_state: Mapping[str, Tensor] | None = None,
) -> WeightsInfo:
    """Write a weights folder; return *info* as written.

    Args:
        folder: the folder; replaced if it is a weights folder already.
        state: tensors of the backbone by canonical name (``encoder.*``, ``decoder.*``).
        info: contents of ``config.json``; ``files``, ``plugin`` and ``head_plugin`` are filled in.
        pretext_state: parameters of the pretext tasks, ``label.*``.
        card: text of README.md; generated from *info* if None.
        unchanged: written instead of *info* if the tensors have the checksums that it records.
        head_state: tensors of the head in *info*, ``head.*``.

    Raises:
        WeightsError: if *folder* has other content or cannot be written, *info* contains a local path, or *state* has
            no tensors or unexpected names.
    """
    folder = Path(folder).resolve()
    _refuse_other_content(folder)
    for description in filter(None, (info, unchanged)):
        _refuse_paths(description.model_dump(mode="json"))
    require_allowed(info)
    require_contract(state, info.backbone.name)
    temporary = folder.with_name(f".{folder.name}.writing-{os.getpid()}")
    try:
        temporary.mkdir(parents=True)
        _save_tensors(temporary / MODEL, state)
        for name, tensors in ((HEAD, head_state), (PRETEXT, pretext_state or None)):
            if tensors is not None:
                _save_tensors(temporary / name, tensors)
        files = {file.name: sha256(file) for file in sorted(temporary.iterdir())}
        if unchanged is not None and all(unchanged.files.get(name) == files.get(name) for name in (MODEL, HEAD)):
            info = unchanged
        info = info.model_copy(update={"files": files, **_plugins_of(info)})
        _describe(temporary, info, card)
        _put_in_place(temporary, folder)
    except OSError as error:
        raise WeightsError(f"cannot write {folder}: {error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return info


def rewrite_info(folder: Path, **changes: Any) -> WeightsInfo:
    """Change fields of config.json in *folder* and update the model card; return the new contents of config.json.

    Manual text in the card is kept. A signature of the folder becomes invalid.

    Raises:
        WeightsError: if *folder* is not a weights folder, or a value is a local path.
    """
    info = read_info(folder).model_copy(update=changes)
    _refuse_paths(info.model_dump(mode="json"))
    _describe(folder, info, merge_card(read_card(folder), model_card(info)))
    return info


def _refuse_other_content(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise WeightsError(f"{folder} is a file, not a folder: choose another folder")
    if any(folder.iterdir()):
        try:
            read_info(folder)
        except WeightsError:
            raise WeightsError(f"{folder} is not empty and not a weights folder: choose another folder") from None


def _refuse_paths(value: Any, where: str = "config") -> None:
    """Refuse strings that look like a local path, because the folder is meant to be shared."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            _refuse_paths(str(key), where)
            _refuse_paths(item, f"{where}.{key}")
    elif isinstance(value, (list, tuple)):
        for item in value:
            _refuse_paths(item, where)
    elif isinstance(value, str) and LOCAL_PATH.match(value):
        raise WeightsError(f"'{where}' contains the local path {value!r}, which must not be shared: remove it")


def _plugins_of(info: WeightsInfo) -> dict[str, str]:
    """Distributions that provide backbone and head; an entry in *info* is kept."""
    head = _plugin_of("head", info.head.name) if info.head else ""
    return {"plugin": info.plugin or _plugin_of("backbone", info.backbone.name), "head_plugin": head}


def _plugin_of(kind: str, name: str) -> str:
    """Distribution that provides component *name*; empty if it is umzoo or unknown."""
    if name not in zoo().registries[kind]:
        return ""
    origin = zoo().plugin_of(kind, name).origin
    return "" if origin == "umzoo" else origin


def _describe(folder: Path, info: WeightsInfo, card: str | None = None) -> None:
    (folder / CARD).write_text(model_card(info) if card is None else card, encoding="utf-8")
    text = json.dumps(info.model_dump(mode="json", by_alias=True), indent=2, ensure_ascii=False)
    (folder / CONFIG).write_text(text + "\n", encoding="utf-8")


def _save_tensors(file: Path, state: Mapping[str, Tensor]) -> None:
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    unusable = [name for name, tensor in tensors.items() if not is_finite(tensor)]
    if unusable:
        raise WeightsError(f"tensor {unusable[0]} contains NaN or infinity: export an earlier checkpoint")
    save_file(tensors, file, metadata={"format": "pt"})
    file.chmod(0o644)


def _put_in_place(temporary: Path, folder: Path) -> None:
    """Flush *temporary* to disk and give it the name *folder*."""
    fsync_folder(temporary)
    previous = folder.with_name(f".{folder.name}.previous-{os.getpid()}")
    if folder.exists():
        folder.rename(previous)
    temporary.rename(folder)
    shutil.rmtree(previous, ignore_errors=True)
    fsync(folder.parent)
