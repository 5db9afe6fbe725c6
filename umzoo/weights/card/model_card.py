"""The model card of a weights folder: YAML front matter for the Hub, and a generated part between markers."""

from __future__ import annotations

import re
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from umzoo.weights.card.body import body
from umzoo.weights.card.merge import BEGIN, END, merge_card
from umzoo.weights.folder.info import Result, WeightsInfo
from umzoo.weights.folder.licenses import hub_license

__all__ = ["BEGIN", "END", "merge_card", "model_card"]

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)

PIPELINES = {
    "segmentation": "image-segmentation",
    "classification": "image-classification",
    "multilabel": "image-classification",
}


def model_card(info: WeightsInfo, ref: str = "FOLDER", signed: bool = False) -> str:
    """Return README.md for *info*; its examples name the weights *ref*, such as ``org/name``."""
    return f"---\n{_front_matter(info)}\n---\n\n{BEGIN}\n{body(info, ref, signed)}\n{END}\n"


def _front_matter(info: WeightsInfo) -> str:
    license = hub_license(info.license)
    fields: dict[str, Any] = {"license": license, "library_name": "umzoo", "pipeline_tag": _pipeline(info)}
    if license == "other":
        fields |= {"license_name": re.sub(r"[^a-z0-9.-]+", "-", info.license.lower()).strip("-") or "other"}
        fields |= {"license_link": info.license_link} if info.license_link else {}
    datasets = [name for name in info.provenance.datasets if _REPOSITORY.fullmatch(name)]
    fields |= {"datasets": datasets} if datasets else {}
    if info.base_model and _REPOSITORY.fullmatch(info.base_model.repository):
        fields |= {"base_model": info.base_model.repository, "base_model_relation": "finetune"}
    if info.results:
        fields |= {"model_name": info.name, "eval_results": [_evaluation(result) for result in info.results]}
    return ModelCardData(tags=_tags(info), **fields).to_yaml()


def _pipeline(info: WeightsInfo) -> str:
    """The Hub's name for the task; the Hub has none for regression and survival from images."""
    return PIPELINES.get(info.task, "image-feature-extraction")


def _tags(info: WeightsInfo) -> list[str]:
    ours = info.base_model is None and bool(info.pretext_tasks)
    return list(
        dict.fromkeys(
            (
                "medical-imaging",
                "3d",
                *(["self-supervised-learning"] if ours else []),
                *sorted(info.provenance.modalities.keys() - {"unknown"}),
                *info.provenance.regions,
                info.backbone.name,
                *filter(None, [info.task]),
                *info.pretext_tasks,
            )
        )
    )


def _evaluation(result: Result) -> EvalResult:
    slug = re.sub(r"[^a-z0-9]+", "-", result.dataset.lower()).strip("-") or "unknown"
    return EvalResult(
        task_type=result.task,
        dataset_type=slug,
        dataset_name=result.dataset,
        metric_type=result.metric,
        metric_value=result.value,
        metric_name=result.metric,
    )
