"""The gallery: an index and a page for each registered weights entry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reference.components import where
from reference.loading import loading
from reference.options import cell, table
from reference.zoo import link, own_zoo
from umzoo.weights.catalog.entry import PACKAGE, WeightsEntry, folder_in_package
from umzoo.weights.catalog.search import facts
from umzoo.weights.folder.info import WeightsInfo
from umzoo.weights.folder.reader import read_info

INTRODUCTION = """\
# Gallery of weights

<!-- Written by docs/generate.py from the registry: change the entries, then run it. -->

Every page describes the training data, the expected input, the license and how to load the weights.
`umzoo list --pretrained` prints the same list and filters it, for instance with `--modality mr --use commercial`.
Weights of other projects are downloaded and converted when you first load them. Licenses are classified by their name;
this is not legal advice.
"""

ALLOWS = {
    "commercial": "commercial use is allowed",
    "share-alike": "networks trained from these weights keep this license",
    "non-commercial": "no commercial use",
    "no-derivatives": "networks trained from these weights must not be shared",
    "unknown": "ask the authors before use",
}
"""Class of license to its meaning for a user."""

FROM_PLAN = (
    "Spacing, patch size and normalization are read from the training plan in the checkpoint when it is converted."
    " `umzoo info {name}` prints them after the first load."
)
INPUTS = {
    "nnssl": FROM_PLAN,
    "nnunet": FROM_PLAN,
    "medicalnet": (
        "One channel, array axes (z, y, x), orientation and spacing as stored in the file. Minimum and maximum of each"
        " image become 0 and 1, then each image is scaled to zero mean and unit variance."
    ),
    "models_genesis": (
        "One channel, array axes (x, y, z) in LPS orientation, native spacing. In CT, -1000 to 1000 HU become 0 to 1."
        " Patches of 64 x 64 x 32 voxels were used in training."
    ),
    "vit3d": (
        "One channel, array axes (x, y, z) in RAS orientation, any spacing. Percentiles 0.05 and 99.95 of each image"
        " become 0 and 1. Patches of 112 x 112 x 112 voxels were used at the end of training."
    ),
    "anatomix": (
        "One channel, array axes (x, y, z), orientation and spacing as stored in the file. Minimum and maximum of each"
        " image become 0 and 1. Patches of 128 x 128 x 128 voxels were used in training."
    ),
    "merlin": (
        "One channel, array axes (z, x, y) in RAS orientation, spacing of 3 x 1.5 x 1.5 mm. In CT, -1000 to 1000 HU"
        " become 0 to 1. Images of 160 x 224 x 224 voxels were used in training."
    ),
    "monai_swin": (
        "One channel, array axes (x, y, z) in RAS orientation. A window of CT numbers becomes 0 to 1."
        " `umzoo info {name}` prints window and spacing after the first load."
    ),
    "monai_segresnet": (
        "One channel, array axes (x, y, z) in RAS orientation, spacing of 1.5 x 1.5 x 1.5 mm. In CT, -175 to 250 HU"
        " become 0 to 1. Patches of 96 x 96 x 96 voxels were used in training."
    ),
}
"""Importer to the input that the weights expect, as it writes it into ``config.json``."""

NO_RESULTS = """\
No evaluation of these weights is recorded. This command compares them with random weights on your labeled scans:

```
umzoo evaluate task.toml --weights {name} --out evaluation
```

