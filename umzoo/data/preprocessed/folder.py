"""Reads folders preprocessed by nnU-Net v2 or nnssl in place, without copies and without writing to them.

Their arrays are float32 ``(C, D, H, W)``, already normalized and resampled. Each channel is one volume here. Its
window is found by the percentile rule on a sample of its blocks, and kept in the user's cache.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import blosc2
import numpy as np
from numpy.typing import NDArray

from umzoo.data.preprocessed.layout import Image, Layout, arrays, read_properties
from umzoo.data.preprocessed.sampling import RULE, digest, read_cache, sample_boxes, summarize, write_cache
from umzoo.data.store.reader import Store, StoreInfo, select_records
from umzoo.data.store.record import Triple, VolumeRecord
from umzoo.data.store.record_columns import Records
from umzoo.errors import DataError, UmzooError, in_one_line
from umzoo.pickles.client import PlainPickles
from umzoo.spec import InputSpec

logger = logging.getLogger(__name__)


class PreprocessedFolder(Store):
    """A configuration's folder, read as a store.

    Axes are transposed to the original order (z, y, x). The orientation is that of the images.

    Args:
        layout: the folder and its plans.
        only: ids of the volumes to use; None is all.
        cache: folder for the statistics of the arrays; by default ``~/.cache/umzoo``.

    Raises:
        DataError: if no array can be used, or one of *only* is missing.
    """

    def __init__(self, layout: Layout, only: Sequence[str] | None = None, cache: Path | None = None) -> None:
        self.path = layout.folder
        self.only = only
        self.layout = layout
        self._to_original = tuple(int(axis) for axis in np.argsort(layout.axes))
        found = self._survey(Path(cache or Path.home() / ".cache" / "umzoo"))
        self.records = select_records(Records.of([record for _, record in found]), only, self.path)
        images = {record.id: image for image, record in found}
        self._images = [images[name] for name in self.records.ids]
        self._remember()
        spacings = {record.spacing for _, record in found}
        spacing = spacings.pop() if len(spacings) == 1 else None
        self.info = StoreInfo(input=InputSpec(orientation="native", spacing=spacing, rules={"*": RULE}))

    def read(self, index: int, start: Triple, stop: Triple) -> NDArray[np.int16]:
        """Return voxels ``start:stop`` (D, H, W) of volume *index*; only the blocks that contain them are read.

        Raises:
            DataError: if the array is missing or corrupted.
        """
        record = self.records[index]
        try:
            region = self._region(self._handle(index), self._images[index].channel, start, stop)
        except (RuntimeError, OSError, ValueError) as error:
            raise DataError(f"volume {record.id} cannot be read: {in_one_line(error)}") from error
        stored = (region - np.float32(record.intercept)) / np.float32(record.slope)
        limits = np.iinfo(np.int16)
        rounded: NDArray[np.int16] = np.rint(stored.clip(limits.min, limits.max)).astype(np.int16)
        return rounded

    def _open(self, index: int) -> Any:
        return _open_array(self._images[index].file)

    def _region(self, array: Any, channel: int, start: Triple, stop: Triple) -> NDArray[np.float32]:
        box = (channel, *(slice(start[axis], stop[axis]) for axis in self.layout.axes))
        region: NDArray[np.float32] = np.asarray(array[box], np.float32).transpose(self._to_original)
        return region

    def _survey(self, cache: Path) -> list[tuple[Image, VolumeRecord]]:
        """Describe every channel of every array; cached arrays are not read."""
        files = sorted(arrays(self.path))
        file = cache / f"{digest(str(self.path.resolve()))}.jsonl"
        known = {record.id: record for record in read_cache(file)}
        logger.info("reading metadata of %d arrays in %s", len(files), self.path)
        pickles = PlainPickles()
        try:
            with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads:
                described = list(threads.map(lambda path: self._describe(path, known, pickles), files))
        finally:
            pickles.close()
        found = [pair for pairs, _ in described for pair in pairs]
        failures = [reason for _, reason in described if reason]
        if failures:
            shown = "; ".join(failures[:3]) + ("; ..." if len(failures) > 3 else "")
            logger.warning("%d of %d arrays cannot be used and are left out: %s", len(failures), len(files), shown)
        if not found:
            raise DataError(f"{self.path}: none of {len(files)} arrays can be used: {failures[0]}")
        if any(record.id not in known for _, record in found):
            write_cache(file, [record for _, record in found])
        return found

    def _describe(
        self, file: Path, known: dict[str, VolumeRecord], pickles: PlainPickles
    ) -> tuple[list[tuple[Image, VolumeRecord]], str]:
        """Images and records of the channels of *file*, or the reason why it cannot be used."""
        try:
            array = _open_array(file)
            images = [self.layout.image(file, channel) for channel in range(array.shape[0])]
            return [(image, self._record(image, array, known, pickles)) for image in images], ""
        except (UmzooError, RuntimeError, OSError, ValueError, TypeError, LookupError, AttributeError) as error:
            return [], f"{file.name}: {in_one_line(error)}"

    def _record(self, image: Image, array: Any, known: dict[str, VolumeRecord], pickles: PlainPickles) -> VolumeRecord:
        name = image.file.relative_to(self.path.parent).as_posix()
        identifier = digest(f"{self.path.parent.name}/{name}/{image.channel}/{image.file.stat().st_size}")
        if identifier in known:
            return known[identifier].model_copy(update={"source": image.source})
        properties = read_properties(image.file, pickles)
        depth, height, width = (int(array.shape[1:][axis]) for axis in self._to_original)
        shape = depth, height, width
        boxes = list(sample_boxes(shape, int(identifier, 16), partial(self._region, array, image.channel)))
        return VolumeRecord(
            id=identifier,
            modality=image.label.modality,
            modality_from=image.label.origin,
            contrast=image.label.contrast,
            source=image.source,
            subject=digest(image.subject),
            shape=shape,
            spacing=self._spacing(properties),
            **summarize(boxes, properties, self._to_original),
        )

    def _spacing(self, properties: dict[str, Any]) -> tuple[float, float, float]:
        """The plans' spacing in original axis order; axes without one get the image's own."""
        own = [float(step) for step in properties.get("spacing", ())]
        planned = list(self.layout.spacing or ())
        if len(planned) < 3 and len(own) != 3:
            raise DataError("the spacing is missing in both the plans and the image's properties")
        stored = [own[axis] for axis in self.layout.axes][: 3 - len(planned)] + planned
        depth, height, width = (stored[axis] for axis in self._to_original)
        return depth, height, width


def _open_array(file: Path) -> Any:
    array = blosc2.open(str(file), mode="r")
    if len(array.shape) != 4 or array.dtype.kind != "f":
        raise ValueError(f"expected a float array (C, D, H, W), got {array.dtype} {tuple(array.shape)}")
    return array
