from __future__ import annotations

import pytest

from tests.scans.conftest import make_body


@pytest.fixture
def body():
    """A CT volume ``(D, H, W)``."""
    return make_body()