[Evidence](../evidence.md) has the measurements of this project.
"""


def render() -> dict[str, str]:
    """Return file name to text of all pages; the index is ``README.md``."""
    zoo = own_zoo()
    entries = {name: zoo.weights[name] for name in zoo.weights}
    pages = {f"{name}.md": "\n".join(_page(entry, zoo.plugin_of("weights", name))) for name, entry in entries.items()}
    return {"README.md": "\n".join([INTRODUCTION, *_index(entries)]), **pages}


def _index(entries: dict[str, WeightsEntry]) -> Iterator[str]:
    rows = []
    for name, entry in entries.items():
        known = facts(entry)
        images = ", ".join(known["modalities"] or sorted(_recorded(entry, "modalities")))
        nnunet = "yes" if "nnunet" in known["takes"] else "no"
        rows.append((f"[{name}]({name}.md)", cell(entry.description), images, known["license_class"], nnunet))
    yield from table(("weights", "what", "images", "license class", "nnU-Net"), rows)


def _page(entry: WeightsEntry, plugin: Any) -> Iterator[str]:
    info, known = _info(entry), facts(entry)
    yield f"# {entry.name}\n"
    yield "<!-- Written by docs/generate.py from the registry: change the entry, then run it. -->\n"
    yield f"{entry.description[0].upper()}{entry.description[1:]}.\n"
    yield from table(("property", "value"), _facts(entry, known, link(plugin.origin, up="../../")))
    yield from ("## Input\n", _input(entry, info))
    yield from ("## Load\n", loading(entry, known["takes"]))
    yield from ("## Results\n", *_results(entry.name, info))
    yield from ("## Cite\n", _cite(entry, info))


def _facts(entry: WeightsEntry, known: dict[str, Any], package: str) -> Iterator[tuple[str, str]]:
    architecture = entry.name.partition(".")[0]
    name = f"[{entry.license}]({entry.license_link})" if entry.license_link else entry.license
    yield "architecture", f"[`{architecture}`](../zoo.md#backbones)"
    yield "license", f"{name}: {ALLOWS[known['license_class']]} (class `{known['license_class']}`)"
    yield from ((kind, text) for kind in ("modalities", "regions", "datasets") if (text := _counts(entry, kind)))
    place, importer = where(entry)
    yield "published", place
    if entry.files:
        yield "files", ", ".join(f"`{file}`" for file in entry.files)
    if entry.sha256:
        yield "sha256", f"`{entry.sha256}`"
    if importer:
        yield "converted by", f"{importer} ([importers](../zoo.md#importers))"
    if known["takes"]:
        yield "fits networks of", ", ".join(known["takes"])
    yield "package", package


def _counts(entry: WeightsEntry, kind: str) -> str:
    """What is known about the training data, with the number of volumes if it is known."""
    recorded = _recorded(entry, kind)
    if isinstance(recorded, dict) and recorded:
        return ", ".join(f"{name} ({count:,} volumes)" for name, count in recorded.items())
    return ", ".join(getattr(entry, kind, ()) or recorded)


def _recorded(entry: WeightsEntry, kind: str) -> Any:
    info = _info(entry)
    return entry.provenance.get(kind, ()) if info is None else getattr(info.provenance, kind)


def _info(entry: WeightsEntry) -> WeightsInfo | None:
    """``config.json`` of weights that are part of a package; None for weights that are downloaded."""
    return read_info(folder_in_package(entry.location)) if entry.location.startswith(PACKAGE) else None


def _input(entry: WeightsEntry, info: WeightsInfo | None) -> str:
    if info is None:
        return INPUTS[entry.importer].format(name=entry.name) + "\n"
    spec = info.input
    spacing = "native spacing" if spec.spacing is None else f"spacing of {_by(spec.spacing)} mm (D, H, W)"
    lines = [
        f"- channels: {spec.in_channels}",
        f"- array axes ({', '.join(spec.axes)}), orientation {spec.orientation}",
    ]
    lines.append(f"- {spacing}")
    for modality, rule in spec.rules.items():
        low, high = rule.window or rule.percentiles or (0, 100)
        what = f"{low:g} to {high:g} HU" if rule.window else f"percentiles {low:g} and {high:g} of the foreground"
        lines.append(f"- {'other modalities' if modality == '*' else modality}: {what} become 0 and 1")
    if spec.space == "zscore":
        lines.append("- then each volume is scaled to zero mean and unit variance")
    if spec.patch_size:
        lines.append(f"- patches in training: {_by(spec.patch_size)} voxels (D, H, W)")
    return "\n".join([*lines, ""])


def _by(values: tuple[float, ...]) -> str:
    return " x ".join(f"{value:g}" for value in values)


def _results(name: str, info: WeightsInfo | None) -> Iterator[str]:
    if info is None or not info.results:
        yield NO_RESULTS.format(name=name)
        return
    rows = [(it.dataset, it.task, it.metric, f"{it.value:.4g}", it.note) for it in info.results]
    yield from table(("data set", "task", "metric", "value", "how"), [tuple(map(cell, row)) for row in rows])


def _cite(entry: WeightsEntry, info: WeightsInfo | None) -> str:
    if info is None:
        return f"`umzoo info {entry.name}` prints what to cite after the first load.\n"
    return "\n".join([*(f"- {text}" for text in info.citations), ""])
