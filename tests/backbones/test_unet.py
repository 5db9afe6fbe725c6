"""The U-Net of Models Genesis: its published size and names, and its batch norm."""

import pytest
import torch

from umzoo.backbones.state import canonical_state
from umzoo.backbones.unet import GenesisUNet
from umzoo.fields import Rng

KERNELS = {
    "encoder.down_tr64": [(32, 1), (64, 32)],
    "encoder.down_tr128": [(64, 64), (128, 64)],
    "encoder.down_tr256": [(128, 128), (256, 128)],
    "encoder.down_tr512": [(256, 256), (512, 256)],
    "decoder.up_tr256": [(256, 768), (256, 256)],
    "decoder.up_tr128": [(128, 384), (128, 128)],
    "decoder.up_tr64": [(64, 192), (64, 64)],
}


def tiny(**options):
    return GenesisUNet(GenesisUNet.Config(width=2, **options))


def test_published_size_and_names():
    with torch.device("meta"):
        model = GenesisUNet()
    state = canonical_state(model)
    assert sum(value.numel() for value in model.parameters()) == 19_073_665 - 65
    assert sum(value.numel() for value in model.encoder.parameters()) == 7_027_776
    assert len(state) == 106 - 2
    for block, kernels in KERNELS.items():
        for number, (out_channels, in_channels) in enumerate(kernels):
            name = f"{block}.ops.{number}"
            assert state[f"{name}.conv1.weight"].shape == (out_channels, in_channels, 3, 3, 3)
            assert state[f"{name}.bn1.running_mean"].shape == (out_channels,)
            assert state[f"{name}.bn1.num_batches_tracked"].dtype == torch.int64
    for level, channels in (("256", 512), ("128", 256), ("64", 128)):
        assert state[f"decoder.up_tr{level}.up_conv.weight"].shape == (channels, channels, 2, 2, 2)


def test_in_parity_mode_evaluation_uses_the_batch_and_changes_nothing():
    model, image = tiny(batch_statistics=True), Rng(0).uniform((2, 1, 16, 16, 16))
    trained = model(image, dense=True).dense
    before = {name: value.clone() for name, value in model.state_dict().items()}
    evaluated = model.eval()(image, dense=True).dense
    torch.testing.assert_close(trained, evaluated)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_batch_norm_is_an_ordinary_one():
    model, image = tiny().eval(), Rng(0).uniform((2, 1, 16, 16, 16))
    together = model(image).pooled
    alone = torch.cat([model(image[i : i + 1]).pooled for i in range(2)])
    torch.testing.assert_close(together, alone)


@pytest.mark.parametrize("size", [(16, 16, 16), (8, 8, 16)])
def test_training_updates_running_statistics(size):
    model = tiny().train()
    model(Rng(0).uniform((1, 1, *size)))
    assert model.encoder["down_tr64"].ops[0].bn1.running_mean.abs().sum() > 0


def test_matches_a_plain_reference():
    """The forward pass is that of the published network: skips before pooling, upsampled features first."""
    model, image = tiny(batch_statistics=True).eval(), Rng(3).uniform((2, 1, 16, 16, 16))
    state = model.state_dict()

    def block(x, name):
        x = torch.conv3d(x, state[f"{name}.conv1.weight"], state[f"{name}.conv1.bias"], padding=1)
        mean, var = x.mean((0, 2, 3, 4), keepdim=True), x.var((0, 2, 3, 4), keepdim=True, unbiased=False)
        scale, shift = (state[f"{name}.bn1.{part}"].view(1, -1, 1, 1, 1) for part in ("weight", "bias"))
        return ((x - mean) / (var + 1e-5).sqrt() * scale + shift).relu()

    def pair(x, name):
        return block(block(x, f"{name}.ops.0"), f"{name}.ops.1")

    skips, x = [], image
    for name in ("64", "128", "256", "512"):
        x = pair(x if not skips else torch.max_pool3d(x, 2), f"encoder.down_tr{name}")
        skips.append(x)
    for name, skip in zip(("256", "128", "64"), skips[-2::-1], strict=True):
        up = f"decoder.up_tr{name}"
        x = torch.conv_transpose3d(x, state[f"{up}.up_conv.weight"], state[f"{up}.up_conv.bias"], stride=2)
        x = pair(torch.cat((x, skip), 1), up)
    torch.testing.assert_close(model(image, dense=True).dense, x, atol=1e-4, rtol=1e-4)
