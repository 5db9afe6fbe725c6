"""Writes the weights folder: ``model.safetensors``, ``config.json``, ``README.md``, perhaps ``head.safetensors``,
``pretext.safetensors`` and the signature ``model.sig``.

It is written under a temporary name, flushed to disk and renamed, so a folder is never half written.
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
"""How a path begins that means something on one machine only."""


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
        info: what the folder says of itself; ``files``, ``plugin`` and ``head_plugin`` are filled in.
        pretext_state: parameters of the pretext tasks, ``label.*``.
        card: text of README.md; made from *info* if None.
        unchanged: written instead of *info* if the tensors turn out to be those it was read with.
        head_state: tensors of the head that *info* names, ``head.*``.

    Raises:
        WeightsError: if *folder* holds something else, cannot be written, or *info* holds a local path; if there are
            no tensors, or some of another name.
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
    """Change what the weights in *folder* say of themselves, in config.json and on the card; return it as written.

    What people wrote into the card stays. A signature of the folder no longer fits.

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
        raise WeightsError(f"{folder} is a file: choose another folder")
    if any(folder.iterdir()):
        try:
            read_info(folder)
        except WeightsError:
            raise WeightsError(f"{folder} is not empty and no weights folder: choose another folder") from None


def _refuse_paths(value: Any, where: str = "config") -> None:
    """Refuse strings that look like a path of this machine: the folder is made to leave it."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            _refuse_paths(str(key), where)
            _refuse_paths(item, f"{where}.{key}")
    elif isinstance(value, (list, tuple)):
        for item in value:
            _refuse_paths(item, where)
    elif isinstance(value, str) and LOCAL_PATH.match(value):
        raise WeightsError(f"'{where}' holds a local path, which must not leave this machine: {value!r}")


def _plugins_of(info: WeightsInfo) -> dict[str, str]:
    """Distributions that bring backbone and head; what *info* names already stays."""
    head = _plugin_of("head", info.head.name) if info.head else ""
    return {"plugin": info.plugin or _plugin_of("backbone", info.backbone.name), "head_plugin": head}


def _plugin_of(kind: str, name: str) -> str:
    """Distribution that brings component *name*; empty for umzoo's own and for unknown ones."""
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
        raise WeightsError(
            f"{unusable[0]} holds NaN or infinity: such weights are of no use, take an earlier checkpoint"
        )
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
