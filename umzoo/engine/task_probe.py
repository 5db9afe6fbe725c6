"""Looks at a labeled task between steps: does the number move that the pre-training is for?"""

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
"""Gives metrics of a frozen network, whose ``weights_info`` says what it expects; :data:`SCORE` is among them."""
SCORE = "probe.task"
"""The metric that decides which step is the best one; more is better."""


def probe_task(
    probe: TaskProbe, model: PretextModel, average: nn.Module | None, input: InputSpec, name: str
) -> dict[str, float]:
    """Return what *probe* finds for the network that would be exported now.

    Args:
        probe: the probe.
        model: what is trained.
        average: the moving average of its backbone, or None.
        input: what the backbone sees in training.
        name: of the weights.
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
