"""The weights in the package are whole, known by name, small, and say where they come from."""

import functools
import socket
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from umzoo_weights import VOX2VEC_TINY

import umzoo
from umzoo.engine.recipe import load_recipe
from umzoo.hub.pulling.references import resolve
from umzoo.weights.folder.reader import read_info
from umzoo.weights.folder.tensors import load_state

MOST_BYTES = 20_000_000
MAY_BE_SHIPPED = {"Task04_Hippocampus", "Task96_LungNodule", "CCBY"}


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("a request left")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_it_loads_by_name_without_a_network():
    backbone = umzoo.from_pretrained(VOX2VEC_TINY.name)
    features = backbone(torch.randn(1, 1, 24, 24, 24), dense=True)
    assert features.dense.shape == (1, 8, 24, 24, 24) and features.dense.isfinite().all()


def test_the_tensors_are_those_of_the_checksum_and_few():
    folder = resolve(VOX2VEC_TINY.name)
    load_state(folder)
    assert sum(file.stat().st_size for file in Path(folder).iterdir()) < MOST_BYTES


def test_its_data_may_be_shipped():
    info = read_info(resolve(VOX2VEC_TINY.name))
    assert info.name == VOX2VEC_TINY.name and info.license.lower() == VOX2VEC_TINY.license.lower()
    assert set(info.provenance.datasets) <= MAY_BE_SHIPPED


def test_the_recipe_is_the_shipped_one():
    info, recipe = read_info(resolve(VOX2VEC_TINY.name)), load_recipe("vox2vec_tiny")
    made = umzoo.create_model(recipe.backbone.name, **recipe.backbone.options)
    assert info.backbone == made.spec
    pretext = recipe.pretext.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert {key: info.pretext[key] for key in pretext} == pretext
    assert info.provenance.steps == recipe.trainer.steps


def test_it_restores_what_a_random_network_does_not():
    """A smooth pattern with windows of noise, in the mean over a few of them."""
    folder = resolve(VOX2VEC_TINY.name)
    tensors = load_file(folder / "pretext.safetensors")
    head = torch.nn.Conv3d(8, 1, 1)
    prefix = "restoration.head."
    head.load_state_dict({key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)})
    clean, noisy = patterns()
    by_chance = []
    for seed in range(5):
        torch.manual_seed(seed)
        by_chance.append(share(head, spec_of(folder)(), clean, noisy))
    trained = share(head, umzoo.from_pretrained(folder), clean, noisy)
    assert trained > 0.5 and trained > max(by_chance) + 0.1 and sum(by_chance) / 5 < 0.2


def spec_of(folder):
    spec = read_info(folder).backbone
    return functools.partial(umzoo.create_model, spec.name, **spec.options)


def patterns(count=4, edge=24):
    """Standardized waves ``(count, 1, edge, edge, edge)``, and the same with a painted window each."""
    generator = torch.Generator().manual_seed(0)
    z, y, x = torch.meshgrid(*[torch.linspace(0, 3, edge)] * 3, indexing="ij")
    phases = torch.rand(count, 3, generator=generator) * 6
    clean = torch.stack([(z + a).sin() + (y + b).sin() + (x + c).sin() for a, b, c in phases]).unsqueeze(1)
    clean = (clean - clean.mean()) / clean.std()
    noisy = clean.clone()
    noisy[..., 6:14, 6:14, 6:14] = 4 * torch.rand(count, 1, 8, 8, 8, generator=generator) - 2
    return clean, noisy


@torch.no_grad()
def share(head, backbone, clean, noisy):
    """Share of the variance of the clean patterns that is restored."""
    target = (clean - clean.mean((2, 3, 4), keepdim=True)) / clean.std((2, 3, 4), keepdim=True)
    answer = head(backbone.eval()(noisy, dense=True).dense)
    return float(1 - (answer - target).square().mean() / target.square().mean())
