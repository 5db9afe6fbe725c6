"""The modality of a volume, and the origin of this information.

In order of precedence: ``--modality``, the manifest, the DICOM tag, ``dataset.json``, the BIDS suffix. If none of
these names it, values that peak at air and at soft tissue are guessed to be CT in HU; everything else is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import NDArray

from umzoo.data.reading.hounsfield import has_air_and_tissue
from umzoo.errors import ConfigError

PRECEDENCE = ("unknown", "guess", "bids", "dataset.json", "dicom", "manifest", "option")

_MODALITIES = {
    "ct": "ct cta ncct cect cbct ceCT",
    "mr": "mr mri mra dwi adc bold swi dti epi asl cbf cbv perf dce dsc angio sbref phase magnitude",
    "pt": "pt pet suv fdg",
    "nm": "nm spect",
    "us": "us ultrasound",
}
_NAMES = {name.lower(): modality for modality, names in _MODALITIES.items() for name in names.split()}
KNOWN = tuple(_MODALITIES)
"""Modality to its names."""
_MR_CONTRAST = re.compile(r"^(t1|t2|pd|flair|unit1|mp2rage|mprage|inplanet|hbv|m0scan|tse|dixon|b\d+)", re.IGNORECASE)
_PLAIN = re.compile(r"[^a-z0-9+*]")


@dataclass(frozen=True)
class Label:
    """Modality and contrast according to *origin*; an empty string is unknown."""

    modality: str
    contrast: str = ""
    origin: str = "unknown"

    @property
    def rank(self) -> int:
        """Rank of the origin in the order of precedence."""
        return PRECEDENCE.index(self.origin)


def label_from_name(name: str, origin: str, contrast: str = "") -> Label | None:
    """Read names such as ``"CT"``, ``"MRI"``, ``"T1w"`` or ``"FLAIR"``; None if the name is not a modality."""
    tokens = [token for token in re.split(r"[^A-Za-z0-9]+", name) if token]
    for token in tokens:
        modality = _NAMES.get(token.lower()) or ("mr" if _MR_CONTRAST.match(token) else "")
        if modality:
            own = "" if token.lower() in ("ct", "mr", "mri", "pt", "pet", "nm", "us") else token
            return Label(modality, plain_contrast(contrast or own), origin)
    return None


def plain_contrast(text: str) -> str:
    """*text* as a short lower-case word, or empty if it is a sentence: free text may identify a person."""
    words = text.strip().lower().split()
    return _PLAIN.sub("", words[0])[:16] if len(words) == 1 else ""


def parse_options(options: Sequence[str]) -> list[tuple[str, str]]:
    """Split ``'ct=**/ct/**'`` into modality and pattern.

    Raises:
        ConfigError: if an option is not of that form, or names no modality.
    """
    pairs = []
    for option in options:
        name, separator, pattern = option.partition("=")
        modality = name.strip().lower()
        if not separator or not pattern.strip() or not re.fullmatch(r"[a-z]{2,8}", modality):
            raise ConfigError(f"--modality expects MODALITY=PATTERN such as 'ct=**/ct/**', got '{option}'")
        pairs.append((_NAMES.get(modality, modality), pattern.strip()))
    return pairs


def label_from_options(path: str, name: str, options: Sequence[tuple[str, str]]) -> Label | None:
    """The first of *options* whose pattern matches the absolute *path* or the relative *name*; ``*`` crosses ``/``."""
    for modality, pattern in options:
        if fnmatchcase(path, pattern) or fnmatchcase(name, pattern):
            return Label(modality, "", "option")
    return None


def strongest(*labels: Label | None) -> Label | None:
    """The label of highest precedence, with a contrast of the same modality from another label if it has none."""
    known = sorted((label for label in labels if label is not None), key=lambda label: -label.rank)
    if not known:
        return None
    best = known[0]
    contrast = next((label.contrast for label in known if label.contrast and label.modality == best.modality), "")
    return Label(best.modality, contrast, best.origin)


def guess(sample: NDArray[np.float32]) -> Label:
    """Guess from physical values: CT if they peak at air and at soft tissue in Hounsfield units, else unknown."""
    return Label("ct", "", "guess") if has_air_and_tissue(sample) else Label("", "", "unknown")
