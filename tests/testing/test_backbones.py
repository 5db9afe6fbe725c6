"""Each broken promise of a backbone is found, in its row."""

from dataclasses import replace
from math import prod

import pytest
import torch
from pydantic import Field
from torch import nn

from umzoo.backbones.base import Backbone, BackboneInfo, Level
from umzoo.backbones.primus import PrimusS
from umzoo.config import Config
from umzoo.errors import ConfigError
from umzoo.testing import TinyBackbone, check_backbone

from .conftest import broken, report


def test_a_sound_one_passes():
    check_backbone(TinyBackbone)
    assert {row.outcome for row in report("backbone", TinyBackbone).values()} <= {"yes", "n/a"}


def made_with(change):
    """An ``__init__`` that changes the network afterwards."""

    def init(self, config=None):
        TinyBackbone.__init__(self, config)
        change(self)

    return init


def encoded(change):
    """An ``encode`` that changes the levels."""

    def encode(self, image):
        return [change(self, level) for level in TinyBackbone.encode(self, image)]

    return encode


def hidden_weight(self):
    self.hidden = [torch.rand(())]


def only_pairs(self, image):
    if len(image) == 1 and self.training:
        raise RuntimeError("expected two")
    return TinyBackbone.encode(self, image)


def swaps_axes(self, image):
    wide = image.shape[4] > image.shape[3]
    return [level.transpose(3, 4) if wide else level for level in TinyBackbone.encode(self, image)]


def half_overflows(self, level):
    return level / 0 if level.dtype == torch.bfloat16 else level


def knows_the_compiler(self, level):
    return level + 1 if torch.compiler.is_compiling() else level


@pytest.mark.parametrize(
    "members, rows, complaint",
    [
        (
            {"__init__": made_with(lambda self: setattr(self, "stem", nn.Conv3d(1, 1, 1)))},
            ["parameter names", "gradient reaches every parameter"],
            "must be under encoder.* and decoder.*, got stem.weight, stem.bias",
        ),
        (
            {"__init__": made_with(lambda self: self.encoder.append(nn.Conv3d(1, 1, 1)))},
            ["gradient reaches every parameter"],
            "no gradient reaches encoder.2.weight",
        ),
        (
            {"__init__": made_with(lambda self: setattr(self.decoder, "twin", self.encoder[0]))},
            ["one name per tensor"],
            "two names: encoder.0.weight and decoder.twin.weight",
        ),
        (
            {"info": BackboneInfo(1, (Level(4, (1, 1, 1)), Level(9, (2, 2, 2))), 4)},
            ["shapes as in info", "batch of 1", "anisotropic patch"],
            "info promises levels",
        ),
        (
            {"info": BackboneInfo(1, TinyBackbone.info.levels, 5, divisor=(2, 2, 2))},
            ["shapes as in info", "batch of 1", "anisotropic patch"],
            "info promises dense features",
        ),
        (
            {"encode": lambda self, image: TinyBackbone.encode(self, image.mul_(2))},
            ["input unchanged"],
            "in place: image",
        ),
        (
            {"encode": encoded(lambda self, level: level + next(NUMBERS))},
            [
                "same seed, same features",
                "nothing random in evaluation",
                "independent of the batch",
                "state dict round trip",
                "compiled",
            ],
            "equal seeds",
        ),
        (
            {"encode": encoded(lambda self, level: nn.functional.dropout(level, 0.5))},
            ["nothing random in evaluation", "independent of the batch"],
            "must not be random in eval mode",
        ),
        (
            {
                "__init__": made_with(hidden_weight),
                "encode": encoded(lambda self, level: level + self.hidden[0]),
            },
            ["state dict round trip"],
            "with equal state",
        ),
        (
            {"encode": encoded(lambda self, level: level - level.mean(0) * (not self.training))},
            ["independent of the batch"],
            "must not depend on the rest of the batch",
        ),
        ({"encode": only_pairs}, ["batch of 1"], "RuntimeError: expected two"),
        ({"encode": swaps_axes}, ["anisotropic patch"], "info promises levels"),
        ({"encode": encoded(half_overflows)}, ["bf16"], "finite"),
        ({"encode": encoded(knows_the_compiler)}, ["compiled"], "it must give the same features when compiled"),
    ],
)
def test_broken_promises(members, rows, complaint, breaks):
    breaks("backbone", broken(TinyBackbone, **members), rows, complaint)


