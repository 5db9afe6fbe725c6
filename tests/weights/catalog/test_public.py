"""The catalog of public checkpoints: what it says can be loaded, of everything that is not at the far end."""

import re

import pytest
import torch

from umzoo.plugins import zoo
from umzoo.weights.catalog.public import NNSSL_FILES, public_checkpoints
from umzoo.weights.folder.info import Provenance
from umzoo.weights.folder.licenses import hub_license
from umzoo.weights.importers.nnssl_files import Release
from umzoo.weights.importers.nnssl_network import find_backbone

ENTRIES = {entry.name: entry for entry in public_checkpoints()}


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_entries_are_complete(entry):
    assert zoo().weights[entry.name] == entry
    assert entry.name.partition(".")[0] in zoo().backbones and entry.tag
    _, options = zoo().importers.options({"name": entry.importer, "tag": entry.tag, **entry.options})
    assert options.tag == entry.tag
    assert hub_license(entry.license) != "unknown" and (entry.license != "other" or entry.license_link)
    assert re.fullmatch(r"[\w-]+/[\w-]+|https://\S+", entry.location) and entry.files
    assert re.fullmatch(r"([0-9a-f]{64})?", entry.sha256)
    assert entry.description and len(entry.description) < 100
    assert set(entry.provenance) <= set(Provenance.model_fields) and Provenance.parse(dict(entry.provenance))


def test_no_file_is_listed_twice():
    places = [(entry.location, entry.files[0]) for entry in ENTRIES.values()]
    assert len(set(places)) == len(places) == len(ENTRIES) >= 20


PLANS = {
    "resenc_unet_l.openmind_mae": ("ResEncL", None, {}),
    "resenc_unet_l.ssl3d_mae": (None, None, {"encoder.stages.0.blocks.0.conv1.conv.weight": (32, 32, 3, 3, 3)}),
    "resenc_unet_l.nnfoundation": ("ResEncL", None, {}),
    "primus_m.openmind_mae": ("PrimusM", None, {"eva.pos_embed": (1, 20**3, 864)}),
    "primus_l.nnfoundation": (
        "PrimusX",
        {"embed_dim": 1056, "encoder_eva_depth": 40, "encoder_eva_numheads": 16, "patch_embed_size": [8, 8, 8]},
        {"eva.pos_embed": (1, 24**3, 1056)},
    ),
}
"""Network in the plan, its arguments, and a tensor of the file."""


@pytest.mark.parametrize("name", PLANS)
def test_names_are_those_the_importer_gives(name, tmp_path):
    kind, arguments, shapes = PLANS[name]
    described = {"architecture_plans": {"arch_class_name": kind, "arch_kwargs": arguments}} if kind else {}
    tensors = {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}
    spec = find_backbone(Release(tmp_path, tensors, described, "", 0, ()))
    assert spec.name == name.partition(".")[0]
    assert spec.options.get("depth", 16) == (40 if arguments else 16)
    assert ENTRIES[name].importer == "nnssl" and len(ENTRIES[name].files) in (1, len(NNSSL_FILES))
