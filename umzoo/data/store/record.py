"""The record of a volume in the index of a store."""

from __future__ import annotations

from pydantic import Field

from umzoo.config import Config

Triple = tuple[int, int, int]


class VolumeRecord(Config):
    """One volume of a store. Contains no path and nothing that identifies a person."""

    id: str = Field(description="hash of voxels and geometry, and the modality; also the name of the array's file")
    modality: str = Field(description="'ct', 'mr', 'pt', ...; empty if unknown")
    modality_from: str = Field(description="dicom, dataset.json, bids, manifest, option, guess or unknown")
    contrast: str = Field("", description="MR contrast such as 't1w'; empty if unknown")
    source: str = Field(description="data set: a name the user gave, or a number such as 'unnamed-1'")
    subject: str = Field(description="keyed hash of the subject's name; equal for all scans of one person")
    shape: Triple = Field(description="voxels (D, H, W)")
    spacing: tuple[float, float, float] = Field(description="mm (D, H, W)")
    slope: float = Field(description="physical value = slope * stored + intercept")
    intercept: float = Field(description="see slope")
    window: tuple[float, float] = Field(description="physical values that are mapped to 0 and 1")
    mean: float = Field(description="mean over the volume in [0, 1] space")
    std: float = Field(gt=0, description="standard deviation over the volume in [0, 1] space")
    foreground: float = Field(1.0, description="share of voxels in the foreground")
    points: tuple[Triple, ...] = Field((), description="random foreground voxels (D, H, W), for biased sampling")
    sha256: str = Field("", description="checksum of the array's file; empty in stores of earlier versions")

    @property
    def stored_window(self) -> tuple[float, float]:
        """The window in stored int16 units."""
        low, high = self.window
        return (low - self.intercept) / self.slope, (high - self.intercept) / self.slope
