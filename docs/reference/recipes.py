"""The page on recipes: every section of the file, from the classes that read it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from reference.options import options_of
from umzoo.config import Config
from umzoo.data.loading.config import DataConfig
from umzoo.engine.recipe import OptimConfig, PretextConfig, Recipe, TrainerConfig
from umzoo.spec import TaskSpec

INTRODUCTION = """\
# Recipes

<!-- Written by docs/generate.py from the classes themselves: change those, then run it. -->

A recipe is a TOML file that says what is trained, on what, and how. `umzoo pretrain RECIPE --data STORE --out RUN`
takes a file or the name of a shipped recipe: `universal` (ResEnc-L, bf16), `universal_genesis` (the U-Net and
sub-volumes of Models Genesis), `universal_tiny` (minutes on two CPU cores), `restoration_tiny` (restoration alone, with
a small network with instance norm), `vox2vec_tiny` (the same with vox2vec; [evidence.md](evidence.md)) or `tour` (the
recipe of `umzoo quickstart`). `umzoo list recipes` lists them. Any key can be changed on the command line:

```
umzoo pretrain universal_tiny --data STORE --out RUN trainer.steps=200 pretext.tasks.restoration.weight=2
```

Another `name` for a component, as in `backbone.name=resenc_unet_l`, drops the options of the one it replaces.
An element of a list is addressed by its position, its `as` or its `name`. An unknown key is an error that names the
nearest one. `RUN/recipe.toml` is the recipe with all defaults written out. A default of `none` means that the option
is off, or derived from others as its meaning says; `required` means that it must be given.

The options of each backbone, corruption and pretext task are in [zoo.md](zoo.md).

## Resuming

`umzoo pretrain --resume RUN` continues from the newest checkpoint, after an interruption, a failure or a signal: at
SIGTERM, SIGINT, SIGHUP or SIGUSR1 the run saves and stops. Options of `[optim]` and `[trainer]` may be changed, except
`optim.name` and `trainer.ema`. `RUN/recipe.toml` then holds the new value, and `RUN/run.json` records each change with
its step:

```
umzoo pretrain --resume RUN optim.lr=1e-4 trainer.steps=2000
```

If the store was moved, pass its new path once with `--data`. A run that failed before its first checkpoint may be
started again in the same folder; any other run is replaced with `--overwrite` only.

## Metrics

| name | meaning |
| --- | --- |
| `loss` | weighted sum of the task losses |
| `restoration` | restoration loss in the network's input space |
| `restoration.mean` | baseline: the loss of predicting the mean of each clean patch |
| `restoration.identity` | the loss of the corrupted input itself; painted noise makes it large |
| `restoration.explained` | explained share of the variance within patches; predicting the mean of a patch gives 0 |
| `restoration.explained_altered` | the same over altered voxels only |
| `restoration.psnr` | peak signal-to-noise ratio of the restored patch, dB over [0, 1] |
| `scale_classification.accuracy` | accuracy over crops with a scale label |
| `scale_classification.chance` | accuracy by chance; other classification tasks log theirs in the same way |
| `modality_adversarial.accuracy` | accuracy of the adversary during training; not a measure of invariance |
| `probe.modality` | balanced accuracy of a newly trained linear probe for the modality on frozen pooled features |
| `probe.chance` | the chance level of that probe |
| `probe.task` | with `trainer.probe_task`: Dice, AUROC, R2 or C-index of frozen features, cross-validated by subject |
| `probe.task.plain` | baseline: the same for intensity and position, or intensity and size, without anatomy |
| `gradient.TASK` | with several tasks: the task's share of the encoder's gradient, its weight included |
| `health.rank` | effective rank of the pooled features (RankMe): the number of directions they vary in |
| `health.std` | standard deviation of the pooled features over crops, mean over channels |
| `health.dead` | share of channels that hardly vary over crops |
| `wait` | share of the time spent waiting for data |
| `patches_per_second` | patches seen per second, all processes together |

## Trackers

Every run writes `metrics.jsonl` and TensorBoard logs. With `'trainer.trackers=["wandb", "mlflow"]'` the same metrics
and the options are also sent to these trackers, under the project `umzoo`. Their packages must be installed, and their
own environment variables apply, such as `WANDB_MODE` and `MLFLOW_TRACKING_URI`. A resumed run is a new run there, with
the same name, unless a variable names the run to continue (`WANDB_RUN_ID` with `WANDB_RESUME`, `MLFLOW_RUN_ID`).
"""


def render() -> str:
    """Return the whole page."""
    return "\n".join([INTRODUCTION, *_sections()])


def _sections() -> Iterator[str]:
    yield from _section("Top level", "", Recipe, skip=("backbone", "pretext", "data", "optim", "trainer"))
    yield "## `[backbone]`\n"
    yield "`name` and the options of that [backbone](zoo.md#backbones).\n"
    yield from _section("`[pretext]`", "", PretextConfig)
    yield "Entries of `corruptions` hold `name` and the options of that [corruption](zoo.md#corruptions).\n"
    beside = "In addition, the options of the [pretext task](zoo.md#pretext-tasks)."
    yield from _section("Entries of `pretext.tasks`", beside, TaskSpec)
    for title, config in (("`[data]`", DataConfig), ("`[optim]`", OptimConfig), ("`[trainer]`", TrainerConfig)):
        yield from _section(title, inspect.cleandoc(config.__doc__ or ""), config)


def _section(title: str, text: str, config: type[Config], skip: tuple[str, ...] = ()) -> Iterator[str]:
    yield f"## {title}\n"
    if text:
        yield f"{text}\n"
    yield from options_of(config, skip)
