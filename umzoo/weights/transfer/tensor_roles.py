"""The position of a tensor in its network: its part, its group in the report, and a key independent of the depth.

nnU-Net's encoders count stages from the top, its decoders from the bottom. The key of a decoder tensor contains the
encoder stage of the same resolution, so equal keys mean equal depth for any number of stages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from umzoo.weights.transfer.naming import find_naming

_FAMILIES = (
    ("resenc_bottleneck", r"encoder\.stages\.\d+\.blocks\.\d+\.conv3\."),
    ("resenc", r"encoder\.stages\.\d+\.blocks\.\d+\.conv1\."),
    ("plainconv", r"encoder\.stages\.\d+\.\d+\.convs\.\d+\."),
    ("primus_deep", r"(encoder\.)?down_projection\.(stem|stages)\."),
    ("primus", r"(encoder\.)?eva\.blocks\.\d+\."),
    ("genesis", r"encoder\.down_tr64\."),
)
UNETS = frozenset({"resenc_bottleneck", "resenc", "plainconv"})
TITLES = {
    "resenc_bottleneck": "residual-encoder U-Net with bottleneck blocks",
    "resenc": "residual-encoder U-Net",
    "plainconv": "plain U-Net",
    "primus_deep": "Primus with a convolutional patch embedding",
    "primus": "Primus",
    "genesis": "U-Net of Models Genesis",
    "other": "network of another architecture",
}


@dataclass(frozen=True)
class Slot:
    """The position of a tensor; tensors with equal *key* correspond."""

    part: Literal["encoder", "decoder", "head"]
    group: str
    key: tuple[str | int, ...]


class Layout:
    """The positions of the tensors *names*.

    Attributes:
        naming: their canonical names.
        family: networks of one family can exchange weights; ``other`` for unknown families.
        stages: number of resolution stages of an nnU-Net U-Net, otherwise 0.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.naming = find_naming(list(names))
        names = list(self.naming.ours.values())
        matches = (family for family, pattern in _FAMILIES if any(re.match(pattern, name) for name in names))
        self.family = next(matches, "other")
        self.stages = _count(names, r"encoder\.stages\.(\d+)\.") if self.family in UNETS else 0
        native = self.family.startswith("primus") and not any(name.startswith("encoder.") for name in names)
        self._last_layer = _count(names, r"up_projection\.decode\.(\d+)") - 1 if native else -1

    def slot(self, name: str) -> Slot:
        """Return the position of tensor *name*."""
        if name not in self.naming.ours:
            return Slot("head", "head", (name,))
        name = self.naming.ours[name]
        if self.family in UNETS:
            return self._unet_slot(name)
        return self._primus_slot(name) if self.family.startswith("primus") else _plain_slot(name)

    def _unet_slot(self, name: str) -> Slot:
        rest = re.sub(r"\.skip\.\d+\.", ".skip.", name)
        if match := re.match(r"encoder\.stages\.(\d+)\.(.+)", rest):
            return Slot("encoder", f"encoder stage {match[1]}", ("encoder", int(match[1]), match[2]))
        if match := re.match(r"decoder\.(stages|transpconvs)\.(\d+)\.(.+)", rest):
            level = self.stages - 2 - int(match[2])
            return Slot("decoder", f"decoder stage {match[2]}", (f"decoder.{match[1]}", level, match[3]))
        if name.startswith("encoder.stem."):
            return Slot("encoder", "stem", (name,))
        return Slot("head", "head", (name,)) if name.startswith("decoder.seg_layers.") else _plain_slot(name)

    def _primus_slot(self, name: str) -> Slot:
        rest = name.removeprefix("encoder.").removeprefix("decoder.")
        if rest.startswith(f"up_projection.decode.{self._last_layer}."):
            return Slot("head", "head", (rest,))
        if rest.startswith("up_projection."):
            return Slot("decoder", "decoder", (rest,))
        if rest.startswith("down_projection."):
            return Slot("encoder", "stem", (rest,))
        if match := re.match(r"eva\.blocks\.(\d+)\.", rest):
            return Slot("encoder", f"encoder block {match[1]}", (rest,))
        inside = rest.startswith(("eva.", "mask_token", "register_tokens")) or rest != name
        return Slot("encoder", "encoder", (rest,)) if inside else Slot("head", "head", (rest,))


def _plain_slot(name: str) -> Slot:
    """The position of a tensor in an unknown architecture, from its canonical name only."""
    part = name.partition(".")[0]
    group = ".".join(name.split(".")[:2])
    if part == "encoder":
        return Slot("encoder", group, (name,))
    return Slot("decoder", group, (name,)) if part == "decoder" else Slot("head", "head", (name,))


def _count(names: Iterable[str], pattern: str) -> int:
    """One plus the largest number that *pattern* finds at the start of a name."""
    return 1 + max((int(match[1]) for match in (re.match(pattern, name) for name in names) if match), default=-1)
