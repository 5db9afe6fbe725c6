"""Weights of the Hub in nnU-Net: pinned to a commit, and the same tensors as everywhere else."""

import json

import torch

import umzoo
from umzoo.backbones.state import canonical_state
from umzoo.nnunet.derive import Request, derive_plans
from umzoo.nnunet.entry import parse_options, read_entry
from umzoo.nnunet.planned import read_planned
from umzoo.nnunet.preflight import initialise

from ..hub.conftest import hub  # noqa: F401

PLANS = "nnUNetResEncUNetMPlans"


def test_plans_name_the_commit_and_training_gets_its_tensors(nnunet, weights, hub):  # noqa: F811
    commit = umzoo.push_to_hub(weights, "org/name", licence="cc0-1.0").rpartition("/")[2]
    asked = Request("901", "3d_fullres", PLANS, "org/name", parse_options("nnunet"), "nnunet")
    assert derive_plans(asked).coverage == 1.0
    entry = read_entry(json.loads(asked.file.read_text()))
    assert (entry.weights.reference, entry.weights.revision) == ("org/name", commit)
    assert asked.plans_name == f"{PLANS}_umzoo_name_nnunet"

    hub.requests.clear()
    planned = read_planned(nnunet, asked.plans_name, "3d_fullres")
    network = planned.build()
    initialise(network, planned, entry)
    assert hub.requests == []
    expected = canonical_state(umzoo.from_pretrained("org/name", revision=commit))
    found = canonical_state(network)
    assert all(torch.equal(found[name], value) for name, value in expected.items())
