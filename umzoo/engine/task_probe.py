"""Evaluates the network on a labeled task between steps of the pre-training."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from umzoo.backbones.base import Backbone
from umzoo.engine.evaluate import Evaluating
from umzoo.engine.export import exported_network
from umzoo.pretext.model import PretextModel
from umzoo.spec import InputSpec
from umzoo.weights.folder.info import WeightsInfo

TaskProbe = Callable[[Backbone], dict[str, float]]
"""Returns metrics of a frozen network, including :data:`SCORE`; its ``weights_info`` specifies the input."""
SCORE = "probe.task"
"""The metric that selects the best checkpoint; higher is better."""


def probe_task(
    probe: TaskProbe, model: PretextModel, average: nn.Module | None, input: InputSpec, name: str
) -> dict[str, float]:
    """Return the metrics of *probe* for the network that would be exported now.

    Args:
        probe: the probe.
        model: the trained model.
        average: the moving average of its backbone, or None.
        input: input of the backbone in training.
        name: name of the weights.
    """
    network = exported_network(model)
    if network is model.backbone and isinstance(average, Backbone):
        network = average
    before = network.weights_info
    with Evaluating(network):
        parts = ("encoder", "decoder") if any(task.dense for task in model.tasks.values()) else ("encoder",)
        network.weights_info = WeightsInfo(name=name, backbone=network.spec, parts=parts, input=input)
        try:
            return probe(network)
        finally:
            network.weights_info = before
