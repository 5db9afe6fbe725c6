"""The probe of a labeled task during pre-training: ``trainer.probe_task``."""

from __future__ import annotations

import shutil
from pathlib import Path

from umzoo.backbones.base import Backbone
from umzoo.downstream.embed.config import EmbedConfig
from umzoo.downstream.evaluate.config import EvaluateConfig
from umzoo.downstream.evaluate.masks import evaluate_masks
from umzoo.downstream.evaluate.metrics import primary
from umzoo.downstream.evaluate.references import feature_table
from umzoo.downstream.evaluate.run import Evaluation, evaluate
from umzoo.downstream.tasks import load_task
from umzoo.engine.run import PROBE, Run
from umzoo.engine.task_probe import SCORE

CONTROL = "probe.task.plain"
"""Metric of the simple control, which is constant during training."""
NETWORK, SCANS = "network", "scans"


class OnlineProbe:
    """Cross-validated score of frozen features on a labeled task, as in ``umzoo evaluate``, with one seed.

    For a segmentation it is the Dice of a linear decoder of voxels, else the primary metric of a linear probe on the
    coarsest level (mean and maximum pooling).

    Args:
        task: TASK.toml with a table [task]; cases of the split "test" are not used.
        folder: cache folder for the scans of a segmentation.

    Raises:
        ConfigError: if the task cannot be read.
        DataError: if its data cannot be used.
    """

    def __init__(self, task: Path, folder: Path) -> None:
        self.task, self.folder = load_task(task), folder
        self.metric = primary(self.task.kind)
        self.config = EvaluateConfig(seeds=1, draws=0, bootstrap=100, permutations=100)

    def __call__(self, network: Backbone) -> dict[str, float]:
        """Return the scores of *network* and of the control."""
        found = self._evaluate({NETWORK: network})
        for path in self.folder.iterdir():
            if path.name != SCANS:
                shutil.rmtree(path)
        values = {
            score.reference: score.interval.value
            for score in found.scores
            if score.metric == self.metric and score.probe == found.probe
        }
        return {SCORE: values[NETWORK], CONTROL: values[found.table.simple]}

    def _evaluate(self, references: dict[str, Backbone]) -> Evaluation:
        if self.task.kind == "segmentation":
            return evaluate_masks(self.task, references, self.folder, self.config)[0]
        options = EmbedConfig(pooling="mean+max")
        table, _ = feature_table(self.task, references, self.folder, options, draws=self.config.draws)
        return evaluate(table, self.config)


def online_probe(run: Run) -> OnlineProbe | None:
    """Return the probe in the recipe of *run*, or None.

    Raises:
        ConfigError: if its task cannot be read.
        DataError: if its data cannot be used.
    """
    task = run.recipe.trainer.probe_task
    return OnlineProbe(Path(task), run.folder / PROBE) if task else None
