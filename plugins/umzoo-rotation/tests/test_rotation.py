import torch
from umzoo_rotation import Rotation

import umzoo
from umzoo.plugins import zoo
from umzoo.testing import TinyBackbone, check_pretext_task, training_batch


def test_conforms():
    check_pretext_task(Rotation)


def test_is_registered():
    assert zoo().pretext_tasks["rotation"] is Rotation
    assert zoo().pretext_tasks.owner("rotation") == "rotation"


def test_turns_the_axial_plane():
    context = umzoo.PretextContext(TinyBackbone.info, (16, 16, 16))
    batch = training_batch()
    view = Rotation.build(Rotation.Config(), context=context).views(batch, umzoo.Rng(0))
    for before, after, turns in zip(batch["image"], view["image"], view["turns"], strict=True):
        assert torch.equal(torch.rot90(after, -int(turns), dims=(2, 3)), before)


def test_refuses_a_plane_that_is_not_square():
    assert "square" in Rotation.obstacle(umzoo.PretextContext(TinyBackbone.info, (16, 16, 24)))
