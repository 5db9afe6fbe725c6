"""What looks like a patient is found, and what does not passes."""

import json

import pytest

from umzoo.errors import WeightsError
from umzoo.hub.privacy import inspect, require_anonymous
from umzoo.weights.card import model_card
from umzoo.weights.io import read_info


def found(text, name="README.md"):
    return {finding.what for finding in inspect(name, text)}


@pytest.mark.parametrize(
    "text, what",
    [
        ("trained on /home/jdoe/scans/ct", "a local path"),
        ("see C:\\Users\\doe\\x", "a local path"),
        ("from \\\\pacs\\export", "a local path"),
        ("from ~/scans", "a local path"),
        ("file:///mnt/nas/x", "a local path"),
        ("| stored in | /mnt/pacs/export |", "a local path"),
        ("series 1.3.6.1.4.1.14519.5.2.1.6279.6001.298806137288633453246975630178", "a DICOM UID"),
        ("PatientName: x", "a DICOM attribute"),
        ("Patient's Birth Date = 1970", "a DICOM attribute"),
        ('"AccessionNumber": 3', "a DICOM attribute"),
        ("(0010,0020)", "a DICOM attribute"),
        ("the scan of DOE^JOHN", "a person's name"),
        ("Müller or Muster^Max", "a person's name"),
        ("sub-01 and ses-002", "a subject"),
        ("sub-NDAR123", "a subject"),
        ("patient_0012", "a subject"),
        ("Case 00123", "a subject"),
        ("liver_12.nii.gz", "the file of a scan"),
        ("IM0001.dcm", "the file of a scan"),
        ("MRN: 1234567", "a record number or date"),
    ],
)
def test_identifiers_are_found(text, what):
    assert what in found(text)
    assert what in found(json.dumps({"note": [text]}), "config.json")


@pytest.mark.parametrize(
    "text",
    [
        "sub-volumes of 128^3 voxels, sub-1mm resolution, 1 x 1 x 1 mm and/or native",
        "https://huggingface.co/org/name/blob/main/README.md and [card](docs/weights.md)",
        "SOP class 1.2.840.10008.5.1.4.1.1.2, umzoo 0.1.0, torch 2.8.0+cu126, CUDA 12.6.85.1",
        "trained without labels on 5 volumes of 3 patients; case by case; R^2 of 0.9; CT/MR",
        "arXiv:2010.06107v1, ds000030, image.nii.gz, -1000 to 1000 HU become 0 to 1",
        "umzoo.from_pretrained('org/name@main') </details> 3/4 of the data",
        "No names, patient identifiers or paths are in these files.",
    ],
)
def test_ordinary_text_passes(text):
    assert not found(text)
    assert not found(json.dumps({"note": [text]}), "config.json")


def test_keys_and_data_sets(tmp_path):
    assert found(json.dumps({"provenance": {"subjects": ["a"]}}), "config.json")
    assert found(json.dumps({"provenance": {"datasets": {"export_19700101": 1}}}), "config.json")
    assert not found(json.dumps({"provenance": {"datasets": {"ds000030": 1, "OpenMind": 1}}}), "config.json")


def test_the_message_says_what_and_where():
    with pytest.raises(WeightsError, match=r"README.md line 2: a subject 'sub-07'; .*, and 2 more; remove it"):
        require_anonymous({"README.md": "fine\nsub-07\n" + "sub-08 " * 6})


def test_what_umzoo_writes_passes(folder):
    card = model_card(read_info(folder), "org/name")
    require_anonymous({"config.json": (folder / "config.json").read_text(), "README.md": card})
