"""The generated part of a model card: facts for users, from ``config.json`` alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from umzoo.weights.card.usage import SIGNED, usage
from umzoo.weights.folder.info import Provenance, WeightsInfo

CAUTION = "Not a medical device: not developed, tested or cleared for the diagnosis or treatment of patients."


def body(info: WeightsInfo, ref: str, signed: bool = False) -> str:
    """Return the sections of the card of *info*; *signed* adds the signature, and examples name the weights *ref*."""
    sections = {
        "Use": usage(info, ref, _plain),
        "Output": _table(_answer_rows(info)),
        "Input": _table(_input_rows(info)),
        "Network": _table({"architecture": info.backbone.name, **info.backbone.options, "plug-in": info.plugin}),
        "Training": _table(_training_rows(info)),
        "Evaluation": _evaluation(info),
        "Limitations": _listed(_limitations(info)),
        "License": _license(info),
        "Signature": SIGNED.format(ref=ref) if signed else "",
        "Please cite": _listed(info.citations),
    }
    text = "\n\n".join(f"## {title}\n\n{content}" for title, content in sections.items() if content)
    return f"# {_plain(info.name)}\n\n{_summary(info)}\n\n{text}"


def _summary(info: WeightsInfo) -> str:
    """Summary: architecture, pretext tasks or base model, and training data."""
    provenance, tasks = info.provenance, " and ".join(info.pretext_tasks)
    text = f"Weights of the 3D network `{_plain(info.backbone.name)}`"
    text += f" with a {_plain(info.task)} head" if info.head else ""
    if info.base_model:
        base = info.base_model.repository or info.base_model.name
        text += f", initialized from `{_plain(base)}`"
    elif tasks:
        text += f", pre-trained without labels ({_plain(tasks)})"
    if provenance.volumes:
        text += f". Training data: {provenance.volumes} volumes"
        text += f" ({_plain(_counts(provenance.modalities))})" if provenance.modalities else ""
    return text + "."


def _input_rows(info: WeightsInfo) -> dict[str, Any]:
    spec = info.input
    spacing = "native" if spec.spacing is None else f"{_by(spec.spacing)} mm"
    rules = {
        f"intensity, {'other modalities' if name == '*' else name}": (
            f"clipped to [{rule.window[0]:g}, {rule.window[1]:g}], then scaled to [0, 1]"
            if rule.window
            else f"clipped to percentiles {rule.percentiles} of the foreground, then scaled to [0, 1]"
        )
        for name, rule in spec.rules.items()
    }
    space = "[0, 1]" if spec.space == "unit" else "zero mean and unit variance per volume, after the scaling above"
    return {
        "channels": spec.in_channels,
        "array axes": f"{spec.axes}, {_orientation(spec.orientation)}",
        "spacing (D, H, W)": spacing,
        **rules,
        "input values": space,
        "patch size (D, H, W)": "any" if spec.patch_size is None else _by(spec.patch_size),
    }


def _answer_rows(info: WeightsInfo) -> dict[str, Any]:
    """The output of the head; nothing without a head."""
    answer = info.answer
    if info.head is None or answer is None:
        return {"head": info.head and info.head.name}
    return {
        "task": answer.task,
        "classes, in logit order": ", ".join(answer.classes),
        "label values in files": _pairs(answer.labels),
        "regression targets": ", ".join(answer.targets),
        "mean of the targets": ", ".join(f"{value:.4g}" for value in answer.mean),
        "standard deviation of the targets": ", ".join(f"{value:.4g}" for value in answer.std),
        "thresholds": _pairs(answer.thresholds),
        "channels": ", ".join(answer.channels),
        "modality of each channel": ", ".join(answer.modalities),
        "view": "center crop" if answer.view == "center" else "sliding window",
        **{f"validation, {name}": f"{value:.4g}" for name, value in answer.metrics.items()},
    }


def _training_rows(info: WeightsInfo) -> dict[str, Any]:
    provenance, base = info.provenance, info.base_model
    rows = {
        "base model": base and " ".join(filter(None, (base.repository or base.name, base.revision))),
        "sha256 of the base model": base and base.sha256,
        "imported from": _origin(info),
        "pretext tasks": ", ".join(info.pretext_tasks),
        "parts in the file": ", ".join(info.parts),
        "volumes": provenance.volumes,
        "data sets": _counts(provenance.datasets),
        "modalities": _counts(provenance.modalities),
        "body regions": ", ".join(provenance.regions),
        "steps": provenance.steps,
        "training patches": provenance.samples,
        "cost": _cost(provenance),
        **{f"final {name}": f"{value:.4g}" for name, value in provenance.metrics.items()},
        "versions": ", ".join(f"{name} {version}" for name, version in provenance.versions.items()),
    }
    return {name: value for name, value in rows.items() if value}


def _cost(provenance: Provenance) -> str:
    """Hours, summed over devices, and energy."""
    if not provenance.hours:
        return ""
    kind = "GPU-hours" if "cpu" not in provenance.device.lower() and provenance.device else "h"
    text = f"{provenance.hours:g} {kind} on {provenance.device or 'an unknown device'}"
    return f"{text}, {provenance.kwh:g} kWh" if provenance.kwh else text


def _origin(info: WeightsInfo) -> str:
    """Location, commit and names of the files from which the weights were imported."""
    known = info.imported_from
    return " ".join((known.location, known.revision, *known.files)) if known else ""


def _evaluation(info: WeightsInfo) -> str:
    if not info.results:
        return ""
    lines = [
        f"| {' | '.join(map(_plain, (it.dataset, it.task, it.metric, f'{it.value:.4g}', it.note)))} |"
        for it in info.results
    ]
    return "| data set | task | metric | value | |\n|---|---|---|---|---|\n" + "\n".join(lines)


def _limitations(info: WeightsInfo) -> Iterator[str]:
    """Yield the limitations that follow from *info*."""
    provenance = info.provenance
    seen = sorted(provenance.modalities.keys() - {"unknown"})
    if seen:
        yield f"Trained on {', '.join(seen)} only; performance on other modalities was not evaluated."
    missing = [part for part in ("encoder", "decoder") if part not in info.parts]
    if missing:
        yield f"The file contains no {' and no '.join(missing)}; missing parts are randomly initialized."
    if not info.results and not (info.answer and info.answer.metrics):
        yield "No evaluation on a downstream task is recorded."
    if info.provenance.metrics:
        yield "The training metrics measure the pretext tasks, not a clinical task."
    yield CAUTION


def _orientation(orientation: str) -> str:
    """Orientation of the array axes: three letters, or a word such as ``native``."""
    letters = len(orientation) == 3
    return f"orientation {orientation}{' (direction of increasing x, y, z)' if letters else ''}"


def _license(info: WeightsInfo) -> str:
    if info.license in ("", "unknown"):
        return "Not stated: ask the authors before you use these weights."
    return _plain(f"{info.license} {info.license_link}".strip())


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in counts.items())


def _pairs(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in values.items())


def _by(values: tuple[float, ...]) -> str:
    return " x ".join(f"{value:g}" for value in values)


def _table(rows: Mapping[str, Any]) -> str:
    lines = [f"| {_plain(name)} | {_plain(value)} |" for name, value in rows.items() if value not in (None, "", ())]
    return "| | |\n|---|---|\n" + "\n".join(lines) if lines else ""


def _listed(items: Any) -> str:
    return "\n".join(f"- {_plain(item)}" for item in items)


def _plain(value: Any) -> str:
    """*value* as one line of plain text, without HTML, table cells or code."""
    return " ".join(str(value).split()).replace("<", "&lt;").replace("|", "/").replace("`", "'")
