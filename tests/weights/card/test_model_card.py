"""The model card says what config.json says, in what the Hub's own parser reads, and leaves what people wrote."""

import re

import pytest
from huggingface_hub import ModelCard

from umzoo.errors import WeightsError
from umzoo.spec import InputSpec
from umzoo.weights.card.model_card import BEGIN, END, merge_card, model_card
from umzoo.weights.folder.info import Provenance, WeightsInfo
from umzoo.weights.folder.licenses import HUB_LICENSES, hub_license


def describe(**changes):
    fields = {
        "name": "genesis_unet.test",
        "backbone": {"name": "genesis_unet", "width": 8},
        "input": InputSpec(space="unit", spacing=(1, 1, 1), patch_size=(64, 64, 32)),
        "pretext": {"tasks": [{"name": "restoration"}, {"name": "scale_classification"}]},
        "provenance": Provenance(
            volumes=5, steps=600, hours=2.5, device="CPU", datasets={"a": 5, "lab/scans": 1},
            modalities={"ct": 3, "mr": 2, "unknown": 1}, regions=("abdomen",), metrics={"loss": 0.25},
        ),
        "citations": ("Someone, 2020",),
        "license": "CC-BY-4.0",
    }  # fmt: skip
    return WeightsInfo(**fields | changes)


def card(ref="FOLDER", **changes):
    return model_card(describe(**changes), ref)


def front_matter(text):
    return ModelCard(text).data


def test_front_matter():
    matter = front_matter(card())
    assert (matter.library_name, matter.license, matter.pipeline_tag) == (
        "umzoo",
        "cc-by-4.0",
        "image-feature-extraction",
    )
    expected = {"ct", "mr", "abdomen", "genesis_unet", "restoration", "self-supervised-learning", "medical-imaging"}
    assert expected <= set(matter.tags) and "unknown" not in matter.tags
    assert matter.datasets == ["lab/scans"], "only identifiers of the Hub"
    assert matter.base_model is None and matter.eval_results is None


def test_the_cost_is_told_in_hours_and_energy():
    assert "2.5 h on CPU" in card()
    provenance = Provenance(hours=12, kwh=4.25, device="NVIDIA A100")
    assert "12 GPU-hours on NVIDIA A100, 4.25 kWh" in card(provenance=provenance)


def test_the_card_without_facts_is_valid_too():
    info = WeightsInfo(name="a.b", backbone={"name": "a"}, input=InputSpec())
    text = model_card(info)
    assert front_matter(text).license == "unknown"
    assert "Not stated" in text and "## Please cite" not in text and "self-supervised" not in text


@pytest.mark.parametrize(
    ("spdx", "name"),
    [
        ("CC-BY-4.0", "cc-by-4.0"),
        ("GPL-3.0-or-later", "gpl-3.0"),
        ("ODbL-1.0", "odbl"),
        ("LicenseRef-lab", "other"),
        ("", "unknown"),
    ],
)
def test_licenses_of_the_hub(spdx, name):
    assert hub_license(spdx) == name
    assert name in HUB_LICENSES | {"other"}


def test_a_license_the_hub_does_not_know():
    matter = front_matter(card(license="LicenseRef-Our Lab", license_link="https://example.org/license"))
    assert (matter.license, matter.license_name) == ("other", "licenseref-our-lab")
    assert matter.license_link == "https://example.org/license"


def test_fine_tuned_weights_name_their_base():
    base = {"name": "genesis_unet.base", "repository": "lab/base", "revision": "abc", "sha256": "0" * 64}
    text = card(base_model=base)
    assert (front_matter(text).base_model, front_matter(text).base_model_relation) == ("lab/base", "finetune")
    assert "initialized from `lab/base`" in text and "pre-trained without labels" not in text
    local = card(base_model={"name": "genesis_unet.base"})
    assert front_matter(local).base_model is None and "initialized from `genesis_unet.base`" in local


