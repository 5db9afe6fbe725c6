"""Names that are not those of the weights contract: behind a prefix, or of another library's network.

``encoder.*`` and ``decoder.*`` may lie under a module (``model.``, ``backbone.``), as in checkpoints of trainers; and a
backbone says what its tensors are called in the network of another library (:meth:`Backbone.contract_names`).
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
    """How tensors are called by the contract.

    Attributes:
        ours: the contract's name of each tensor of the network; what is not in it is not part of it.
        kind: the backbone whose network it is in another library, if it is one.
    """

    ours: Mapping[str, str]
    kind: type[Backbone] | None = None


def find_naming(names: Sequence[str]) -> Naming:
    """Return how the tensors *names* are called by the contract; as they are if that is not known.

    Raises:
        WeightsError: if there are several networks under prefixes of their own.
    """
    for pattern in (_CONTRACT, _NATIVE):
        found = Counter(match["prefix"] for match in map(pattern.match, names) if match)
        for prefix in [prefix for prefix in found if prefix.endswith("decoder.")]:
            del found[prefix]  # nnU-Net's decoders hold the encoder, too
        if "" in found:
            foreign = not any(name.startswith("decoder.") for name in names)  # MONAI calls some encoders so as well
            return (_of_others(names) if foreign else None) or Naming({name: name for name in names})
        if len(found) > 1:
            places = ", ".join(sorted(prefix.rstrip(".") for prefix in found))
            raise WeightsError(f"there are several networks, under {places}: pass the tensors of the one that is meant")
        if found:
            (prefix,) = found
            return Naming({name: name.removeprefix(prefix) for name in names if name.startswith(prefix)})
    return _of_others(names) or Naming({name: name for name in names})


def _of_others(names: Sequence[str]) -> Naming | None:
    """The naming if a backbone knows the names as those of another library's network."""
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
