"""Filters registered weights by license, modality, body region, and compatible libraries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from umzoo.errors import ConfigError, nearest
from umzoo.plugins import zoo
from umzoo.weights.catalog.entry import WeightsEntry
from umzoo.weights.folder.licenses import allows_commerce, allows_sharing, license_class

USES = {"commercial": allows_commerce, "share": allows_sharing}
"""Uses that a license may allow: commercial use, and sharing of weights trained from these."""
WIDER = {
    "brain": ("head",),
    "heart": ("chest",),
    "lung": ("chest",),
    "lungs": ("chest",),
    "liver": ("abdomen",),
    "kidney": ("abdomen",),
    "prostate": ("pelvis",),
}
"""Larger regions that contain a region."""


@dataclass(frozen=True)
class Wanted:
    """Criteria for weights; None means any.

    Raises:
        ConfigError: if a value is unknown.
    """

    use: str | None = None
    modality: str | None = None
    region: str | None = None
    takes: str | None = None

    def __post_init__(self) -> None:
        for name, value, known in (("use", self.use, lambda: USES), ("takes", self.takes, _libraries)):
            if value is not None and value.lower() not in (choices := known()):
                hint = nearest(value, choices)
                raise ConfigError(f"unknown --{name} '{value}'{hint}: give one of {', '.join(choices)}")

    def fits(self, known: Mapping[str, Any]) -> bool:
        """Whether weights with the :func:`facts` *known* match."""
        if self.use and not USES[self.use.lower()](known["license"], known["license_link"]):
            return False
        if self.modality and self.modality.lower() not in known["modalities"]:
            return False
        region = (self.region or "").lower()
        if region and not {region, *WIDER.get(region, ()), "body"} & {*known["regions"]}:
            return False
        return self.takes is None or self.takes.lower() in known["takes"]


def taken_by(entry: WeightsEntry) -> tuple[str, ...]:
    """Return the libraries whose networks can take *entry*: ``nnunet`` for its training, others by a transfer."""
    name, known = entry.name.partition(".")[0], zoo().backbones
    return tuple(known[name].libraries) if name in known else ()


def _libraries() -> tuple[str, ...]:
    """Possible values of ``takes``: the libraries of all backbones, which requires loading the plug-ins."""
    known = zoo().backbones
    return tuple(sorted({library for name in known for library in known[name].libraries}))


def facts(entry: WeightsEntry) -> dict[str, Any]:
    """Return the metadata of *entry*, for programs."""
    return {
        "name": entry.name,
        "description": entry.description,
        "license": entry.license,
        "license_link": entry.license_link,
        "license_class": license_class(entry.license, entry.license_link),
        "modalities": list(entry.modalities),
        "regions": list(entry.regions),
        "takes": list(taken_by(entry)),
        "location": entry.location,
        "revision": entry.revision,
        "files": list(entry.files),
    }
