"""What is computed on the simulated device is real, and mixing it with the CPU fails."""

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import _disable_current_modes

from umzoo.errors import ConfigError
from umzoo.fields import Rng
from umzoo.testing.promises import ConformanceError, NotApplicableError
from umzoo.testing.simulated_device import MixedDevicesError, Simulated, on_simulated_device, simulated_device


@pytest.fixture
def device():
    with simulated_device() as device:
        yield device


def test_values_are_those_of_the_cpu(device):
    plain = torch.arange(6.0).view(2, 3)
    moved = plain.to(device)
    assert moved.device == device and isinstance(moved, Simulated)
    for operation in (lambda it: it @ it.T, lambda it: it.sum(1) / 3, lambda it: it[:, 1:].clamp(max=4).flip(0)):
        assert torch.equal(operation(moved).cpu(), operation(plain))
    assert moved.sum().item() == 15 and bool((moved < 6).all()) and moved.tolist() == plain.tolist()


def test_what_is_done_in_place_is_done(device):
    moved = torch.zeros(3, device=device)
    view = moved[1:]
    assert view.add_(2) is view and moved.tolist() == [0, 2, 2]
    moved[0] = 5
    assert moved.copy_(torch.ones(3)) is moved and view.tolist() == [1, 1]
    assert torch.add(moved, moved, out=moved) is moved and moved.tolist() == [2, 2, 2]
    moved[[0, 2]] = torch.zeros(2, device=device)
    assert moved.tolist() == [0, 2, 0] and moved[[1]].tolist() == [2] and moved[torch.tensor([0, 1])].tolist() == [0, 2]


def test_what_it_cannot_simulate_is_an_error(device):
    with pytest.raises(NotImplementedError, match="not made by the simulation"):
        with _disable_current_modes():
            empty = torch.empty(3, device="meta")
        torch.ones(3, device=device).add_(empty)


@pytest.mark.parametrize(
    "mix",
    [
        lambda moved: moved + torch.ones(3),
        lambda moved: torch.cat([moved, torch.zeros(1)]),
        lambda moved: torch.where(torch.tensor([True, False, True]), moved, moved),
        lambda moved: moved.mul_(torch.ones(3)),
        lambda moved: torch.ones(3).mul_(moved),
        lambda moved: moved.numpy(),
    ],
)
def test_mixing_fails(device, mix):
    with pytest.raises(MixedDevicesError):
        mix(torch.ones(3, device=device))


def test_numbers_without_axes_go_with_everything(device):
    moved = torch.ones(3, device=device) * torch.tensor(2.0)
    assert moved.tolist() == [2, 2, 2] and torch.tensor([1, 2], device=device).device == device


def test_draws_land_on_it(device):
    rng = Rng(1, 2, device=device)
    assert rng.uniform((4,)).device == rng.gaussian_noise((4,)).device == device
    assert rng.host().uniform((4,)).device.type == "cpu"


def test_networks_are_trained_on_it(device):
    network = nn.Sequential(nn.Conv3d(1, 2, 3), nn.InstanceNorm3d(2, affine=True)).to(device)
    with torch.autocast(device.type, enabled=False):
        network(torch.rand(1, 1, 5, 5, 5, device=device)).square().mean().backward()
    assert all(it.grad.device == device and it.grad.isfinite().all() for it in network.parameters())
    with pytest.raises(MixedDevicesError):
        network(torch.rand(1, 1, 5, 5, 5))


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (MixedDevicesError("operands"), ConformanceError),
        (ConfigError("refused"), ConfigError),
        (RuntimeError("not implemented"), NotApplicableError),
    ],
)
def test_what_a_check_says(raised, expected):
    with pytest.raises(expected), on_simulated_device("mine"):
        raise raised
    assert torch.tensor([1.0]).device.type == "cpu" and torch.autocast.__module__.startswith("torch")
