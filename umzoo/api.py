"""What users call from Python: networks by name, weights by reference."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypedDict, TypeVar, overload

import torch
from torch import nn
from typing_extensions import Unpack

from umzoo.backbones.base import Backbone
from umzoo.backbones.state import canonical_state, unwrap
from umzoo.config import Config
from umzoo.errors import WeightsError
from umzoo.heads.answer import Answer
from umzoo.heads.model import Model
from umzoo.hub.client import Access
from umzoo.hub.pulling.references import load
from umzoo.hub.pushing.push import Target, push_folder
from umzoo.plugins import zoo
from umzoo.spec import InputSpec
from umzoo.weights.folder.info import Provenance, Result, WeightsInfo
from umzoo.weights.folder.writer import save_folder
from umzoo.weights.networks.description import describe
from umzoo.weights.networks.model import HeadSpec, head_state, load_network, require_agreement
from umzoo.weights.signing.signer import Signer
from umzoo.weights.transfer import Source, TransferReport, TransferRules
from umzoo.weights.transfer import transfer as transfer_weights

Kind = TypeVar("Kind", bound=Config)


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


class Options(TypedDict, total=False):
    """Options of :func:`from_pretrained` beside the head."""

    in_channels: int | None
    device: torch.device | str
    revision: str | None
    token: str | bool | None
    cache_dir: Path | str | None
    local_files_only: bool
    force_download: bool


@overload
def from_pretrained(ref: Path | str, *, head: Literal[False], **options: Unpack[Options]) -> Backbone: ...


@overload
def from_pretrained(ref: Path | str, *, head: HeadSpec | Literal[True], **options: Unpack[Options]) -> Model: ...


@overload
def from_pretrained(
    ref: Path | str, *, head: HeadSpec | bool | None = None, **options: Unpack[Options]
) -> Backbone | Model: ...


def from_pretrained(
    ref: Path | str,
    *,
    head: HeadSpec | bool | None = None,
    in_channels: int | None = None,
    device: torch.device | str = "cpu",
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: Path | str | None = None,
    local_files_only: bool = False,
    force_download: bool = False,
) -> Backbone | Model:
    """Return a pre-trained backbone in evaluation mode, or with a head a :class:`umzoo.heads.model.Model`.

    What the weights were trained to see is ``model.weights_info.input``; what a trained head says, ``model.answer``.

    Args:
        ref: a weights folder, ``org/name`` on the Hugging Face Hub, or a registered ``architecture.tag``; all forms
            are those of :func:`umzoo.hub.pulling.references.resolve`.
        head: None is the trained head of the weights, where they have one; True requires one; False gives the
            backbone alone; ``{"name": "segmentation", "classes": 3}`` is a fresh head.
        in_channels: channels of the input; if other than trained, the first convolution is repeated and rescaled.
        device: where the network goes.
        revision: commit, tag or branch of a Hub repository.
        token: token for the Hub; None takes ``HF_TOKEN`` or the one of ``hf auth login``, False sends none.
        cache_dir: cache of the Hub; None is the one ``huggingface_hub`` uses.
        local_files_only: ask nothing of the network.
        force_download: download again what is in the cache.

    Raises:
        ConfigError: if *head* names no head, or one that the backbone cannot carry.
        WeightsError: if the weights are incomplete, altered, of an unknown format, or do not fit.
    """
    access = Access(token, cache_dir, local_files_only, force_download)
    return load(ref, lambda folder: load_network(folder, head, in_channels, device), revision, access)


def save_pretrained(
    model: nn.Module,
    folder: Path | str,
    *,
    tag: str = "custom",
    license: str | None = None,
    input: InputSpec | None = None,
    results: Iterable[Mapping[str, Any]] = (),
    answer: Answer | Mapping[str, Any] | None = None,
    provenance: Provenance | Mapping[str, Any] | None = None,
) -> WeightsInfo:
    """Write *model*, a backbone alone or with a head, as a weights folder.

    A network that was loaded keeps the input, license and citations of its weights. Unless its tensors are still the
    same, it names those weights as ``base_model`` in place of their provenance, pretext tasks and results.

    Args:
        model: a backbone or a :class:`umzoo.heads.model.Model`, perhaps wrapped by DDP or ``torch.compile``.
        folder: where to write; an existing weights folder is replaced.
        tag: the weights are called ``architecture.tag``.
        license: SPDX identifier; None keeps that of the loaded weights, or "unknown".
        input: what the network expects; None keeps that of the loaded weights, or the defaults.
        results: evaluations for the model card, with the keys of :class:`umzoo.weights.folder.info.Result`, such as
            ``{"dataset": "MSD Task09 Spleen", "metric": "dice", "value": 0.951}``.
        answer: what the head's numbers mean, with the keys of :class:`umzoo.heads.answer.Answer`, such as
            ``{"task": "classification", "classes": ["benign", "malignant"]}``; None keeps ``model.answer``.
        provenance: data and cost of the training, with the keys of :class:`umzoo.weights.folder.info.Provenance`.

    Raises:
        ConfigError: if *results*, *answer* or *provenance* lack a key or have a wrong value.
        WeightsError: if *model* is no such network, *answer* does not fit it, or *folder* holds something else.
    """
    network = unwrap(model)
    if not isinstance(network, Backbone | Model):
        kind = type(network).__name__
        raise WeightsError(f"a weights folder holds a backbone, alone or with a head, got {kind}: pass one of these")
    evaluations = tuple(Result.parse(result, "results") for result in results)
    given = {
        "license": license,
        "input": input,
        "results": evaluations or None,
        "answer": _parsed(Answer, answer, "answer"),
        "provenance": _parsed(Provenance, provenance, "provenance"),
    }
    changes = {key: value for key, value in given.items() if value is not None}
    info, unchanged = (description.model_copy(update=changes) for description in describe(network, tag))
    if not isinstance(network, Model):
        if answer is not None:
            raise WeightsError("an answer belongs to a head, and this is a backbone alone: pass a Model")
        return save_folder(folder, canonical_state(network), info, unchanged=unchanged)
    if info.answer is not None:
        require_agreement(info.answer, network.head, network.info.in_channels)
    state = canonical_state(network.backbone)
    return save_folder(folder, state, info, unchanged=unchanged, head_state=head_state(network.head))


def push_to_hub(
    source: nn.Module | Path | str,
    repo_id: str,
    *,
    private: bool | None = None,
    license: str | None = None,
    message: str | None = None,
    revision: str | None = None,
    create_pr: bool = False,
    tag: str | None = None,
    token: str | bool | None = None,
    weights_tag: str = "custom",
    input: InputSpec | None = None,
    results: Iterable[Mapping[str, Any]] = (),
    answer: Answer | Mapping[str, Any] | None = None,
    sign: Signer | None = None,
) -> str:
    """Upload a weights folder or a network to the Hub in one commit; return the URL of the commit or pull request.

    What the repository holds already is no new commit. Before anything is uploaded the weights are loaded, and the
    texts are searched for what could identify a patient.

    Args:
        source: a weights folder, or a network as for :func:`save_pretrained`.
        repo_id: ``org/name``; made if it is missing.
        private: whether a new repository is private; None means yes. Must agree with one that exists.
        license: SPDX identifier; None keeps that of the weights, which must state one.
        message: message of the commit.
        revision: branch to commit to, made if it is missing.
        create_pr: propose the change as a pull request.
        tag: Git tag to put on the commit.
        token: a token with write access; None takes ``HF_TOKEN`` or the one of ``hf auth login``.
        weights_tag: a network's weights are called ``architecture.weights_tag``.
        input: what a network expects; None keeps that of the loaded weights, or the defaults.
        results: evaluations of a network, as for :func:`save_pretrained`.
        answer: what the head of a network says, as for :func:`save_pretrained`.
        sign: sign the weights with this; a folder gets the signature too. Without it, the one it has goes along.

    Raises:
        ConfigError: if the key of *sign* cannot be used.
        WeightsError: if the weights state no license or are damaged, a text could identify a patient, or the Hub
            refuses.
    """
    target = Target(repo_id, private, revision, create_pr, tag)
    if not isinstance(source, nn.Module):
        return push_folder(source, target, license=license, message=message, token=token, sign=sign)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "weights"
        about: dict[str, Any] = {"license": license, "input": input, "results": results, "answer": answer}
        save_pretrained(source, folder, tag=weights_tag, **about)
        return push_folder(folder, target, message=message, token=token, sign=sign)


def transfer(
    source: Source,
    target: nn.Module,
    rules: TransferRules | Mapping[str, Any] | None = None,
    *,
    input: InputSpec | None = None,
) -> TransferReport:
    """Copy weights into *target*, in place, as far as they fit or can be adapted; return a report on each tensor.

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


def _parsed(kind: type[Kind], value: Kind | Mapping[str, Any] | None, where: str) -> Kind | None:
    """*value* as a record of *kind*."""
    return kind.parse(value, where) if isinstance(value, Mapping) else value
