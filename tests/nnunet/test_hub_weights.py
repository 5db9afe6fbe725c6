"""Weights of the Hub in nnU-Net: pinned to a commit, and the same tensors as everywhere else."""

import json

import torch

import umzoo
from umzoo.backbones.state import canonical_state
from umzoo.nnunet.files.nnssl_checkpoint import CHECKPOINT, PLAN, export_nnssl
from umzoo.nnunet.planning.configuration import read_planned
from umzoo.nnunet.training.derived_plans import Request, derive_plans
from umzoo.nnunet.training.plans_entry import parse_options, read_entry
from umzoo.nnunet.training.preflight import initialize
from umzoo.plugins import zoo
from umzoo.weights.catalog.entry import WeightsEntry
from umzoo.weights.folder.reader import read_info
from umzoo.weights.folder.tensors import load_state
from umzoo.weights.folder.writer import rewrite_info

from ..hub.conftest import hub  # noqa: F401
from ..hub.pulling.test_import_cache import store

PLANS = "nnUNetResEncUNetMPlans"


def test_plans_name_the_commit_and_training_gets_its_tensors(nnunet, weights, hub):  # noqa: F811
    commit = umzoo.push_to_hub(weights, "org/name", license="cc0-1.0").rpartition("/")[2]
    asked = Request("901", "3d_fullres", PLANS, "org/name", parse_options("nnunet"), "nnunet")
    assert derive_plans(asked).coverage == 1.0
    entry = read_entry(json.loads(asked.file.read_text()))
    assert (entry.weights.reference, entry.weights.revision) == ("org/name", commit)
    assert asked.plans_name == f"{PLANS}_umzoo_org_name_{entry.weights.sha256[:8]}_nnunet"

    hub.requests.clear()
    planned = read_planned(nnunet, asked.plans_name, "3d_fullres")
    network = planned.build()
    initialize(network, planned, entry)
    assert hub.requests == []
    expected = canonical_state(umzoo.from_pretrained("org/name", revision=commit))
    found = canonical_state(network)
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_checkpoints_of_nnssl_start_training_by_their_registered_name(nnunet, weights, hub, tmp_path, monkeypatch):  # noqa: F811
    seen = read_info(weights).input.model_copy(update={"patch_size": (32, 32, 32)})
    rewrite_info(weights, input=seen)
    export_nnssl(weights, tmp_path / "released")
    name = f"{read_info(weights).backbone.name}.lab"
    entry = WeightsEntry(name, "lab/released", "CC-BY-4.0", importer="nnssl", files=(CHECKPOINT, PLAN))
    monkeypatch.setitem(zoo().weights._entries, name, entry)
    files = {file.name: file.read_bytes() for file in (tmp_path / "released").iterdir()}
    store(hub, "lab/released", **files)

    asked = Request("901", "3d_fullres", PLANS, name, parse_options("nnunet"), "nnunet")
    report = derive_plans(asked)
    assert not [it for it in report.fresh if it.startswith("encoder.")]
    known = read_entry(json.loads(asked.file.read_text()))
    assert (known.weights.reference, known.weights.revision) == (name, None)

    hub.requests.clear()
    planned = read_planned(nnunet, asked.plans_name, "3d_fullres")
    network = planned.build()
    initialize(network, planned, known)
    assert hub.requests == []
    expected, found = load_state(weights), canonical_state(network)
    assert all(torch.equal(found[key], value) for key, value in expected.items() if key.startswith("encoder."))