NUMBERS = iter(range(1, 10_000))


def test_what_it_refuses_is_no_break():
    def encode(self, image):
        if len(image) == 1 and self.training:
            raise ConfigError("give it two at least")
        return TinyBackbone.encode(self, image)

    component = broken(TinyBackbone, encode=encode)
    check_backbone(component)
    row = report("backbone", component)["batch of 1"]
    assert (row.outcome, row.note) == ("refused", "give it two at least")


def test_what_every_row_needs_is_told_once():
    rows = report("backbone", broken(TinyBackbone, encode=lambda self, image: [image @ 1]))
    assert rows["shapes as in info"].outcome == "no"
    assert rows["gradient reaches every parameter"].note == "needs its features in training, see above"
    assert rows["one name per tensor"].outcome == "yes"


class Dropping(PrimusS):
    """Primus in small."""

    def __init__(self, config=None):
        size = {"embed_dim": 36, "heads": 3, "depth": 1, "decoder_channels": 4, "input_shape": (16, 8, 8)}
        super().__init__(self.Config.parse({**size, "in_channels": config.in_channels}))


def _mean(self, image, dense=False, visible=None):
    return PrimusS.forward(self, image, dense)


def _shorter(self, image, dense=False, visible=None):
    features = PrimusS.forward(self, image, dense, visible)
    if visible is not None:
        features.levels[0] = features.levels[0][:, :, 1:]
    return features


def _seen(self, image, dense=False, visible=None):
    features = PrimusS.forward(self, image, dense, visible)
    return features if visible is None else features._replace(levels=[features.levels[0] * image.mean()])


@pytest.mark.parametrize(
    "forward, complaint",
    [
        (_mean, "must be 0 where tokens are dropped"),
        (_shorter, "with dropped tokens"),
        (_seen, "must have no influence"),
    ],
)
def test_broken_dropping_of_tokens(forward, complaint, breaks):
    breaks("backbone", broken(Dropping, forward=forward), ["dropped tokens are not seen"], complaint)


def test_sound_dropping_of_tokens():
    check_backbone(Dropping)


class Wide(TinyBackbone):
    """Reads the image twice, and has positions for one size."""

    name = "wide"
    image_kernels = ("encoder.0.weight", "encoder.beside.weight")

    class Config(Config):
        """Options."""

        in_channels: int = Field(1, description="channels")

    def __init__(self, config=None):
        Backbone.__init__(self, config)
        self._parts((8, 8, 8))

    @classmethod
    def build(cls, options, patch_size=(8, 8, 8)):
        network = cls(options)
        network._parts(patch_size)
        return network

    def _parts(self, size):
        n = self.config.in_channels
        self.encoder = nn.ModuleDict({"0": nn.Conv3d(n, 4, 3, padding=1), "1": nn.Conv3d(4, 8, 2, stride=2)})
        self.encoder["beside"] = nn.Conv3d(n, 4, 1)
        self.decoder = nn.ConvTranspose3d(8, 4, 2, stride=2)
        self.grid = tuple(edge // 4 for edge in size)
        self.encoder.register_parameter("table", nn.Parameter(torch.randn(1, prod(self.grid), 4)))
        known = {"encoder.table": self.grid} if self.declares else {}
        self.info = replace(TinyBackbone.info, in_channels=n, divisor=(4, 4, 4), positions=known)

    declares = True

    def encode(self, image):
        field = self.encoder.table.transpose(1, 2).unflatten(2, self.grid)
        field = nn.functional.interpolate(field, size=image.shape[2:], mode="trilinear")
        fine = (self.encoder["0"](image) + self.encoder["beside"](image) + field).relu()
        return [fine, self.encoder["1"](fine).relu()]


def test_what_reads_the_image_and_the_grid_is_declared(breaks):
    check_backbone(Wide)
    breaks("backbone", broken(Wide, image_kernels=()), ["weights into more channels"], "image_kernels")
    breaks("backbone", broken(Wide, declares=False), ["weights into another patch size"], "info.positions")
