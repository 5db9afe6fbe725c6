"""What users call from Python: networks by name, weights by reference."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from umzoo.backbones.base import Backbone
from umzoo.backbones.state import canonical_state, unwrap
from umzoo.errors import WeightsError
from umzoo.heads.model import Model
from umzoo.hub.access import Access
from umzoo.hub.push import Target, push_folder
from umzoo.hub.refs import load
from umzoo.plugins import zoo
from umzoo.spec import ComponentSpec, InputSpec
from umzoo.weights.build import load_backbone
from umzoo.weights.info import Result, WeightsInfo
from umzoo.weights.io import save_folder
from umzoo.weights.transfer import Source, TransferReport, TransferRules
from umzoo.weights.transfer import transfer as transfer_weights

HeadSpec = ComponentSpec | Mapping[str, Any] | str


def list_models(pattern: str = "*", pretrained: bool = False) -> list[str]:
    """Return the names of backbones that match a shell *pattern* such as ``"*unet*"``, sorted.

    With *pretrained*, the names ``architecture.tag`` of registered weights instead.
    """
    return (zoo().weights if pretrained else zoo().backbones).list(pattern)


def create_model(name: str, **options: Any) -> Backbone:
    """Return the backbone *name* with random weights, such as ``create_model("resenc_unet_l", in_channels=2)``.

    Raises:
        UnknownNameError: if there is no such backbone, with the nearest names.
        ConfigError: if an option is unknown or has a wrong value.
    """
    backbone: Backbone = zoo().backbones.build({"name": name, **options})
    return backbone


def from_pretrained(
    ref: Path | str,
    *,
    head: HeadSpec | None = None,
    in_channels: int | None = None,
    device: torch.device | str = "cpu",
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: Path | str | None = None,
    local_files_only: bool = False,
    force_download: bool = False,
) -> Any:
    """Return a pre-trained backbone in evaluation mode, or with *head* a :class:`umzoo.heads.model.Model`.

    What the weights were trained to see is ``model.weights_info.input``.

    Args:
        ref: a weights folder, ``org/name`` on the Hugging Face Hub, or a registered ``architecture.tag``; all forms
            are those of :func:`umzoo.hub.refs.resolve`.
        head: a fresh head for the backbone, such as ``{"name": "segmentation", "classes": 3}``.
        in_channels: channels of the input; if other than trained, the first convolution is repeated and rescaled.
        device: where the network goes.
        revision: commit, tag or branch of a Hub repository.
        token: token for the Hub; None takes ``HF_TOKEN`` or the one of ``hf auth login``, False sends none.
        cache_dir: cache of the Hub; None is the one ``huggingface_hub`` uses.
        local_files_only: ask nothing of the network.
        force_download: download again what is in the cache.

    Raises:
        WeightsError: if the weights are incomplete, altered, of an unknown format, or do not fit.
    """
    access = Access(token, cache_dir, local_files_only, force_download)
    backbone = load(ref, lambda folder: load_backbone(folder, in_channels, device), revision, access)
    if head is None:
        return backbone
    return Model(backbone, zoo().heads.build(head, "head", info=backbone.info)).to(device).eval()


def save_pretrained(
    model: nn.Module,
    folder: Path | str,
    *,
    tag: str = "custom",
    licence: str | None = None,
    input: InputSpec | None = None,
    results: Iterable[Mapping[str, Any]] = (),
) -> WeightsInfo:
    """Write the backbone *model* as a weights folder.

    A network that was loaded keeps the input, licence and citations of its weights. Unless its tensors are still the
    same, it names those weights as ``base_model`` in place of their provenance, pretext tasks and results.

    Args:
        model: a backbone, perhaps wrapped by DDP or ``torch.compile``.
        folder: where to write; an existing weights folder is replaced.
        tag: the weights are called ``architecture.tag``.
        licence: SPDX identifier; None keeps that of the loaded weights, or "unknown".
        input: what the network expects; None keeps that of the loaded weights, or the defaults.
        results: evaluations for the model card, with the keys of :class:`umzoo.weights.info.Result`, such as
            ``{"dataset": "MSD Task09 Spleen", "metric": "dice", "value": 0.951}``.

    Raises:
        ConfigError: if an entry of *results* lacks a key or has a wrong value.
        WeightsError: if *model* is not a backbone, or *folder* holds something else.
    """
    backbone = unwrap(model)
    if not isinstance(backbone, Backbone):
        remedy = (
            "save model.backbone, and the head with torch.save" if isinstance(backbone, Model) else "pass a Backbone"
        )
        raise WeightsError(f"a weights folder holds a backbone, got {type(backbone).__name__}: {remedy}")
    evaluations = tuple(Result.parse(result, "results") for result in results)
    given = {"licence": licence, "input": input, "results": evaluations or None}
    changes = {key: value for key, value in given.items() if value is not None}
    info, unchanged = (description.model_copy(update=changes) for description in _describe(backbone, tag))
    return save_folder(folder, canonical_state(backbone), info, unchanged=unchanged)


def push_to_hub(
    source: nn.Module | Path | str,
    repo_id: str,
    *,
    private: bool | None = None,
    licence: str | None = None,
    message: str | None = None,
    revision: str | None = None,
    create_pr: bool = False,
    tag: str | None = None,
    token: str | bool | None = None,
    weights_tag: str = "custom",
    input: InputSpec | None = None,
    results: Iterable[Mapping[str, Any]] = (),
) -> str:
    """Upload a weights folder or a backbone to the Hub in one commit; return the URL of the commit or pull request.

    What the repository holds already is no new commit. Before anything is uploaded the weights are loaded, and the
    texts are searched for what could identify a patient.

    Args:
        source: a weights folder, or a backbone.
        repo_id: ``org/name``; made if it is missing.
        private: whether a new repository is private; None means yes. Must agree with one that exists.
        licence: SPDX identifier; None keeps that of the weights, which must state one.
        message: message of the commit.
        revision: branch to commit to, made if it is missing.
        create_pr: propose the change as a pull request.
        tag: Git tag to put on the commit.
        token: a token with write access; None takes ``HF_TOKEN`` or the one of ``hf auth login``.
        weights_tag: a backbone's weights are called ``architecture.weights_tag``.
        input: what a backbone expects; None keeps that of the loaded weights, or the defaults.
        results: evaluations of a backbone, as for :func:`save_pretrained`.

    Raises:
        WeightsError: if the weights state no licence or are damaged, a text could identify a patient, or the Hub
            refuses.
    """
    target = Target(repo_id, private, revision, create_pr, tag)
    if not isinstance(source, nn.Module):
        return push_folder(source, target, licence=licence, message=message, token=token)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "weights"
        save_pretrained(source, folder, tag=weights_tag, licence=licence, input=input, results=results)
        return push_folder(folder, target, message=message, token=token)


def transfer(
    source: Source,
    target: nn.Module,
    rules: TransferRules | Mapping[str, Any] | None = None,
    *,
    input: InputSpec | None = None,
) -> TransferReport:
    """Copy weights into *target*, in place, as far as they fit or can be made to fit; return what became of each.

    Args:
        source: a reference as for :func:`from_pretrained`, a network, or a state dict.
        target: a network of the same family, perhaps wrapped by DDP or ``torch.compile``.
        rules: what may be changed; see :class:`umzoo.weights.transfer.TransferRules`.
        input: what *target* will be fed, to be compared with what the weights were trained on.

    Raises:
        ConfigError: if a rule is unknown or wrong.
        WeightsError: if the weights are altered, of another family, or set too little; *target* is unchanged then.
    """
    if isinstance(source, (str, Path)):
        return load(source, lambda folder: transfer_weights(folder, target, rules, input))
    return transfer_weights(source, target, rules, input)


Backbone.push_to_hub = push_to_hub
"""Backbones lie below the Hub in the order of imports, so they get their method from here."""


def _describe(backbone: Backbone, tag: str) -> tuple[WeightsInfo, WeightsInfo]:
    """What is known of *backbone*: if it was trained on since it was loaded, and if it was not."""
    known: WeightsInfo | None = backbone.weights_info
    name, channels = f"{backbone.name}.{tag}", backbone.info.in_channels
    if known is None:
        space = InputSpec(space=backbone.info.input_space, in_channels=channels)
        new = WeightsInfo(name=name, backbone=backbone.spec, input=space, base_model=backbone.weights_origin)
        return new, new
    spec = known.input.model_copy(update={"in_channels": channels})
    trained = WeightsInfo(
        name=name,
        backbone=backbone.spec,
        input=spec,
        token_order=known.token_order,
        base_model=backbone.weights_origin,
        licence=known.licence,
        licence_link=known.licence_link,
        citations=known.citations,
    )
    return trained, known.model_copy(update={"name": name})
