"""Checks of registered weights."""

from __future__ import annotations

import re

from umzoo.errors import WeightsError
from umzoo.plugins import zoo
from umzoo.testing.promises import Checks, ConformanceError, promise
from umzoo.weights.catalog.entry import WeightsEntry
from umzoo.weights.folder.licenses import require_license


def check_weights(entry: WeightsEntry | str) -> None:
    """Check that the name is ``architecture.tag``, and the license an SPDX identifier, or ``other`` with a link.

    Raises:
        ConformanceError: on the first broken promise.
    """
    WeightsChecks(entry).run()


class WeightsChecks(Checks):
    """Promises of registered weights; nothing is downloaded."""

    def __init__(self, entry: WeightsEntry | str) -> None:
        self.entry: WeightsEntry = zoo().weights[entry] if isinstance(entry, str) else entry
        super().__init__(self.entry.name)

    @promise("name is architecture.tag")
    def _named(self) -> None:
        fits = re.fullmatch(r"[a-z][a-z0-9_]*\.[a-z0-9_.-]+", self.name)
        self.require(fits, f"name must be architecture.tag, got {self.name!r}")

    @promise("license stated")
    def _license(self) -> None:
        license = self.entry.license
        self.require(license.strip() not in ("", "unknown"), f"a license must be stated, got {license!r}")
        linked = license != "other" or self.entry.license_link
        self.require(linked, "license 'other' needs a license_link to its text")
        try:
            require_license(license, self.entry.license_link)
        except WeightsError as error:
            raise ConformanceError(f"{self.name}: {error}") from None
