"""Shared functions of importers: tensors from pickled files, and the selection of the network's tensors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from umzoo.backbones.state import Shapes, require_same, shapes
from umzoo.errors import WeightsError
from umzoo.files import is_lfs_pointer, sha256
from umzoo.weights.folder.safetensors_file import TensorFile
from umzoo.weights.importers.pickled import read_pickled

WRAPPERS = ("state_dict", "model_state_dict", "network_weights", "model", "net", "teacher")
"""Checkpoint keys under which projects store the state dict."""
SUFFIXES = (".pth", ".pt", ".ckpt", ".model", ".bin", ".safetensors")


def find_checkpoint(source: Path) -> Path:
    """Return *source*, or if it is a folder, the only checkpoint in it.

    Raises:
        WeightsError: if the folder has no checkpoint, or several.
    """
    if not source.is_dir():
        return source
    found = sorted(file for file in source.rglob("*") if file.suffix in SUFFIXES)
    if len(found) != 1:
        names = ", ".join(str(file.relative_to(source)) for file in found[:8]) or "none"
        raise WeightsError(f"{source} contains {len(found)} checkpoints ({names}): give the path or URL of one file")
    return found[0]


def read_state(file: Path, prefixes: Iterable[str] = ("module.", "_orig_mod.")) -> dict[str, Tensor]:
    """Return the tensors in *file* (pickle or safetensors) on the CPU, with *prefixes* removed from their names.

    Pickled code is not run.

    Raises:
        WeightsError: if it cannot be read, or contains no tensors.
    """
    if is_lfs_pointer(file):
        raise WeightsError(f"{file} is a Git LFS pointer, not the file itself: run 'git lfs pull' in {file.parent}")
    if file.suffix == ".safetensors":
        with TensorFile(file) as stored:
            return without_prefixes(dict(stored), prefixes)
    content = read_pickled(file)
    state = content
    if isinstance(content, Mapping):
        state = next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), content)
    tensors = {str(k): v for k, v in state.items() if isinstance(v, Tensor)} if isinstance(state, Mapping) else {}
    if not tensors:
        held = some_names(content, 6) if isinstance(content, Mapping) else f"a {type(content).__name__}"
        where = ", ".join(WRAPPERS)
        raise WeightsError(
            f"{file} contains no tensors at the top level or under {where}: it has {held or 'no entries'};"
            " give a file with the network's state dict"
        )
    return without_prefixes(tensors, prefixes)


def without_prefixes(state: Mapping[str, Tensor], prefixes: Iterable[str]) -> dict[str, Tensor]:
    """Return *state* with all *prefixes*, also repeated ones, removed from its names.

    Raises:
        WeightsError: if two tensors then have the same name.
    """
    chosen, result = tuple(prefixes), {}
    for full, tensor in state.items():
        name = full
        while prefix := next((it for it in chosen if name.startswith(it)), ""):
            name = name.removeprefix(prefix)
        if name in result:
            raise WeightsError(
                f"the file contains {name} twice, with and without one of the prefixes {', '.join(chosen)}"
            )
        result[name] = tensor
    return result


def split(state: Mapping[str, Tensor], wanted: Shapes) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the tensors of *state* with names in *wanted*, and all others.

    Raises:
        WeightsError: if a wanted tensor is missing or has another shape.
    """
    taken = {name: state[name] for name in wanted if name in state}
    require_same(wanted, shapes(taken))
    return taken, {name: tensor for name, tensor in state.items() if name not in wanted}


def some_names(state: Mapping[Any, Any], count: int = 3) -> str:
    """Return the first names in *state*, for error messages."""
    names = list(map(str, state))
    return ", ".join(names[:count]) + (f" and {len(names) - count} more" if len(names) > count else "")


def summary(rest: Mapping[str, Tensor], depth: int = 2) -> dict[str, int]:
    """Return the number of tensors for each name prefix of *depth* parts."""
    return dict(Counter(".".join(name.split(".")[:depth]) for name in rest))


def origin(file: Path, url: str) -> dict[str, str]:
    """Return the origin of the imported file: the project's *url* and the file's sha256, but no path."""
    return {"url": url, "sha256": sha256(file)}
