"""The base model of weights: the weights that training starts from."""

from __future__ import annotations

from pathlib import Path

from umzoo.weights.folder.info import BaseModel, WeightsInfo
from umzoo.weights.folder.licenses import asks_more
from umzoo.weights.folder.reader import MODEL


def origin(folder: Path | str, info: WeightsInfo) -> BaseModel:
    """Return the ``base_model`` entry for weights that are trained from those in *folder*.

    A folder in the Hub cache (``models--org--name/snapshots/COMMIT``) is identified by its repository and commit. The
    path of another folder is private, so only the checksum of the tensors identifies it.
    """
    place = Path(folder).resolve()
    known = BaseModel(
        name=info.name, sha256=info.files.get(MODEL, ""), license=info.license, license_link=info.license_link
    )
    if place.parent.name != "snapshots" or not place.parents[1].name.startswith("models--"):
        return known
    repository = place.parents[1].name.removeprefix("models--").replace("--", "/", 1)
    return known.model_copy(update={"repository": repository, "revision": place.name})


def binding(first: BaseModel | None, second: BaseModel) -> BaseModel:
    """Return which of two base models of a network is recorded: the one with the stricter license, or the *second*."""
    if first is None:
        return second
    more = asks_more(first.license, first.license_link, second.license, second.license_link)
    return first if more else second
