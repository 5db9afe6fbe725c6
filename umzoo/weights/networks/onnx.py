"""Exports networks as graphs for any image size, with ``torch.export`` and to ONNX."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from umzoo.backbones.base import Backbone, Size
from umzoo.errors import ConfigError, PluginError, in_one_line
from umzoo.heads.model import Model

AXES = ("depth", "height", "width")


def export_program(model: Backbone | Model, size: Size | None = None) -> ExportedProgram:
    """Return *model* as a graph for any batch size and any usable size of image ``(B, C, D, H, W)``.

    With *size* (D, H, W), the graph is for that image size only. Some networks can only be exported this way.

    The graph is in evaluation mode and returns a plain tuple: the head's output; or for a backbone its levels from fine
    to coarse, ``pooled``, and the dense features if there is a decoder (see :func:`output_names`).

    Raises:
        ConfigError: if PyTorch cannot export the network for unknown image sizes, or *size* is not usable.
    """
    backbone = model.backbone if isinstance(model, Model) else model
    if size is None and backbone.fixed_export:
        raise ConfigError(
            f"{backbone.name} can be exported only for one image size: give its size ({backbone.fixed_export})"
        )
    if size is not None and model.info.nearest_size(size) != size:
        raise ConfigError(
            f"{backbone.name} does not support size {size}: the nearest usable size is {model.info.nearest_size(size)}"
        )
    dims = {0: Dim("batch", max=1 << 12), **({} if size else _sizes(model.info.divisor))}
    image = torch.zeros(2, model.info.in_channels, *(size or _example(model.info.divisor)))
    image = image.to(next(model.parameters()).device)
    modes = {module: module.training for module in model.modules()}
    try:
        with torch.no_grad():
            return torch.export.export(_Outputs(model).eval(), (image,), dynamic_shapes=(dims,), strict=False)
    except (RuntimeError, ValueError, TypeError, AssertionError, torch._dynamo.exc.UserError) as error:
        raise ConfigError(f"{backbone.name} cannot be exported: {in_one_line(error, 200)}") from error
    finally:
        for module, mode in modes.items():
            module.training = mode


def output_names(model: Backbone | Model) -> list[str]:
    """Return the output names of :func:`export_program` and :func:`write_onnx`, in order."""
    if isinstance(model, Model):
        return ["answer"]
    levels = [f"level{number}" for number in range(len(model.info.levels))]
    return [*levels, "pooled", *([] if model.info.decoder_channels is None else ["dense"])]


def write_onnx(model: Backbone | Model, file: Path | str, size: Size | None = None) -> Path:
    """Write *model* as ONNX to *file*, for any image size or only for *size*, see :func:`export_program`.

    The input is named ``image``, and the outputs are named as in :func:`output_names`. The weights of large networks
    are written to a second file with the suffix ``.data``.

    Raises:
        ConfigError: if the network cannot be exported.
        PluginError: if onnx and onnxscript are not installed.
    """
    try:
        import onnxscript  # noqa: F401 - the exporter of PyTorch needs it
    except ImportError as error:
        raise PluginError(f"ONNX export needs onnx and onnxscript ({error}): pip install 'umzoo[onnx]'") from None
    program, file = export_program(model, size), Path(file)
    options: dict[str, Any] = {"input_names": ["image"], "output_names": output_names(model), "verbose": False}
    try:
        torch.onnx.export(program, (), file, dynamo=True, **options)
    except torch.onnx.errors.OnnxExporterError as error:
        raise ConfigError(f"the network cannot be converted to ONNX: {in_one_line(error, 200)}") from error
    return file


class _Outputs(nn.Module):
    """A network that returns a tuple of tensors."""

    def __init__(self, model: Backbone | Model) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs for *image* ``(B, C, D, H, W)``."""
        if isinstance(self.model, Model):
            return (self.model(image),)
        dense = self.model.info.decoder_channels is not None
        features = self.model(image, dense=dense)
        return (*features.levels, features.pooled, *([features.dense] if dense else []))


def _sizes(divisor: Size) -> dict[int, Any]:
    """The image edges by axis: multiples of *divisor*, at least 4 voxels."""
    sizes: dict[int, Any] = {}
    for axis, (name, step) in enumerate(zip(AXES, divisor, strict=True), start=2):
        blocks = Dim(f"{name}_blocks", min=1 if step >= 4 else 4, max=1 << 10)
        sizes[axis] = step * blocks if step > 1 else blocks
    return sizes


def _example(divisor: Size) -> Size:
    """A usable size with different edges if possible, so that the export does not treat two axes as equal."""
    depth, height, width = (edge * max(4 // edge, 1) * count for edge, count in zip(divisor, (2, 3, 4), strict=True))
    return depth, height, width
