"""The model card of a weights folder, made from its ``config.json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from huggingface_hub import ModelCardData

from umzoo.weights.info import Provenance, WeightsInfo

HUB_LICENCES = frozenset(
    ("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "mpl-2.0", "gpl-3.0", "lgpl-3.0", "agpl-3.0", "cc0-1.0")
    + ("cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0", "unknown")
)
"""SPDX identifiers that the Hub knows, in its spelling; any other is written as ``other`` with its name."""

USAGE = """\
```python
import umzoo

backbone = umzoo.from_pretrained("FOLDER")            # features: backbone(image, dense=True)
model = umzoo.from_pretrained("FOLDER", head={{"name": "segmentation", "classes": 3}}, in_channels={channels})
```

Without installing umzoo, from a checkout of it:

```python
import torch

backbone = torch.hub.load("CHECKOUT", "from_pretrained", "FOLDER", source="local")
```

`FOLDER` is this folder, or the `org/name` of this repository on the Hub. Or read the tensors yourself: the names in
`model.safetensors` are the parameters of `{architecture}`."""


def model_card(info: WeightsInfo) -> str:
    """Return README.md for *info*: YAML front matter, then what a user has to know."""
    sections = [
        f"# {info.name}",
        f"Weights of `{info.backbone.name}`{_trained(info)}.",
        "## Use\n\n" + USAGE.format(channels=info.input.in_channels, architecture=info.backbone.name),
        "## Input\n\n" + _table(_input_rows(info)),
        "## Network\n\n" + _table({"architecture": info.backbone.name, **info.backbone.options}),
        "## Training\n\n" + _table(_training_rows(info)),
        f"## Licence\n\n{_licence_text(info.licence)}",
    ]
    if info.citations:
        sections.append("## Please cite\n\n" + "\n".join(f"- {citation}" for citation in info.citations))
    return f"---\n{_front_matter(info)}\n---\n\n" + "\n\n".join(sections) + "\n"


def _trained(info: WeightsInfo) -> str:
    volumes = info.provenance.volumes
    return f", pre-trained without labels on {volumes} volumes" if volumes and info.pretext else ""


def _front_matter(info: WeightsInfo) -> str:
    licence = info.licence.lower()
    known = licence in HUB_LICENCES
    extra: dict[str, Any] = {} if known else {"license_name": licence}
    return ModelCardData(
        license=licence if known else "other",
        library_name="umzoo",
        tags=[
            "medical-imaging",
            "3d",
            *(["self-supervised-learning"] if info.pretext else []),
            *sorted(info.provenance.modalities),
            info.backbone.name,
        ],
        pipeline_tag="image-feature-extraction",
        **extra,
    ).to_yaml()


def _licence_text(licence: str) -> str:
    return "Not stated: ask the authors before you use these weights." if licence == "unknown" else licence


def _input_rows(info: WeightsInfo) -> dict[str, Any]:
    spec = info.input
    spacing = "native" if spec.spacing is None else f"{_by(spec.spacing)} mm"
    rules = {
        f"intensity, {'other modalities' if name == '*' else name}": (
            f"{rule.window[0]:g} to {rule.window[1]:g} become 0 to 1, clipped"
            if rule.window
            else f"percentiles {rule.percentiles} of the foreground become 0 to 1, clipped"
        )
        for name, rule in spec.rules.items()
    }
    space = "[0, 1]" if spec.space == "unit" else "zero mean and unit variance of the volume, after the rule above"
    return {
        "channels": spec.in_channels,
        "array axes": f"{spec.axes}, {_orientation(spec.orientation)}",
        "spacing (D, H, W)": spacing,
        **rules,
        "values the network sees": space,
        "patch size (D, H, W)": "any" if spec.patch_size is None else _by(spec.patch_size),
    }


def _orientation(orientation: str) -> str:
    """Three letters, or words about images that were not turned."""
    letters = len(orientation) == 3
    return f"indices increasing towards {orientation} along x, y, z" if letters else f"orientation {orientation}"


def _training_rows(info: WeightsInfo) -> dict[str, Any]:
    provenance: Provenance = info.provenance
    tasks = info.pretext.get("tasks") or ()
    rows = {
        "pretext tasks": ", ".join(str(task["name"]) for task in tasks if isinstance(task, Mapping) and "name" in task),
        "trained parts": ", ".join(info.parts),
        "volumes": provenance.volumes,
        "data sets": _counts(provenance.datasets),
        "modalities": _counts(provenance.modalities),
        "steps": provenance.steps,
        "patches seen": provenance.samples,
        "hours": provenance.hours,
        "device": provenance.device,
        **{f"last {name}": f"{value:.4g}" for name, value in provenance.metrics.items()},
    }
    return {name: value for name, value in rows.items() if value}


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in counts.items())


def _by(values: tuple[float, ...]) -> str:
    return " x ".join(f"{value:g}" for value in values)


def _table(rows: Mapping[str, Any]) -> str:
    body = "\n".join(f"| {name} | {str(value).replace('|', '/')} |" for name, value in rows.items())
    return f"| | |\n|---|---|\n{body}"
