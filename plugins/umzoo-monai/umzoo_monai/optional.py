"""Lazy import of MONAI, which takes seconds."""

from __future__ import annotations

import importlib
from typing import Any

from umzoo.errors import PluginError, in_one_line


def get_monai(module: str) -> Any:
    """Return *module* of MONAI, such as ``monai.transforms``.

    Raises:
        PluginError: if MONAI is missing or cannot be imported.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        reason = in_one_line(error)
        raise PluginError(f"umzoo-monai needs MONAI ({reason}): pip install 'monai>=1.5'") from None
