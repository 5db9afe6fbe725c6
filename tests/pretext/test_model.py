"""Passes of the pretext model: the shared one, and those of tasks with a view of their own."""

import torch
from torch import nn

import umzoo
from umzoo.corruptions.pipeline import Pipeline
from umzoo.pretext.model import PretextModel
from umzoo.testing import TinyBackbone, training_batch


class Own(umzoo.PretextTask):
    """Restore a darkened image by a pass of its own."""

    name = "own"

    def __init__(self):
        super().__init__(self.Config(), umzoo.PretextContext(TinyBackbone.info, (16, 16, 16)))
        self.head, self.seen = nn.Conv3d(4, 1, 1), {}

    def views(self, batch, rng):
        return {"image": batch["image"] / 2, "clean": batch["image"]}

    def features(self, backbone, views):
        features = super().features(backbone, views)
        return umzoo.Features(features.levels, backbone.decode(features.levels), features.pooled)

    def loss(self, features, views):
        self.seen = views
        return (self.head(features.dense) - views["clean_input"]).square().mean()


def test_a_task_makes_its_own_pass_over_its_own_view():
    """Not dense, so dense features are there only if the task's own pass was made."""
    model, batch = PretextModel(TinyBackbone(), {"own": Own()}, {"own": 1.0}, Pipeline([])), training_batch()
    model(batch, umzoo.Rng(0)).loss.backward()
    assert model.backbone.decoder.weight.grad is not None
    views, mean, std = model.tasks["own"].seen, *(batch[name].view(-1, 1, 1, 1, 1) for name in ("mean", "std"))
    torch.testing.assert_close(views["clean_input"], (batch["image"] - mean) / std)
    torch.testing.assert_close(views["input"], (batch["image"] / 2 - mean) / std)
