"""Metadata of a network that is about to be saved as a weights folder."""

from __future__ import annotations

from typing import Any

from umzoo.backbones.base import Backbone
from umzoo.heads.answer import Answer
from umzoo.heads.model import Model
from umzoo.spec import InputSpec
from umzoo.weights.folder.info import BaseModel, WeightsInfo


def describe(model: Backbone | Model, tag: str) -> tuple[WeightsInfo, WeightsInfo]:
    """Return two versions of the metadata of *model*: if it was trained after loading, and if it was not."""
    backbone = model.backbone if isinstance(model, Model) else model
    known: WeightsInfo | None = backbone.weights_info
    name, channels = f"{backbone.name}.{tag}", backbone.info.in_channels
    facts = {"name": name, "backbone": backbone.spec, "base_model": backbone.weights_origin, **_facts_of_head(model)}
    if known is None:
        base: BaseModel | None = backbone.weights_origin
        terms = {"license": base.license, "license_link": base.license_link} if base and base.license else {}
        new = WeightsInfo(input=InputSpec(space=backbone.info.input_space, in_channels=channels), **terms, **facts)
        return new, new
    trained = WeightsInfo(
        input=known.input.model_copy(update={"in_channels": channels}),
        token_order=known.token_order,
        license=known.license,
        license_link=known.license_link,
        citations=known.citations,
        **facts,
    )
    return trained, known.model_copy(update={"name": name})


def _facts_of_head(model: Backbone | Model) -> dict[str, Any]:
    if not isinstance(model, Model):
        return {}
    return {"head": model.head.spec, "answer": model.answer and _after_training(model.answer, model.info.in_channels)}


def _after_training(answer: Answer, in_channels: int) -> Answer:
    """*answer* without fields that further training invalidates: metrics, and channels if their number changed."""
    others = {"channels": (), "modalities": ()} if len(answer.channels) != in_channels else {}
    return answer.model_copy(update={"metrics": {}, **others})
