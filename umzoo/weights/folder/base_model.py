"""Where weights come from that others are made of."""

from __future__ import annotations

from pathlib import Path

from umzoo.weights.folder.info import BaseModel, WeightsInfo
from umzoo.weights.folder.licenses import asks_more
from umzoo.weights.folder.reader import MODEL


def origin(folder: Path | str, info: WeightsInfo) -> BaseModel:
    """Return how weights that are trained on from those in *folder* shall name them.

    A folder in the Hub's cache (``models--org--name/snapshots/COMMIT``) tells its repository; the path of another one
    is nobody else's business, so the sum of the tensors stands for it.
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
    """Return which of two origins of one network is named: that whose license asks more, or else the *second*."""
    if first is None:
        return second
    more = asks_more(first.license, first.license_link, second.license, second.license_link)
    return first if more else second
