"""The upload of a push: the checked files of a weights folder, and their model card on the Hub."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import safe_open

from umzoo.errors import WeightsError, nearest
from umzoo.files import sha256
from umzoo.hub.pulling.checksum import git_oid
from umzoo.hub.pulling.pull import known_files
from umzoo.hub.pushing.privacy import require_anonymous
from umzoo.weights.card.model_card import BEGIN, END, merge_card, model_card
from umzoo.weights.folder.info import WeightsInfo
from umzoo.weights.folder.licenses import HUB_LICENSES, hub_license, require_shareable
from umzoo.weights.folder.reader import CARD, CONFIG, FILES, HEAD, MODEL, SIGNATURE, checked_file, read_card, read_info
from umzoo.weights.folder.strict_json import own_file
from umzoo.weights.networks.model import load_network
from umzoo.weights.signing.signature import Signature, read_signature, require_covered

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoFile

log = logging.getLogger(__name__)

NNSSL_CHECKPOINT, NNSSL_PLAN = "checkpoint_final.pth", "adaptation_plan.json"
"""File names that nnU-Net's commands for nnssl read from a repository."""
NAMES = (*FILES, NNSSL_CHECKPOINT, NNSSL_PLAN)
"""File names that pushes write, and remove if they belong to earlier weights."""


@dataclass(frozen=True)
class Upload:
    """Files for a repository: *tensors* by name with their sha256, and *texts* by name."""

    info: WeightsInfo
    tensors: Mapping[str, tuple[Path, str]]
    texts: Mapping[str, str]

    def content(self) -> dict[str, Path | bytes]:
        """Return the uploaded content by file name."""
        texts: dict[str, Path | bytes] = {name: text.encode() for name, text in self.texts.items()}
        return texts | {name: file for name, (file, _) in self.tensors.items()}

    def is_at(self, found: Collection[RepoFile]) -> bool:
        """Whether *found*, the files of a repository with names of umzoo, are exactly these."""
        by_name = {file.path: file for file in found}
        return by_name.keys() == self.content().keys() and all(self._is(name, by_name[name]) for name in self.content())

    def _is(self, name: str, found: RepoFile) -> bool:
        content = self.content()[name]
        if found.lfs is not None and isinstance(content, Path):
            return bool(found.lfs.sha256 == self.tensors[name][1])
        content = content.read_bytes() if isinstance(content, Path) else content
        return found.size == len(content) and found.blob_id == git_oid(content)


def prepare(
    folder: Path | str,
    repo_id: str,
    license: str | None,
    remote_card: str,
    nnssl: Path | None = None,
    signed: bool = True,
) -> Upload:
    """Return the upload for the weights in *folder*.

    Args:
        folder: a weights folder.
        repo_id: ``org/name``, used in the examples of the card.
        license: SPDX identifier, if other than that of the folder.
        remote_card: the card of the repository, whose manual texts are kept. Empty if it has none.
        nnssl: folder with the weights in nnssl's format, to be uploaded too.
        signed: whether an existing signature of *folder* is uploaded.

    Raises:
        WeightsError: if the weights are damaged, have no license or changed since they were signed, if texts could
            identify a patient, or the card was edited by hand both in *folder* and on the Hub.
    """
    folder = Path(folder)
    info = read_info(folder)
    changed = {} if license in (None, info.license) else {"license": license}
    info = info.model_copy(update=changed)
    if info.license in ("", "unknown"):
        raise WeightsError(f"{info.name} has no license: give one, such as license='cc-by-4.0'")
    require_shareable(info)
    if hub_license(info.license) == "other" and not info.license_link:
        hint = nearest(info.license.lower(), HUB_LICENSES)
        log.warning("license %r is unknown to the Hub%s: it is shown as 'other'", info.license, hint)
    signature = read_signature(folder) if signed else None
    if signature is not None:
        _require_signed_as_it_leaves(folder, signature, bool(changed))
    config = _dump(info) if changed else own_file(folder, CONFIG).read_bytes().decode()
    texts = {CONFIG: config, CARD: _card(folder, repo_id, info, remote_card, signature is not None)}
    tensors = {name: (own_file(folder, name), recorded) for name, recorded in info.files.items()}
    if nnssl is not None:
        texts[NNSSL_PLAN] = (nnssl / NNSSL_PLAN).read_text(encoding="utf-8")
        tensors[NNSSL_CHECKPOINT] = (nnssl / NNSSL_CHECKPOINT, sha256(nnssl / NNSSL_CHECKPOINT))
    require_anonymous({**texts, **{name: _remarks(own_file(folder, name)) for name in info.files}})
    if signature is not None:
        require_anonymous({f"{SIGNATURE}, names in it": "\n".join((signature.name, *signature.files))})
        texts[SIGNATURE] = own_file(folder, SIGNATURE).read_bytes().decode()
    return Upload(info, tensors, texts)


def validate(folder: Path | str) -> None:
    """Refuse a folder that cannot be loaded.

    Raises:
        WeightsError: if files are missing, altered, or do not fit the architecture.
    """
    for name in known_files(Path(folder)).files:
        if name not in (MODEL, HEAD):
            checked_file(folder, name)
    load_network(folder)


def _require_signed_as_it_leaves(folder: Path, signature: Signature, license_changes: bool) -> None:
    try:
        require_covered(folder, signature)
    except WeightsError as error:
        raise WeightsError(f"{error}: sign them again, or remove {SIGNATURE}") from None
    if license_changes:
        raise WeightsError(
            f"another license changes {CONFIG} in {folder}, which is signed: push with --sign KEY to sign it again"
        )


def _dump(info: WeightsInfo) -> str:
    return json.dumps(info.model_dump(mode="json", by_alias=True), indent=2, ensure_ascii=False) + "\n"


def _remarks(file: Path) -> str:
    """The metadata in the header of the safetensors *file*."""
    with safe_open(file, framework="pt") as tensors:
        return "\n".join(f"{key}: {value}" for key, value in (tensors.metadata() or {}).items())


def _card(folder: Path, repo_id: str, info: WeightsInfo, remote: str, signed: bool) -> str:
    """The card for the Hub: a generated part for *repo_id*, and the manual texts of *folder* or the Hub."""
    local = read_card(folder)
    generated = merge_card(local, model_card(info, repo_id, signed))
    ours, theirs = _written_by_hand(local), _written_by_hand(remote)
    if not remote or ours == theirs:
        return merge_card(remote, generated) if remote else generated
    if set(ours) <= set(theirs):
        return merge_card(remote, generated)
    if not set(theirs) <= set(ours):
        raise WeightsError(
            f"the model card was edited both in {folder / CARD} and on the Hub, where it says {theirs[0][:60]!r}:"
            " copy the Hub's text into the folder's card, or edit it on the Hub only"
        )
    front, _ = _split_front(remote)
    _, body = _split_front(generated)
    return merge_card(front + body, generated)


def _written_by_hand(card: str) -> list[str]:
    """Lines of *card* outside the front matter and the generated part."""
    _, body = _split_front(card)
    before, _, rest = body.partition(BEGIN)
    lines = (before + rest.partition(END)[2]).splitlines()
    return [line.strip() for line in lines if line.strip()]


def _split_front(card: str) -> tuple[str, str]:
    """Front matter of *card*, with its fences, and the text after it."""
    card = card.removeprefix("\ufeff").replace("\r\n", "\n")
    end = card.find("\n---\n", 3) + 5 if card.startswith("---\n") else 0
    return (card[:end], card[end:]) if end > 4 else ("", card)
