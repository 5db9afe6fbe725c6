"""``bundle.json``: content of a bundle of weights, and the distributions that it requires."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from pydantic import Field

from umzoo.config import Config

MANIFEST = "bundle.json"
FORMAT = 1
"""Format number of this version; a greater one is refused."""


class Member(Config):
    """One file of a bundle."""

    size: int = Field(ge=0, description="bytes")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="checksum")


class Manifest(Config):
    """``bundle.json``: content of a bundle, and the distributions that it requires."""

    format: int = Field(FORMAT, description="format number")
    name: str = Field(description="architecture.tag")
    reference: str = Field("", description="org/name@commit on the Hub, if the weights came from there")
    license: str = Field(description="SPDX identifier")
    requires: dict[str, str] = Field(description="required distributions, with the versions at the time of packing")
    files: dict[str, Member] = Field(description="the files")


def missing_plugins(manifest: Manifest) -> dict[str, str]:
    """Return the distributions that *manifest* requires and that are not installed here, with their versions."""
    return {
        name: wanted for name, wanted in manifest.requires.items() if name != "umzoo" and not installed_version(name)
    }


def installed_version(distribution: str) -> str:
    """Installed version of *distribution*; empty if it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""
