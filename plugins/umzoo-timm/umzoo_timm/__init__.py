"""2-D convolutional networks of timm, inflated to 3-D, as a backbone for umzoo."""

from __future__ import annotations

from typing import Any

import umzoo


@umzoo.hookimpl
def register_backbones(register: Any) -> None:
    """Register the backbone."""
    from umzoo_timm.backbone import TimmBackbone

    register(TimmBackbone)
