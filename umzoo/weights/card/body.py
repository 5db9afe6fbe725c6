"""The part of a model card that umzoo writes: what a user has to know, from ``config.json`` alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from umzoo.weights.card.usage import SIGNED, usage
from umzoo.weights.folder.info import Provenance, WeightsInfo

CAUTION = "No medical device: not made, tested or cleared for the diagnosis or treatment of patients."


def body(info: WeightsInfo, ref: str, signed: bool = False) -> str:
    """Return the sections of the card of *info*, which are *signed* or not, and whose examples call them *ref*."""
    sections = {
        "Use": usage(info, ref, _plain),
        "Answer": _table(_answer_rows(info)),
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
    """One sentence: architecture, pretext tasks, data, base."""
    provenance, tasks = info.provenance, " and ".join(info.pretext_tasks)
    text = f"Weights of the 3D network `{_plain(info.backbone.name)}`"
    text += f" with a head for {_plain(info.task)}" if info.head else ""
    if info.base_model:
        base = info.base_model.repository or info.base_model.name
        text += f", trained on from `{_plain(base)}`"
    elif tasks:
        text += f", pre-trained without labels by {_plain(tasks)}"
    if provenance.volumes:
        text += f", on {provenance.volumes} volumes"
        text += f" ({_plain(_counts(provenance.modalities))})" if provenance.modalities else ""
    return text + "."


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


def _answer_rows(info: WeightsInfo) -> dict[str, Any]:
    """What the head says; nothing without one."""
    answer = info.answer
    if info.head is None or answer is None:
        return {"head": info.head and info.head.name}
    return {
        "task": answer.task,
        "classes, in the order of the logits": ", ".join(answer.classes),
        "values in the files": _pairs(answer.labels),
        "predicted numbers": ", ".join(answer.targets),
        "mean of these": ", ".join(f"{value:.4g}" for value in answer.mean),
        "standard deviation of these": ", ".join(f"{value:.4g}" for value in answer.std),
        "thresholds": _pairs(answer.thresholds),
        "channels": ", ".join(answer.channels),
        "modality of each channel": ", ".join(answer.modalities),
        "view": "a crop from the center" if answer.view == "center" else "sliding windows",
        **{f"validation, {name}": f"{value:.4g}" for name, value in answer.metrics.items()},
    }


def _training_rows(info: WeightsInfo) -> dict[str, Any]:
    provenance, base = info.provenance, info.base_model
    rows = {
        "trained on from": base and " ".join(filter(None, (base.repository or base.name, base.revision))),
        "sha256 of these": base and base.sha256,
        "imported from": _origin(info),
        "pretext tasks": ", ".join(info.pretext_tasks),
        "parts in the file": ", ".join(info.parts),
        "volumes": provenance.volumes,
        "data sets": _counts(provenance.datasets),
        "modalities": _counts(provenance.modalities),
        "regions of the body": ", ".join(provenance.regions),
        "steps": provenance.steps,
        "patches seen": provenance.samples,
        "cost": _cost(provenance),
        **{f"last {name}": f"{value:.4g}" for name, value in provenance.metrics.items()},
        "versions": ", ".join(f"{name} {version}" for name, version in provenance.versions.items()),
    }
    return {name: value for name, value in rows.items() if value}


def _cost(provenance: Provenance) -> str:
    """Hours, summed over devices, and the energy that these took."""
    if not provenance.hours:
        return ""
    kind = "GPU-hours" if "cpu" not in provenance.device.lower() and provenance.device else "h"
    text = f"{provenance.hours:g} {kind} on {provenance.device or 'an unknown device'}"
    return f"{text}, {provenance.kwh:g} kWh" if provenance.kwh else text


def _origin(info: WeightsInfo) -> str:
    """Place of the files that the weights were imported from, with commit and names."""
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
    """Yield what follows from what is known of the weights."""
    provenance = info.provenance
    seen = sorted(provenance.modalities.keys() - {"unknown"})
    if seen:
        yield f"Trained on {', '.join(seen)} only; what they are worth for other images was not tested."
    missing = [part for part in ("encoder", "decoder") if part not in info.parts]
    if missing:
        yield f"The file holds no {' and no '.join(missing)}: that part starts at random."
    if not info.results and not (info.answer and info.answer.metrics):
        yield "No evaluation on a task of its own is recorded here."
    if info.provenance.metrics:
        yield "The metrics of training are those of the pretext tasks, not of any clinical task."
    yield CAUTION


def _orientation(orientation: str) -> str:
    """Three letters, or words about images that were not turned."""
    letters = len(orientation) == 3
    return f"indices increasing toward {orientation} along x, y, z" if letters else f"orientation {orientation}"


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
    """*value* in one line that opens no HTML, no cell and no code."""
    return " ".join(str(value).split()).replace("<", "&lt;").replace("|", "/").replace("`", "'")
