"""Base class of importers, which convert another project's checkpoint to a weights folder."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from umzoo.registry import Component


class Importer(Component):
    """Reads another project's checkpoint. Pickled files are read by :mod:`umzoo.weights.importers.pickled`."""

    kind: ClassVar[str] = "importer"

    def __init__(self, config: Any = None) -> None:
        self.config: Any = self.Config() if config is None else config

    @abstractmethod
    def run(self, source: Path, out: Path, license: str = "unknown") -> None:
        """Read *source* and write a weights folder to *out*.

        Raises:
            WeightsError: if a tensor is missing, extra or has another shape than expected.
        """
