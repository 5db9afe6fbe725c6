"""For the tests of umzoo and of its plug-ins: a cache of their own, and blank pictures unless they are tested."""

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True, scope="session")
def cache_of_its_own(tmp_path_factory):
    """What umzoo keeps to be faster next time goes to a folder of the tests, one for all their processes."""
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UMZOO_CACHE", str(shared / "cache"))
        yield


@pytest.fixture(autouse=True)
def blank_pictures(request, monkeypatch):
    """Leave out what takes longer than a tiny run, panels and curves, but for tests marked ``drawn``."""
    if request.node.get_closest_marker("drawn"):
        return

    def blank(file: Path, *_: object) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()

    monkeypatch.setattr("umzoo.engine.training.save_curves", blank)
    monkeypatch.setattr(
        "umzoo.engine.evaluate.Evaluator.panels",
        lambda self, model, folder, step, steps: blank(folder / f"panel-{step:08d}.png"),
    )
