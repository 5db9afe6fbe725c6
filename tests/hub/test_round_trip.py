"""Pre-train, export, push; then fresh processes with an empty cache load the same tensors in every way there is."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import umzoo
from umzoo.backbones.state import canonical_state

ROOT = Path(__file__).resolve().parents[2]

PROGRAM = """
import hashlib, sys, torch
how, ref = sys.argv[1:]
if how == "umzoo":
    import umzoo
    model = umzoo.from_pretrained(ref)
else:
    model = torch.hub.load({root!r}, "from_pretrained", ref, source="local")
from umzoo.backbones.state import canonical_state
assert not model.training
print({digest})
"""
DIGEST = "hashlib.sha256(b''.join(v.numpy().tobytes() for _, v in sorted(canonical_state(model).items()))).hexdigest()"


def load(how, ref, home):
    """Digest of the tensors that a fresh process gets, whose cache is in *home*."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(root=str(ROOT), digest=DIGEST), how, ref],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "HF_HOME": str(home), "HF_HUB_CACHE": str(home / "hub"), "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[-1]


@pytest.fixture
def weights(tiny_store, tmp_path):
    """A weights folder of two steps of pre-training."""
    from umzoo.engine.export import export_run
    from umzoo.engine.recipe import load_recipe
    from umzoo.engine.run import Run, open_run
    from umzoo.engine.trainer import Trainer

    small = ["backbone.width=2", "data.batch_size=2", "data.patch_size=[16,16,16]", "data.workers=0"]
    short = ["trainer.steps=2", "trainer.probe_volumes=8", "optim.warmup_steps=1"]
    Trainer(Run(tmp_path / "run", load_recipe("universal_tiny", small + short), tiny_store.path), cpu=True).fit()
    export_run(open_run(tmp_path / "run"), tmp_path / "w", license="cc-by-4.0")
    return tmp_path / "w"


def test_pre_trained_weights_come_back_through_the_hub(weights, hub, tmp_path):
    state = canonical_state(umzoo.from_pretrained(weights))
    expected = hashlib.sha256(b"".join(value.numpy().tobytes() for _, value in sorted(state.items()))).hexdigest()
    commit = umzoo.push_to_hub(weights, "org/name", tag="v1").rpartition("/")[2]
    assert load("umzoo", "org/name", tmp_path / "first") == expected
    assert load("torch.hub", f"hf-hub:org/name@{commit}", tmp_path / "second") == expected
    hub.stop()
    assert load("torch.hub", f"org/name@{commit}", tmp_path / "second") == expected
