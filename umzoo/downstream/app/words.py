"""What the page says beside its answers."""

from __future__ import annotations

import re
from collections.abc import Sequence

from umzoo.downstream.app.upload import SUFFIXES, Limits
from umzoo.heads.answer import Answer
from umzoo.printable import printable
from umzoo.weights.card.body import CAUTION
from umzoo.weights.folder.info import WeightsInfo

FEATURES = (
    "The weights have no trained head, so they answer no question: the page shows their features. Voxels of one color"
    " have like features (their first three principal components in this scan, as red, green and blue). The vector is"
    " that of `umzoo embed`."
)
_TASKS = {
    "segmentation": "The network draws these classes over the scan: {}.",
    "classification": "The network chooses between: {}.",
    "multilabel": "The network says of each of these whether it is there: {}.",
    "regression": "The network estimates: {}.",
    "survival": "The network gives a log-risk: the greater, the sooner the event is expected.",
}


def introduction(info: WeightsInfo, repository: str, limits: Limits, minutes: int) -> str:
    """Return the Markdown above the page.

    Args:
        info: what the weights say of themselves.
        repository: ``org/name`` of the weights on the Hub; empty if they are not there.
        limits: of uploads.
        minutes: for which answers are kept.
    """
    name = _plain(info.name)
    link = f"[{name}](https://huggingface.co/{repository})" if repository else name
    paragraphs = [
        f"# {name}",
        what_it_says(info.answer),
        f"**Not for clinical use.** {CAUTION}",
        f"Upload NIfTI ({', '.join(SUFFIXES)}), at most {limits.megabytes} MB a file and {limits.voxels:,} voxels in"
        " the spacing of the weights. No upload is kept: it is removed once it is read; what is not read, pictures,"
        f" masks and vectors after {minutes} minutes. Do not upload what could identify a patient.",
        f"Weights: {link}, license {_plain(info.license)}.",
    ]
    return "\n\n".join(paragraphs)


def what_it_says(answer: Answer | None) -> str:
    """Return what the weights say of a scan, in a sentence; *answer* is that of their head."""
    if answer is None:
        return FEATURES
    names = answer.classes[1:] if answer.task == "segmentation" else answer.classes or answer.targets
    return _TASKS[answer.task].format(", ".join(map(_plain, names)))


def upload_label(channels: int, names: Sequence[str]) -> str:
    """Return what is asked for: one file, or one for each of the *channels*, which *names* may name."""
    if channels == 1:
        return "Scan"
    return f"Scan: {channels} files, in this order: {', '.join(names or map(str, range(channels)))}"


def usual_modality(info: WeightsInfo) -> str | None:
    """Return the modality that the weights are for; None if there are several, or it is not known."""
    known = {*(info.answer.modalities if info.answer else ())} or {*info.provenance.modalities} - {"unknown"}
    return known.pop() if len(known) == 1 else None


def known_modalities(answer: Answer | None) -> tuple[str, ...]:
    """Return the modality of each channel where they differ, which a visitor need not tell then."""
    return answer.modalities if answer is not None and len({*answer.modalities}) > 1 else ()


def _plain(text: object) -> str:
    """*text* in one line, in which nothing is Markdown or HTML."""
    return re.sub(r"([\\`*_{}\[\]<>#|!])", r"\\\1", " ".join(printable(text).split()))
