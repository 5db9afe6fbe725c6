"""Loads a scan as the tensor that a network expects, with the same steps as ``umzoo prepare``."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from umzoo.data.loading.intensity import enter, to_unit
from umzoo.data.preparing.content_checks import sample
from umzoo.data.preparing.encoding import Encoding
from umzoo.data.preparing.resampling import resampled_grid
from umzoo.data.preparing.standardization import Standardized, check, standardize
from umzoo.data.preparing.statistics import describe
from umzoo.data.reading.geometry import Grid, canonical_grid
from umzoo.data.reading.modality import KNOWN, Label, guess, label_from_name
from umzoo.data.reading.refusal import Refused
from umzoo.data.reading.volume import Volume
from umzoo.errors import ConfigError, DataError, nearest
from umzoo.scans.orientation import InputAxes
from umzoo.scans.scan import Scan
from umzoo.scans.sources import Opened, check_frames, open_source
from umzoo.spec import InputSpec

log = logging.getLogger(__name__)

LEAST_VOXELS = 2
"""Minimum voxels along each axis for inference; ``umzoo prepare`` needs more for training."""


@dataclass(frozen=True, eq=False)
class _Channel:
    """One volume of a source, the modality given by the caller, and the one to assume if it is unknown."""

    opened: Opened
    number: int
    given: str | None = None
    assumed: str | None = None

    @property
    def volume(self) -> Volume:
        return self.opened.volumes[self.number]

    @property
    def known(self) -> Label | None:
        return self.opened.labels[self.number]


@dataclass(frozen=True, eq=False)
class _Made:
    """A channel in the space of the network, image ``(D, H, W)``."""

    modality: str
    image: Tensor
    encoding: Encoding


def load_scan(
    source: Any,
    spec: InputSpec | nn.Module,
    *,
    modality: str | Sequence[str] | None = None,
    frame: int | None = None,
    assumed: Sequence[str] = (),
) -> Scan:
    """Read a scan as the network expects it: orientation, spacing, intensity rule, space, channels.

    The steps are those of ``umzoo prepare`` and of training, so the same scan gives the same values.

    Args:
        source: a file of any format that ``umzoo prepare`` reads, a DICOM folder, a nibabel or SimpleITK image, or
            ``(array, affine)`` with an ``(i, j, k)`` array and nibabel's affine (index to mm, RAS). Several channels
            of one patient on one grid are a list of these, or a dictionary with the name of each, such as
            ``{"flair": "a.nii.gz", "t1": "b.nii.gz"}``.
        spec: the expected input, such as ``model.weights_info.input``, or the loaded network.
        modality: ``"ct"``, ``"mr"``, ...; one for all channels, or one each. None uses that of the files.
        frame: volume of a file with several volumes, counted from 0.
        assumed: modality of each channel for scans of unknown modality, with a warning. If empty, that is an error.

    Raises:
        DataError: if the scan cannot be read, is not 3-D, is RGB, has channels on different grids or too few of them,
            or its modality is unknown or contradicts the file.
        ConfigError: if *modality* is not a modality, or *spec* has no input spec.
    """
    spec = input_of(spec)
    channels = _channels(source, spec, modality, frame, assumed)
    first = channels[0]
    axes = InputAxes(spec, first.volume.grid)
    canonical = spec.model_copy(update={"spacing": axes.canonical_spacing(spec.spacing)})
    made = [_make(channel, canonical) for channel in channels]
    notes = [note for channel, one in zip(channels, made, strict=True) for note in _notes(channel, one)]
    for note in dict.fromkeys(notes):
        log.warning("%s: %s", first.opened.name, note)
    return Scan(
        image=torch.stack([axes.turn(one.image) for one in made]).contiguous(),
        grid=axes.turn_grid(resampled_grid(canonical_grid(first.volume.grid), canonical.spacing)),
        original=first.volume.grid,
        modality=tuple(one.modality for one in made),
        name=first.opened.name,
        source=first.opened.source,
        subject=first.opened.subject,
        dtype=first.volume.voxels.dtype,
        header=first.opened.header,
        notes=tuple(dict.fromkeys(notes)),
    )


def _channels(
    source: Any, spec: InputSpec, modality: str | Sequence[str] | None, frame: int | None, assumed: Sequence[str]
) -> list[_Channel]:
    """The volumes that become the channels of one image."""
    names, parts = _parts(source)
    opened = [open_source(part) for part in parts]
    expected = spec.in_channels if len(parts) == 1 else 1
    found = [(one, number) for one in opened for number in check_frames(one, frame, expected)]
    if len(found) != spec.in_channels:
        raise DataError(
            f"the network expects {spec.in_channels} channel(s), got {len(found)}: give a list with one scan for each"
            f" channel, or load the network with in_channels={len(found)}"
        )
    given = _given_modalities(modality, names, len(found))
    usual = list(assumed) if len(assumed) == len(found) else [None] * len(found)
    channels = [_Channel(*it, name, other) for it, name, other in zip(found, given, usual, strict=True)]
    _check_grids(channels)
    return channels


def input_of(spec: InputSpec | nn.Module) -> InputSpec:
    """Return the input spec of *spec*: itself, or that of the weights a network was loaded from.

    Raises:
        ConfigError: if the network was not loaded from weights, or *spec* is neither a network nor an input spec.
    """
    if isinstance(spec, InputSpec):
        return spec
    info = getattr(spec, "weights_info", None) or getattr(getattr(spec, "backbone", None), "weights_info", None)
    if info is None:
        raise ConfigError(
            f"{type(spec).__name__} has no input spec: pass umzoo.InputSpec(...), or a network loaded by"
            " umzoo.from_pretrained"
        )
    channels = getattr(getattr(spec, "info", None), "in_channels", info.input.in_channels)
    changed: InputSpec = info.input.model_copy(update={"in_channels": channels})
    return changed


def parse_modality(name: str) -> str:
    """Return the modality for *name*: ``"CT"`` is ``"ct"``, ``"MRI"`` and ``"T1w"`` are ``"mr"``.

    Raises:
        ConfigError: if it is not a known modality.
    """
    label = label_from_name(name, "option")
    if label is None:
        hint = nearest(name.lower(), KNOWN)
        raise ConfigError(f"unknown modality '{name}'{hint}: expected {', '.join(KNOWN)}")
    return label.modality


def _parts(source: Any) -> tuple[list[str | None], list[Any]]:
    """Names and sources of the channels."""
    if isinstance(source, Mapping):
        return list(source), list(source.values())
    parts = source if isinstance(source, list) else [source]
    if not parts:
        raise DataError("expected a scan, or a list with one for each channel, got an empty list")
    return [None] * len(parts), parts


def _given_modalities(modality: str | Sequence[str] | None, names: list[str | None], count: int) -> list[str | None]:
    """The modality given by the caller for each of *count* channels."""
    if modality is None:
        labels = [label_from_name(name, "option") if name else None for name in names]
        found = [label.modality if label else None for label in labels]
        return found if len(found) == count else [None] * count
    if isinstance(modality, str):
        return [parse_modality(modality)] * count
    if len(modality) != count:
        raise ConfigError(f"expected one modality or {count}, one for each channel, got {len(modality)}")
    return [parse_modality(one) for one in modality]


def _check_grids(channels: Sequence[_Channel]) -> None:
    first = channels[0]
    grid = first.volume.grid
    for channel in channels[1:]:
        other = channel.volume.grid
        if other.shape != grid.shape or not np.allclose(other.affine, grid.affine, atol=1e-2):
            raise DataError(
                f"'{channel.opened.name}' ({_size(other)}) is not on the same grid as '{first.opened.name}'"
                f" ({_size(grid)}): register and resample the channels first"
            )


def _size(grid: Grid) -> str:
    return f"{' x '.join(map(str, grid.shape))} voxels of {' x '.join(f'{mm:.3g}' for mm in grid.spacing)} mm"


def _make(channel: _Channel, spec: InputSpec) -> _Made:
    """Check *channel* and convert it to the spacing, intensity rule and space of *spec*."""
    try:
        limits = check(channel.volume, spec, LEAST_VOXELS)
        modality = _modality(channel)
        made = standardize(channel.volume, limits, modality, spec)
        return _Made(modality, _to_space(made, spec), made.encoding)
    except Refused as why:
        raise DataError(f"'{channel.opened.name}' cannot be used: {why}") from None


def _modality(channel: _Channel) -> str:
    """The modality given by the caller, unless file or values contradict; otherwise that of the file or values."""
    name, known, given = channel.opened.name, channel.known, channel.given
    says = known.modality if known and known.modality else None
    other = says or guess(sample(channel.volume.voxels)).modality or None
    if given and other and given != other:
        origin = f"its {known.origin} says" if says and known else "its values (Hounsfield units) indicate"
        raise DataError(
            f"'{name}': the given modality is '{given}', but {origin} '{other}': omit modality, or correct it"
        )
    if not (found := given or other or channel.assumed):
        raise DataError(f"the modality of '{name}' is unknown: give the modality, one of {', '.join(KNOWN)}")
    if not (given or other):
        log.warning("%s: the modality is unknown; assuming '%s', as used for training the weights", name, found)
    return found


def _notes(channel: _Channel, made: _Made) -> tuple[str, ...]:
    return (*channel.volume.notes, *made.encoding.notes)


def _to_space(made: Standardized, spec: InputSpec) -> Tensor:
    """Stored voxels, mapped to [0, 1] and then to the space of the network, as in training."""
    encoding = made.encoding
    window = [(value - encoding.intercept) / encoding.slope for value in encoding.window]
    fields = to_unit({"voxels": torch.from_numpy(made.voxels)[None, None], "window": torch.tensor([window])})
    if spec.space == "zscore":
        statistics = describe(made.voxels, encoding, seed=0)
        fields |= {"mean": torch.tensor([statistics.mean]), "std": torch.tensor([statistics.std])}
    return enter(fields["image"], fields, spec.space)[0, 0]
