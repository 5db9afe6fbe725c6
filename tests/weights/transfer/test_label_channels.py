"""Label channels (second stage of nnU-Net's cascade) are not images; batch norm is not an instance norm."""

import torch
from torch import nn

import umzoo
from umzoo.backbones.state import canonical_state
from umzoo.spec import InputSpec
from umzoo.weights.transfer import transfer

FIRST = "encoder.stem.convs.0.conv.weight"


def first(network):
    return canonical_state(network)[FIRST]


def cascade(channels, labels):
    return InputSpec(in_channels=channels, label_channels=labels)


def test_label_channels_start_at_zero(resenc, randomly):
    source, target = randomly(resenc()), resenc(in_channels=4)
    report = transfer(source, target, input=cascade(4, 3))
    assert report.adapted[FIRST] == "1 to 1 image channels (repeat), 3 label channels zero"
    assert torch.equal(first(target)[:, :1], first(source)) and not first(target)[:, 1:].any()


def test_images_are_fitted_beside_them(resenc, randomly):
    source, target = randomly(resenc()), resenc(in_channels=3)
    transfer(source, target, input=cascade(3, 1))
    torch.testing.assert_close(first(target)[:, :2].sum(1, keepdim=True), first(source))
    assert not first(target)[:, 2].any()


def test_as_many_channels_that_mean_something_else(resenc, randomly):
    source, target = randomly(resenc(in_channels=3)), resenc(in_channels=3)
    transfer(source, target, input=cascade(3, 2))
    torch.testing.assert_close(first(target)[:, 0], first(source).sum(1))
    assert not first(target)[:, 1:].any()


def test_weights_of_a_cascade(resenc, randomly, tmp_path):
    source = randomly(resenc(in_channels=3))
    umzoo.save_pretrained(source, tmp_path / "w", input=cascade(3, 2))
    alone, again = resenc(), resenc(in_channels=3)
    transfer(tmp_path / "w", alone)
    assert torch.equal(first(alone), first(source)[:, :1])
    assert not transfer(tmp_path / "w", again, input=cascade(3, 2)).adapted
    wide = resenc(in_channels=4)
    transfer(tmp_path / "w", wide, input=cascade(4, 2))
    assert torch.equal(first(wide)[:, 2:], first(source)[:, 1:])


def test_other_norms_are_a_warning(nnunet, resenc):
    batch = {"norm_op": nn.BatchNorm3d}
    (told,) = (it for it in transfer(resenc(), nnunet(**batch)).warnings if it.startswith("norm"))
    assert "running statistics are fresh" in told
    (told,) = (it for it in transfer(nnunet(**batch), resenc()).warnings if it.startswith("norm"))
    assert "batch norm in the weights" in told
    assert not any(it.startswith("norm") for it in transfer(nnunet(), resenc()).warnings)
