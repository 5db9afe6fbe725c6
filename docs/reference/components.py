"""The columns of the page on the zoo for each kind of entry."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from reference.options import cell
from umzoo.backbones.base import Backbone
from umzoo.backbones.state import named_tensors
from umzoo.errors import PluginError
from umzoo.pretext.base import PretextTask
from umzoo.weights.catalog.entry import PACKAGE, WeightsEntry
from umzoo.weights.networks.construction import default_network
from umzoo.weights.transfer.tensor_roles import Layout

NNUNET = {"resenc": "`ResidualEncoderUNet`", "plainconv": "`PlainConvUNet`", "primus": "`Primus`"}
"""Family of a network to the class that nnU-Net builds of it."""


@dataclass(frozen=True)
class Section:
    """How the entries of one kind are shown.

    Attributes:
        title: heading.
        text: what the columns mean.
        columns: of the overview, between the name and the package.
        cells: those columns of an entry.
        summary: whether the overview has the summary of an entry; otherwise the options have it.
    """

    title: str
    text: str
    columns: tuple[str, ...] = ()
    cells: Callable[[Any], tuple[str, ...]] = lambda entry: ()
    summary: bool = True


def _backbone(kind: type[Backbone]) -> tuple[str, ...]:
    network = default_network(kind)
    if network is None:
        raise PluginError(f"backbone {kind.name} cannot be built with its default options")
    info = network.info
    return (
        f"{sum(parameter.numel() for parameter in network.parameters()) / 1e6:.1f} M",
        ", ".join(str(level.channels) for level in info.levels),
        ", ".join(_edge(level.stride) for level in info.levels),
        _edge(info.divisor),
        info.input_space,
        "no" if info.decoder_channels is None else f"{info.decoder_channels} channels",
        NNUNET.get(Layout(named_tensors(network)).family, "no"),
    )


def _edge(size: tuple[int, int, int]) -> str:
    return str(size[0]) if len(set(size)) == 1 else "x".join(map(str, size))


def _pretext_task(kind: type[PretextTask]) -> tuple[str, ...]:
    return (
        "shared" if kind.views is PretextTask.views else "own",
        _yes(kind.dense),
        ", ".join(f"`{name}`" for name in sorted(kind.reads)),
        cell("; ".join(kind.citations)),
    )


def where(entry: WeightsEntry) -> tuple[str, str]:
    """Return where the weights are, as a link if they are on the web, and their importer."""
    place, shown = entry.location, f"`{entry.location}`"
    if place.startswith("https://"):
        shown = f"[{place.rpartition('/')[2]}]({place})"
    elif place.startswith(PACKAGE):
        shown = f"in the package `{place.removeprefix(PACKAGE).partition('/')[0]}`"
    elif re.fullmatch(r"[\w.-]+/[\w.-]+", place):
        shown = f"[{place}](https://huggingface.co/{place})"
    return shown, f"`{entry.importer}`" if entry.importer else ""


def _yes(so: bool) -> str:
    return "yes" if so else "no"


SECTIONS = {
    "backbone": Section(
        "Backbones",
        "*Channels* and *strides* are those of the levels, fine to coarse. Image sizes must be *multiples of* the"
        " given number (for D, H and W, unless three are given). *Input*: `unit` is [0, 1], `zscore` zero mean and unit"
        " variance. *Decoder*: channels of the dense features. *nnU-Net*: the class of nnU-Net's networks that can take"
        " the weights ([transfer.md](transfer.md), [nnunet.md](nnunet.md)).",
        ("parameters", "channels", "strides", "multiples of", "input", "decoder", "nnU-Net"),
        _backbone,
        summary=False,
    ),
    "corruption": Section(
        "Corruptions",
        "A recipe lists corruptions under `[pretext] corruptions`. They are applied in that order to images in [0, 1];"
        " see [method.md](method.md#corruptions).",
    ),
    "pretext_task": Section(
        "Pretext tasks",
        "*View*: all tasks on the `shared` corrupted view use one forward pass; each task with its `own` view needs"
        " another. *Dense*: whether the decoder's dense features are needed; if no task needs them, the encoder"
        " alone is exported. *Reads*: fields of the batch. [methods.md](methods.md) shows which task runs on which"
        " backbone.",
        ("view", "dense", "reads", "cite"),
        _pretext_task,
        summary=False,
    ),
    "head": Section(
        "Heads",
        '`umzoo.from_pretrained(REF, head={"name": NAME})`. *Dense*: whether the decoder\'s dense features are needed.',
        ("dense",),
        lambda kind: (_yes(kind.dense),),
    ),
    "importer": Section(
        "Importers",
        "`umzoo import NAME FILE_OR_FOLDER OUT key=value` imports a file; options follow as `key=value`. See"
        " [weights.md](weights.md#other-projects-weights).",
    ),
    "weights": Section(
        "Registered weights",
        "`umzoo.from_pretrained(NAME)` loads them, `umzoo info NAME` describes them; each has a page in the"
        " [gallery](gallery/README.md). See [weights.md](weights.md).",
        ("where", "importer"),
        where,
    ),
}
"""Kind of entry to its section, in the order of the page."""
