"""What looks like a patient is found, and what does not passes."""

import json

import pytest

from umzoo.errors import WeightsError
from umzoo.hub.pushing.privacy import inspect, require_anonymous
from umzoo.weights.card.model_card import model_card
from umzoo.weights.folder.reader import read_info


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
    assert what in found(json.dumps({"citations": [text]}), "config.json")


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
    assert not found(json.dumps({"citations": [text]}), "config.json")


REALISTIC = [
    "sub-0043_ses-01 was left out as it moved",
    "The example shows Annegret Kowalczyk, before surgery",
    "questions about single scans: j.okafor@radiologie-nord.example.org",
    "read from D:/pacs/2021/thorax",
    "Fall-Nr. 2023/0815 has metal",
    "Versichertennummer A123456780",
    "exported by svc_pacs@ct-node07",
    "Weber, Karl-Heinz moved during the scan",
    "born on 3 February 1961, seen in our clinic",
    "one outlier (Yılmaz_Ayşe) was removed",
    "NHS number 943 476 5919",
    "call +49 201 723 4455 for the key",
    "Mueller_Joerg_19610203 (1) is in the validation set",
    "trained on gpu3.radiology.uk-west.internal",
    "patient J. M. had an implant",
    "social security number 078-05-1120",
    "MRN 00482913 failed to load",
    "untersucht am 12.03.2019",
    "Frau Schneider's second scan",
    "/mnt/pacs-export",
]
HARMLESS = [
    "Universal Model: trained on Ada Lovelace and Grace Hopper GPUs for 120 h",
    "Zongwei Zhou, Vatsal Sodha, Jiaxuan Pang, Michael Gotway and Jianming Liang. Models Genesis. MedIA 67 (2021)",
    "The window of Models Genesis, -1000 to 1000 HU; cosine schedule, lr 1e-4, weight decay 3e-5",
    "102354688 parameters, 409418752 bytes, 25600000 patches in 1000000 steps",
    "Trained on LIDC-IDRI (1010 CT), OpenNeuro ds000030 and OASIS-3; released 2025-11-26",
    "Chest_CT (120), Brain_MR (88), unnamed-1 (40)",
    "pip install umzoo==0.1.0, torch 2.8.0+cu126, Python 3.11.7",
    "Kaplan-Meier curves, Cox regression, C-index 0.71 (95 % CI 0.66 to 0.76)",
    "Left Atrium, Right Ventricle, Myocardium; Hounsfield Units; Left Posterior Superior",
    "from umzoo import create_model; model = create_model('resenc_unet_l', in_channels=4)",
    "Adam with betas 0.9 and 0.999; Max Pooling; Random Erasing; Mark the best step",
    "10.5281/zenodo.1234567, arXiv:2304.12620v3, doi:10.1016/j.media.2020.101840",
    "Patients with metal implants are rare in the training data; case mix differs between sites",
    "commit 6feeeba1d2c4, sha256 016beb4fd2aa8e3c7f0b9f4b1e5a6c77d8e9f00112233445566778899aabbccd",
    "1 x 1 x 1 mm, 128 x 128 x 128 voxels, 3/4 of the crops, batch 2, seed 20240131",
    "Developed by the Institute of Radiology; contact Maria Lopez through the discussions of this repository",
    "Dice 0.913 on fold 0 of Task09_Spleen; 41 cases, of which 9 held out",
    "Data from 2012 to 2019, scanners of Siemens, GE and Philips at 1.5 T and 3 T",
    "umzoo push WEIGHTS org/name@v1.2 and umzoo.from_pretrained('org/name@main')",
    "Licensed under CC-BY-4.0; see https://creativecommons.org/licenses/by/4.0/ and LICENSE",
]


def test_realistic_identifiers_are_found():
    missed = [text for text in REALISTIC if not found(text)]
    assert not missed


def test_there_is_no_false_alarm():
    alarms = {text: found(text) for text in HARMLESS if found(text)}
    assert not alarms


@pytest.mark.parametrize("name", ["Meier_Anna", "mueller", "SchmidtCT", "anna-lena_2", "Ward3 Kowalski"])
def test_data_sets_are_not_called_like_people(name):
    assert "a person's name" in found(json.dumps({"provenance": {"datasets": {name: 1}}}), "config.json")


@pytest.mark.parametrize(
    "name", ["unnamed-3", "OpenMind", "Chest CT", "LIDC-IDRI", "Task09_Spleen", "AnonRes/OpenMind"]
)
def test_data_sets_are_called_like_data_sets(name):
    assert not found(json.dumps({"provenance": {"datasets": {name: 1}}}), "config.json")


def test_only_fields_on_the_list_leave(folder):
    config = json.loads((folder / "config.json").read_text())
    assert not found(json.dumps(config), "config.json")
    for changed in (
        config | {"remark": "x"},
        config | {"provenance": config["provenance"] | {"host": "x"}},
        config | {"results": [{"dataset": "d", "metric": "dice", "value": 1, "who": "x"}]},
        config | {"input": config["input"] | {"example": "x"}},
    ):
        assert "a field that is not on the list of allowed fields," in found(json.dumps(changed), "config.json")
    for changed in (
        config | {"backbone": config["backbone"] | {"note": "the scans of room 3"}},
        config | {"pretext": {"tasks": [{"name": "scans of our ward"}]}},
        config | {"parts": ["the scans of room 3"]},
    ):
        assert "free text in a field for one word," in found(json.dumps(changed), "config.json")
    card = "---\nlicense: mit\nextra_gated_prompt: agree\nward: 3\n---\ntext"
    assert [finding.text for finding in inspect("README.md", card)] == ["ward"]


def test_what_importers_keep_of_an_original_leaves_unless_it_could_identify(folder):
    config = json.loads((folder / "config.json").read_text()) | {"license": "MIT OR Apache-2.0"}
    original = {"url": "https://example.org/a.zip", "normalization": "mean and deviation of the voxels above 0"}
    assert not found(json.dumps(config | {"medicalnet": original}), "config.json")
    assert found(json.dumps(config | {"medicalnet": original | {"note": "sub-0043_ses-01"}}), "config.json")


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