def test_evaluations_reach_the_model_index():
    result = {"dataset": "MSD Task09 Spleen", "metric": "dice", "value": 0.951, "note": "5 folds"}
    text = card(results=[result])
    (found,) = front_matter(text).eval_results
    assert (found.task_type, found.dataset_name, found.dataset_type) == (
        "image-segmentation",
        "MSD Task09 Spleen",
        "msd-task09-spleen",
    )
    assert (found.metric_type, found.metric_value) == ("dice", 0.951)
    assert "| MSD Task09 Spleen | image-segmentation | dice | 0.951 | 5 folds |" in text
    assert "No evaluation" in card() and "No evaluation" not in text


def test_body():
    text = card()
    for part in (
        "umzoo.from_pretrained(", "torch.hub.load(", "umzoo nnunet train DATASET 3d_fullres 0 --weights FOLDER",
        "umzoo.transfer(", "1 x 1 x 1 mm", "64 x 64 x 32", "clipped to [-1000, 1000]",
        "restoration, scale_classification",
        "a (5)", "| steps | 600 |", "2.5 h on CPU", "Someone, 2020", "| width | 8 |", "Trained on ct, mr only",
        "Not a medical device",
    ):  # fmt: skip
        assert part in text, part
    assert "lab/net" in card("lab/net") and "FOLDER" not in card("lab/net")
    assert "contains no decoder" in card(parts=("encoder",))


def test_values_cannot_break_out():
    text = card(citations=(f"{END} <script>\n# Title | `x`",), pretext={"tasks": [{"name": "a|b"}, 3, {"x": 1}]})
    assert text.count(END) == 1 and "<script>" not in text and "\n# Title" not in text


@pytest.mark.parametrize("pretext", [{"tasks": 3}, {"tasks": None}, {"tasks": [[]]}, {"tasks": {"name": "x"}}, {}])
def test_a_strange_pretext_table_is_passed_over(pretext):
    assert describe(pretext=pretext).pretext_tasks == ()
    assert card(pretext=pretext)


def test_the_generated_part_is_replaced_and_nothing_else():
    old = card().replace(BEGIN, f"A picture of us.\n\n{BEGIN}").replace("tags:", "thumbnail: us.png\ntags:\n- ours")
    old += "\n## Thanks\n\nTo all.\n"
    merged = merge_card(old, card(license="mit", provenance=Provenance(volumes=77, modalities={"pet": 77})))
    assert "A picture of us." in merged and merged.endswith("## Thanks\n\nTo all.\n")
    assert "77 volumes" in merged and "5 volumes" not in merged
    matter = front_matter(merged).to_dict()
    assert (matter["license"], matter["thumbnail"]) == ("mit", "us.png")
    assert {"ours", "pet"} <= set(matter["tags"])
    assert merged.count(BEGIN) == merged.count(END) == 1


@pytest.mark.parametrize(
    "old", ["", "# Ours\n\nBy hand.", "---\nlicense: other\nlicense_name: x\nlanguage: en\n---\n# Ours\n\nBy hand.\n"]
)
def test_cards_written_by_hand_stay_whole(old):
    merged = merge_card(old, card())
    assert old.rpartition("---")[2].strip() in merged
    matter = front_matter(merged).to_dict()
    assert matter["license"] == "cc-by-4.0" and "license_name" not in matter
    assert matter.get("language") == ("en" if "language" in old else None)


@pytest.mark.parametrize("old", ["", "by hand", card(), card() + "\nmore\n", card().replace("\n", "\r\n")])
def test_merging_again_changes_nothing(old):
    once = merge_card(old, card(results=[{"dataset": "d", "metric": "dice", "value": 1}]))
    assert merge_card(once, card(results=[{"dataset": "d", "metric": "dice", "value": 1}])) == once


def test_an_unchanged_card_stays_as_it_is():
    assert merge_card(card(), card()) == card()


@pytest.mark.parametrize(
    "old",
    [f"{END}\n{BEGIN}", BEGIN, END, card() + card(), "---\n[1\n---\n", "---\n- a\n---\n", "---\n1: 2\n---\n"],
)
def test_broken_cards_are_refused(old):
    with pytest.raises(WeightsError, match="correct it"):
        merge_card(old, card())


def test_a_new_card_without_a_generated_part_is_refused():
    with pytest.raises(WeightsError, match=re.escape(BEGIN)):
        merge_card(card(), "# by hand")
