import math

import torch

from umzoo.engine.probe import linear_probe


def data(signal, groups_per_class=8, items=6, channels=12):
    generator = torch.Generator().manual_seed(0)
    n = 2 * groups_per_class * items
    labels = torch.arange(2).repeat_interleave(n // 2)
    groups = torch.arange(2 * groups_per_class).repeat_interleave(items)
    features = torch.randn(n, channels, generator=generator)
    features[:, 0] += signal * labels
    return features, labels, groups


def test_separable_features_are_told_apart():
    assert linear_probe(*data(signal=8.0)) > 0.95


def test_features_without_signal_give_chance():
    assert abs(linear_probe(*data(signal=0.0)) - 0.5) < 0.15


def test_a_signature_of_the_group_is_no_signal():
    """Features that only identify the group must not help: groups are never on both sides."""
    features, labels, groups = data(signal=0.0)
    features = features + 5 * torch.randn(16, 12, generator=torch.Generator().manual_seed(1))[groups]
    assert linear_probe(features, labels, groups) < 0.75


def test_unknown_labels_are_left_out_and_too_few_groups_say_nothing():
    features, labels, groups = data(signal=8.0)
    assert linear_probe(features, torch.where(labels == 1, 1, -1), groups) != 0.5
    assert math.isnan(linear_probe(features, torch.zeros_like(labels), groups))
    assert math.isnan(linear_probe(features, labels, torch.where(labels == 1, 99, groups)))


def test_equal_input_gives_equal_output():
    assert linear_probe(*data(signal=1.0)) == linear_probe(*data(signal=1.0))
