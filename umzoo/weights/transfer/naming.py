"""Maps other tensor names to canonical names: names with a prefix, or of another library's network.

``encoder.*`` and ``decoder.*`` may lie under a module (``model.``, ``backbone.``), as in checkpoints of trainers; and a
backbone declares the names of its tensors in other libraries' networks (:meth:`Backbone.contract_names`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from umzoo.backbones.base import Backbone
from umzoo.errors import WeightsError
from umzoo.plugins import zoo

_CONTRACT = re.compile(r"(?P<prefix>(?:[A-Za-z_]\w*\.)*?)encoder\.")
_NATIVE = re.compile(r"(?P<prefix>(?:[A-Za-z_]\w*\.)*?)(?:eva|down_projection|up_projection)\.")
_WRAPPED = re.compile(r"(?:(?:module|model|backbone|network|net)\.)+")


@dataclass(frozen=True)
class Naming:
    """Canonical names of tensors.

    Attributes:
        ours: the canonical name of each tensor of the network; other tensors are not part of it.
        kind: the backbone that corresponds to another library's network, if there is one.
    """

    ours: Mapping[str, str]
    kind: type[Backbone] | None = None


def find_naming(names: Sequence[str]) -> Naming:
    """Return the canonical names of the tensors *names*; unknown names are kept.

    Raises:
        WeightsError: if there are several networks under different prefixes.
    """
    for pattern in (_CONTRACT, _NATIVE):
        found = Counter(match["prefix"] for match in map(pattern.match, names) if match)
        for prefix in [prefix for prefix in found if prefix.endswith("decoder.")]:
            del found[prefix]  # nnU-Net's decoders contain the encoder, too
        if "" in found:
            foreign = not any(name.startswith("decoder.") for name in names)  # MONAI also uses this name
            return (_of_others(names) if foreign else None) or Naming({name: name for name in names})
        if len(found) > 1:
            places = ", ".join(sorted(prefix.rstrip(".") for prefix in found))
            raise WeightsError(f"the state dict has several networks, under {places}: pass the tensors of one network")
        if found:
            (prefix,) = found
            return Naming({name: name.removeprefix(prefix) for name in names if name.startswith(prefix)})
    return _of_others(names) or Naming({name: name for name in names})


def _of_others(names: Sequence[str]) -> Naming | None:
    """The naming of another library's network, if a backbone recognizes the names."""
    if all(name.startswith("encoder.") for name in names):
        return None
    wrapped = Counter(match[0] for match in map(_WRAPPED.match, names) if match)
    prefix = max(wrapped, key=lambda it: wrapped[it], default="")
    bare = {name.removeprefix(prefix): name for name in names if name.startswith(prefix)}
    for name in zoo().backbones:
        kind: type[Backbone] = zoo().backbones[name]
        if known := kind.contract_names(tuple(bare)):
            return Naming({bare[theirs]: ours for theirs, ours in known.items()}, kind)
    return None
