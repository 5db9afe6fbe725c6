"""The Python API: networks by name, weights by reference."""

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
    """Options of :func:`from_pretrained` other than the head."""

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
    """Return a pre-trained backbone, or with a head a :class:`umzoo.heads.model.Model`, in evaluation mode.

    ``model.weights_info.input`` describes the expected input, ``model.answer`` the output of a trained head.

    Args:
        ref: a weights folder, ``org/name`` on the Hugging Face Hub, or a registered ``architecture.tag``; all forms
            are those of :func:`umzoo.hub.pulling.references.resolve`.
        head: None uses the trained head of the weights, if there is one; True requires one; False gives the
            backbone alone; ``{"name": "segmentation", "classes": 3}`` is a fresh head.
        in_channels: channels of the input; if they differ from the weights', the first convolution is repeated and
            rescaled.
        device: device of the network.
        revision: commit, tag or branch of a Hub repository.
        token: token for the Hub; None uses ``HF_TOKEN`` or the token of ``hf auth login``, False sends none.
        cache_dir: cache of the Hub; None is the default of ``huggingface_hub``.
        local_files_only: use cached files only, without a request.
        force_download: download cached files again.

    Raises:
        ConfigError: if *head* is not a registered head, or does not fit the backbone.
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

    A loaded network keeps the input, license and citations of its weights. If its tensors have changed, the folder
    names those weights as ``base_model`` and does not keep their provenance, pretext tasks and results.

    Args:
        model: a backbone or a :class:`umzoo.heads.model.Model`, possibly wrapped by DDP or ``torch.compile``.
        folder: folder to write; an existing weights folder is replaced.
        tag: the weights are called ``architecture.tag``.
        license: SPDX identifier; None keeps that of the loaded weights, or "unknown".
        input: the network's expected input; None keeps that of the loaded weights, or the defaults.
        results: evaluations for the model card, with the keys of :class:`umzoo.weights.folder.info.Result`, such as
            ``{"dataset": "MSD Task09 Spleen", "metric": "dice", "value": 0.951}``.
        answer: description of the head's output, with the keys of :class:`umzoo.heads.answer.Answer`, such as
            ``{"task": "classification", "classes": ["benign", "malignant"]}``; None keeps ``model.answer``.
        provenance: data and cost of the training, with the keys of :class:`umzoo.weights.folder.info.Provenance`.

    Raises:
        ConfigError: if *results*, *answer* or *provenance* lack a key or have a wrong value.
        WeightsError: if *model* is not such a network, *answer* does not fit it, or *folder* holds other files.
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
            raise WeightsError("an answer describes the output of a head, got a backbone without one: pass a Model")
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

    Without changes no commit is made. Before the upload, the weights are loaded, and the texts are searched for
    anything that could identify a patient.

    Args:
        source: a weights folder, or a network as for :func:`save_pretrained`.
        repo_id: ``org/name``; created if it is missing.
        private: whether a new repository is private; None means yes. Must agree with an existing repository.
        license: SPDX identifier; None keeps that of the weights, which must have one.
        message: commit message.
        revision: branch to commit to, created if it is missing.
        create_pr: propose the change as a pull request.
        tag: Git tag to put on the commit.
        token: a token with write access; None uses ``HF_TOKEN`` or the token of ``hf auth login``.
        weights_tag: a network's weights are called ``architecture.weights_tag``.
        input: the network's expected input; None keeps that of the loaded weights, or the defaults.
        results: evaluations of a network, as for :func:`save_pretrained`.
        answer: description of the head's output, as for :func:`save_pretrained`.
        sign: sign the weights with this; the signature is also written to a folder. Without it, an existing signature
            is uploaded.

    Raises:
        ConfigError: if the key of *sign* cannot be used.
        WeightsError: if the weights have no license or are damaged, a text could identify a patient, or the Hub
            refuses the upload.
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
    """Copy weights into *target* in place, as far as they fit or can be adapted; return a report on each tensor.

    Args:
        source: a reference as for :func:`from_pretrained`, a network, or a state dict.
        target: a network of the same family, possibly wrapped by DDP or ``torch.compile``.
        rules: allowed adaptations; see :class:`umzoo.weights.transfer.TransferRules`.
        input: the expected input of *target*, which is compared with that of the weights.

    Raises:
        ConfigError: if a rule is unknown or wrong.
        WeightsError: if the weights are altered, of another family, or fill too little; *target* is then unchanged.
    """
    if isinstance(source, (str, Path)):
        return load(source, lambda folder: transfer_weights(folder, target, rules, input))
    return transfer_weights(source, target, rules, input)


def _parsed(kind: type[Kind], value: Kind | Mapping[str, Any] | None, where: str) -> Kind | None:
    """*value* as a record of *kind*."""
    return kind.parse(value, where) if isinstance(value, Mapping) else value
