"""Short work where a test is not about it."""

import pytest


@pytest.fixture(autouse=True)
def few_resamples(request, monkeypatch):
    """Draw few bootstrap samples of the persons, but where intervals are tested."""
    if request.module.__name__.rpartition(".")[2] != "test_scores":
        monkeypatch.setattr("umzoo.downstream.finetune.scores.RESAMPLES", 40)
