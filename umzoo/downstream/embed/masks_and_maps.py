"""Reading of masks and writing of dense feature maps for ``umzoo embed``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from umzoo.backbones.base import Backbone
from umzoo.data.reading.formats import stem_of
from umzoo.downstream.embed.dense import dense_features
from umzoo.errors import DataError
from umzoo.heads.model import Model
from umzoo.scans.labels import load_labels
from umzoo.scans.listing import Listed, Listing, Progress, for_each_scan
from umzoo.scans.scan import Scan


def mask_reader(pattern: str) -> Callable[[Listed, Scan], Tensor]:
    """Return a function that loads a scan's mask from *pattern*; ``{name}`` is the scan's file name without suffix."""

    def read(listed: Listed, scan: Scan) -> Tensor:
        stem = stem_of(listed.file) if listed.file else scan.name
        return load_labels(Path(pattern.replace("{name}", stem)), scan)

    return read


def write_dense(
    model: Backbone | Model, listing: Listing, out: Path, progress: Progress
) -> tuple[tuple[str, str], ...]:
    """Write the feature map of each scan into *out*, on the scan's original grid; return skipped scans with reasons.

    Existing maps are not computed again.

    Raises:
        DataError: if no map could be written.
    """

    def file_of(listed: Listed) -> Path:
        return out / f"{stem_of(listed.name.replace('/', '_'))}_features.nii.gz"

    def write(listed: Listed, scan: Scan) -> None:
        scan.to_original(dense_features(model, scan)).save(file_of(listed))

    skipped = for_each_scan(listing, write, progress, lambda listed: file_of(listed).is_file())
    if len(skipped) == listing.found:
        raise DataError(f"no map could be written: {skipped[0][0]}: {skipped[0][1]}")
    return skipped
