"""Every tensor that reads the image or is laid out by the grid of tokens is fitted, however many there are."""

import pytest
import torch
from torch import nn

import umzoo
from umzoo.backbones.base import Backbone, BackboneInfo, Level
from umzoo.backbones.state import canonical_state
from umzoo.config import Config
from umzoo.fields import Rng
from umzoo.weights.transfer import transfer


class Twice(Backbone):
    """Reads the image with two kernels, of which the second is the shorter one."""

    name = "twice"
    image_kernels = ("encoder.wide.weight", "encoder.beside.weight")

    class Config(Config):
        """Options."""

        in_channels: int = 1
        size: int = 2

    def __init__(self, config=None):
        super().__init__(config)
        n, size = self.config.in_channels, self.config.size
        self.encoder = nn.ModuleDict({"wide": nn.Conv3d(n, 4, 3, padding=1), "beside": nn.Conv3d(n, 4, 1)})
        self.encoder.register_parameter("where", nn.Parameter(torch.randn(1, size**3, 4)))
        self.info = BackboneInfo(n, (Level(4, (1, 1, 1)),), None, positions={"encoder.where": (size,) * 3})

    def encode(self, image):
        return [self.encoder["wide"](image) + self.encoder["beside"](image)]


def test_all_declared_kernels_take_more_channels():
    source, target = Twice(), Twice(Twice.Config(in_channels=3))
    report = transfer(source, target)
    assert {name: note.partition(" (")[0] for name, note in report.adapted.items()} == dict.fromkeys(
        Twice.image_kernels, "1 to 3 input channels"
    )
    image = Rng(0).normal((1, 1, 8, 8, 8))
    with torch.no_grad():
        torch.testing.assert_close(target.encode(image.repeat(1, 3, 1, 1, 1))[0], source.encode(image)[0])


def test_named_channels_go_to_all_of_them():
    source, target = Twice(Twice.Config(in_channels=2)), Twice(Twice.Config(in_channels=2))
    transfer(source, target, {"source_channels": ["t1", "t2"], "target_channels": ["t2", "flair"]})
    ours, theirs = canonical_state(target), canonical_state(source)
    for name in Twice.image_kernels:
        assert torch.equal(ours[name][:, 0], theirs[name][:, 1]) and not ours[name][:, 1].any()


def test_positions_of_any_name_are_resized():
    source, target = Twice(Twice.Config(size=2)), Twice(Twice.Config(size=4))
    report = transfer(source, target)
    assert report.adapted == {"encoder.where": "position embedding 2x2x2 to 4x4x4"}
    assert not report.fresh and not report.warnings


def test_what_does_not_fit_is_a_warning():
    target = Twice()
    target.encoder["beside"] = nn.Conv3d(1, 4, (1, 2, 2))
    report = transfer(Twice(), target)
    assert any("encoder.beside.weight" in warning for warning in report.warnings)


@pytest.mark.parametrize(
    "spec",
    [
        {"name": "resenc_unet_s", "features_per_stage": [4, 6, 8, 8], "n_blocks_per_stage": 1},
        {"name": "genesis_unet", "width": 2},
        {"name": "resnet3d_10", "width": 4},
    ],
    ids=lambda spec: spec["name"],
)
def test_loading_with_more_channels(spec, tmp_path, caplog):
    """The same answer to repeated channels; nothing but the channels changed, so nothing else is warned of."""
    source = umzoo.create_model(**spec).eval()
    axes = umzoo.InputSpec(axes="xyz", orientation="RAS", space=source.info.input_space)
    umzoo.save_pretrained(source, tmp_path / "w", input=axes)
    caplog.clear()
    network = umzoo.from_pretrained(tmp_path / "w", in_channels=4)
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == []
    image = Rng(0).normal((1, 1, 32, 32, 32))
    with torch.no_grad():
        expected, found = source(image).levels[-1], network(image.repeat(1, 4, 1, 1, 1)).levels[-1]
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_a_share_is_not_rounded_to_all():
    source, target = Twice(), Twice(Twice.Config(in_channels=1))
    target.encoder["far"] = nn.Conv3d(1, 1, 1)
    target.encoder["wide"] = nn.Conv3d(1, 4, 31, padding=15)
    report = transfer(source, target)
    assert 0.9995 < report.coverage < 1 and "99.9% of the encoder" in report.verdict
