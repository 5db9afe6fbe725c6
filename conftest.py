"""For the tests of umzoo and of its plug-ins: a cache of their own, and blank pictures unless they are tested."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True, scope="session")
def cache_of_its_own(tmp_path_factory):
    """What umzoo keeps to be faster next time goes to a folder of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UMZOO_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def blank_pictures(request, monkeypatch):
    """Leave empty files in the place of pictures, which take longer than a tiny run, but for tests marked ``drawn``."""
    if request.node.get_closest_marker("drawn"):
        return

    def blank(file: Path, *_: object) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()

    monkeypatch.setattr("umzoo.engine.training.save_curves", blank)
    monkeypatch.setattr("umzoo.engine.evaluate.save_panel", blank)
