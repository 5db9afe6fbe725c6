"""States of models that are shared out; what trains in two processes is in test_trainer.py."""

import copy

import pytest
import torch
from torch import distributed, nn
from torch.distributed.tensor import DTensor

from umzoo.engine.sharding import Replica, gathered, scattered, scattered_optimizer, shard


@pytest.fixture
def group(tmp_path):
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/rendezvous", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 4, bias=False), nn.BatchNorm1d(4), nn.Linear(4, 2))

    def forward(self, x):
        return self.body(x)


def shared():
    model = Network()
    shard(model, model, torch.device("cpu"))
    return model, torch.optim.AdamW(model.parameters())


def step(model, optimizer):
    model(torch.ones(5, 3) * torch.arange(5)[:, None]).square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()


def test_states_are_put_together_and_shared_out_again(group):
    model, optimizer = shared()
    step(model, optimizer)
    weights, moments = copy.deepcopy((gathered(model.state_dict()), gathered(optimizer.state_dict())))
    assert not any(isinstance(it, DTensor) for it in weights.values())
    other, theirs = shared()
    other.load_state_dict(scattered(weights, other.state_dict()))
    theirs.load_state_dict(scattered_optimizer(moments, theirs))
    step(model, optimizer), step(other, theirs)
    torch.testing.assert_close(gathered(other.state_dict()), gathered(model.state_dict()))


def test_what_is_not_kept_is_gathered_all_the_same(group):
    model, _ = shared()
    assert gathered({"step": 3, "model": [model.body[2].bias]}, keep=False) == {"step": 3, "model": [None]}


def test_what_is_not_shared_out_stays_as_it_is():
    model = Network()
    optimizer = torch.optim.AdamW(model.parameters())
    step(model, optimizer)
    weights, moments = model.state_dict(), optimizer.state_dict()
    assert all(value is weights[name] for name, value in scattered(weights, model.state_dict()).items())
    torch.testing.assert_close(scattered_optimizer(moments, optimizer), moments)


def test_a_replica_answers_with_the_state_it_is_given():
    model = Network().eval()
    replica, x = Replica(model), torch.ones(1, 3)
    with torch.no_grad():
        model.body[2].bias += 1
    with replica.filled(model.state_dict(), torch.device("cpu")) as whole:
        torch.testing.assert_close(whole.eval()(x), model(x))
