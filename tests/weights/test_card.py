"""The model card says what config.json says."""

import yaml

from umzoo.spec import InputSpec
from umzoo.weights.card import model_card
from umzoo.weights.info import Provenance, WeightsInfo


def card(**changes):
    fields = {
        "name": "genesis_unet.test",
        "backbone": {"name": "genesis_unet", "width": 8},
        "input": InputSpec(space="unit", spacing=(1, 1, 1), patch_size=(64, 64, 32)),
        "pretext": {"tasks": [{"name": "restoration"}, {"name": "scale_classification"}]},
        "provenance": Provenance(volumes=5, steps=600, datasets={"a": 5}, modalities={"ct": 3, "mr": 2}),
        "citations": ("Someone, 2020",),
        "licence": "CC-BY-4.0",
    }
    return model_card(WeightsInfo(**fields | changes))


def front_matter(text):
    return yaml.safe_load(text.split("---")[1])


def test_front_matter():
    matter = front_matter(card())
    assert matter["library_name"] == "umzoo"
    assert matter["license"] == "cc-by-4.0"
    assert {"ct", "mr", "genesis_unet", "self-supervised-learning"} <= set(matter["tags"])


def test_a_licence_the_hub_does_not_know():
    matter = front_matter(card(licence="LicenseRef-lab"))
    assert (matter["license"], matter["license_name"]) == ("other", "licenseref-lab")
    assert "Not stated" in card(licence="unknown")


def test_body():
    text = card()
    for part in (
        "umzoo.from_pretrained(", "torch.hub.load(", "1 x 1 x 1 mm", "64 x 64 x 32", "-1000 to 1000",
        "restoration, scale_classification", "a (5)", "| steps | 600 |", "Someone, 2020", "| width | 8 |",
    ):  # fmt: skip
        assert part in text
