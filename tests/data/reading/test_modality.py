from __future__ import annotations

import numpy as np
import pytest

from umzoo.data.reading.modality import (
    Label,
    guess,
    label_from_name,
    label_from_options,
    parse_options,
    plain_contrast,
    strongest,
)
from umzoo.errors import ConfigError


@pytest.mark.parametrize(
    ("name", "modality", "contrast"),
    [
        ("CT", "ct", ""),
        ("MRI", "mr", ""),
        ("T1w", "mr", "t1w"),
        ("FLAIR", "mr", "flair"),
        ("t1 gd", "mr", "t1"),
        ("ADC", "mr", "adc"),
        ("PET", "pt", ""),
    ],
)
def test_names_of_channels(name, modality, contrast):
    assert label_from_name(name, "dataset.json") == Label(modality, contrast, "dataset.json")


@pytest.mark.parametrize("name", ["noNorm", "zscore", "", "image"])
def test_names_that_tell_nothing(name):
    assert label_from_name(name, "dataset.json") is None


def test_free_text_never_becomes_a_contrast():
    assert plain_contrast("T1 of Jane Doe") == ""
    assert plain_contrast("T2*w") == "t2*w"


def test_options_match_paths():
    options = parse_options(["ct=**/ct/**", "MRI=*.mha"])
    assert options == [("ct", "**/ct/**"), ("mr", "*.mha")]
    assert label_from_options("/data/ct/deep/a.nii", "ct/deep/a.nii", options) == Label("ct", "", "option")
    assert label_from_options("/data/x/a.mha", "x/a.mha", options).modality == "mr"
    assert label_from_options("/data/x/a.nii", "x/a.nii", options) is None


@pytest.mark.parametrize("option", ["ct", "=x", "ct=", "c t=*", "1=*"])
def test_malformed_options(option):
    with pytest.raises(ConfigError, match="--modality expects"):
        parse_options([option])


def test_precedence():
    tag, option, layout = Label("mr", "", "dicom"), Label("ct", "", "option"), Label("mr", "t1w", "bids")
    assert strongest(layout, tag, option) == option
    assert strongest(None, layout, tag) == Label("mr", "t1w", "dicom")
    assert strongest(None, None) is None


def test_guess_takes_only_hounsfield_units_of_a_patient_in_air(make_scan):
    assert guess(make_scan(ct=True).ravel().astype(np.float32)) == Label("ct", "", "guess")
    assert guess(make_scan().ravel().astype(np.float32)).modality == ""
    assert guess(make_scan(ct=True).ravel() / 1000.0).modality == ""
