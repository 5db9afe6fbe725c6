import sys
from types import SimpleNamespace

import pytest
import torch

from umzoo.engine.energy import EnergyMeter, total


class NVMLError(Exception):
    pass


@pytest.fixture
def nvml(monkeypatch):
    """A stand-in for NVML, with a card whose counter can be set."""
    card = SimpleNamespace(millijoules=5_000_000, asked=[])

    def count(handle):
        if card.millijoules is None:
            raise NVMLError("Not Supported")
        return card.millijoules

    module = SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID=lambda uuid: card.asked.append(uuid) or "handle",
        nvmlDeviceGetTotalEnergyConsumption=count,
    )
    monkeypatch.setitem(sys.modules, "pynvml", module)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid="12-ab"))
    return card


def test_energy_is_what_was_taken_since(nvml):
    meter = EnergyMeter(torch.device("cuda", 1))
    nvml.millijoules += 7_500_000
    assert meter.joules() == 7500.0 and nvml.asked == ["GPU-12-ab"]


def test_cards_that_do_not_count_and_processors_tell_nothing(nvml):
    assert EnergyMeter(torch.device("cpu")).joules() is None
    nvml.millijoules = None
    assert EnergyMeter(torch.device("cuda")).joules() is None


def test_without_the_package_nothing_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert EnergyMeter(torch.device("cuda")).joules() is None


def test_what_some_processes_know_is_summed():
    assert total([1.0, None, 2.5]) == 3.5 and total([None, None]) is None
