import copy

import pytest
import torch

from umzoo.engine.blocks import blocks, checkpoint_activations
from umzoo.fields import Rng
from umzoo.plugins import zoo
from umzoo.testing.material import SMALL_NETWORKS, small_network


class Kept:
    """Counts the numbers kept for the backward pass."""

    def __init__(self):
        self.numbers = 0

    def __call__(self, tensor):
        self.numbers += tensor.numel()
        return tensor


def trained(model, image):
    """What *model* answers to *image*, with gradients and running statistics, and the numbers kept meanwhile."""
    kept = Kept()
    with torch.autograd.graph.saved_tensors_hooks(kept, lambda tensor: tensor):
        torch.manual_seed(1)  # dropout draws from it
        features = model(image, dense=True)
    (features.dense.square().mean() + features.pooled.square().mean()).backward()
    gradients = {name: value.grad for name, value in model.named_parameters()}
    return features.dense.detach(), gradients, model.state_dict(), kept.numbers


@pytest.mark.parametrize("name", SMALL_NETWORKS)
def test_less_is_kept_and_the_same_is_learned(name):
    torch.manual_seed(0)
    model = zoo().backbones.build(small_network(name), patch_size=(16, 16, 16)).train()
    image, twin = Rng(0).uniform((2, 1, 16, 16, 16)), copy.deepcopy(model)
    checkpoint_activations(twin)
    dense, gradients, state, kept = trained(model, image)
    dense_again, gradients_again, state_again, kept_again = trained(twin, image)
    torch.testing.assert_close(dense_again, dense)
    torch.testing.assert_close(gradients_again, gradients)
    torch.testing.assert_close(state_again, state)
    assert kept_again < 0.7 * kept


def test_blocks_hold_most_of_a_network():
    for name in SMALL_NETWORKS:
        model = zoo().backbones.build(small_network(name), patch_size=(16, 16, 16))
        inside = sum(value.numel() for block in blocks(model) for value in block.parameters())
        assert inside > 0.6 * sum(value.numel() for value in model.parameters()), name


def test_a_copy_computes_with_its_own_weights():
    model = zoo().backbones.build(small_network("plainconv_unet"))
    checkpoint_activations(model)
    twin = copy.deepcopy(model)
    with torch.no_grad():
        for value in twin.parameters():
            value.zero_()
    image = Rng(0).uniform((1, 1, 16, 16, 16))
    assert not twin(image, dense=True).dense.any() and model(image, dense=True).dense.any()


def test_gradients_can_be_asked_for_again():
    model = zoo().backbones.build(small_network("genesis_unet"))
    checkpoint_activations(model)
    pooled = model(Rng(0).uniform((2, 1, 16, 16, 16))).pooled.square().mean()
    weight = next(model.parameters())
    first, second = (torch.autograd.grad(pooled, weight, retain_graph=True)[0] for _ in range(2))
    torch.testing.assert_close(first, second)
