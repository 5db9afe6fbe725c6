"""Writes the result of a benchmark with what is needed to read it: processor, device and versions."""

from __future__ import annotations

import datetime
import json
import os
import platform
from pathlib import Path
from typing import Any

import torch

import umzoo

RESULTS = Path(__file__).parent / "results"


def describe_machine() -> dict[str, Any]:
    """Processor, device and versions; nothing that names the machine."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "umzoo": umzoo.__version__,
    }


def write_results(name: str, result: dict[str, Any]) -> Path:
    """Write *result* as ``results/NAME.json`` and return the file."""
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{name}.json"
    content = {"date": datetime.date.today().isoformat(), "machine": describe_machine(), **result}
    file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return file


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
