"""The tour: phantoms, store, pre-training, export, fine-tuning from scratch and from the weights, comparison."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tomli_w
from pydantic import Field
from rich.console import Console
from rich.table import Table

from umzoo.config import Config
from umzoo.data.phantom import LABELS, write_labeled, write_phantoms
from umzoo.data.prepare import prepare
from umzoo.data.report_text import report_lines
from umzoo.downstream.claim import claim
from umzoo.downstream.finetune import FinetuneConfig, Origin, finetune, load_config
from umzoo.downstream.pictures import save_losses
from umzoo.engine.export import export_run
from umzoo.engine.log import read_metrics
from umzoo.engine.recipe import load_recipe
from umzoo.engine.run import Run, is_run, open_run
from umzoo.engine.trainer import Trainer
from umzoo.errors import UmzooError

ARMS = ("from scratch", "pre-trained")
LABELED_SEED = 10_000
"""Bodies of labeled phantoms are numbered from here, so that none of them is pre-trained on."""


@dataclass(frozen=True)
class Outcome:
    """What one fine-tuning came to.

    Attributes:
        arm: one of :data:`ARMS`.
        seed: of the head, the random backbone and the crops; the arms share it.
        dice: by class, mean over the held-out volumes.
        losses: training loss, as it was logged.
    """

    arm: str
    seed: int
    dice: dict[str, float]
    losses: tuple[float, ...]


class QuickstartConfig(Config):
    """Size of the tour."""

    volumes: int = Field(8, ge=1, description="unlabeled phantoms of each modality")
    labeled: int = Field(4, ge=1, description="labeled phantoms to fine-tune on, CT and MR in turn")
    held_out: int = Field(4, ge=1, description="labeled phantoms to judge on, CT and MR in turn")
    size: int = Field(80, ge=32, description="edge of a phantom in mm")
    recipe: str = Field("universal_tiny", description="recipe of the pre-training")
    overrides: tuple[str, ...] = Field(
        ("trainer.steps=160", "data.scales=[1.0, 1.75, 3.0]", "trainer.probe_volumes=64"),
        description="changes to it; the scales fit the phantoms",
    )
    finetune: tuple[str, ...] = Field(
        (
            "trainer.steps=70",
            "strategy.validate_every=70",
            "data.batch_size=1",
            "data.patch_size=[48, 48, 48]",
            "data.overlap=0.25",
        ),
        description="options of the fine-tuning; it is judged once, in the end",
    )
    seeds: tuple[int, ...] = Field((0,), min_length=1, description="each fine-tunes both arms once")


def quickstart(out: Path, config: QuickstartConfig, console: Console) -> list[Outcome]:
    """Do the tour in the folder *out*; what an earlier, interrupted tour has finished is not done again.

    Raises:
        ConfigError: if *out* holds anything but a tour with the same options.
    """
    claim(out, config)
    began = time.perf_counter()
    with _stage(console, f"1. Phantoms: {config.volumes} CT and {config.volumes} MR volumes of shared anatomy"):
        write_phantoms(out / "phantoms", config.volumes, config.volumes, size=(config.size,) * 3)
    with _stage(console, "2. umzoo prepare: orient, resample, apply the intensity rules, store"):
        report = prepare([f"phantoms={out / 'phantoms'}"], out / "store", modality=("ct=*/ct/*", "mr=*/mr/*"))
    for line in report_lines(report, out / "store"):
        console.print(line, markup=False, highlight=False)
    run = _pretrain(out, config, console)
    with _stage(console, "4. umzoo export: a folder of safetensors and JSON"):
        info = export_run(run, out / "weights", license="cc0-1.0")
    console.print(f"   {info.name}, {info.provenance.steps} steps on {info.provenance.volumes} volumes")
    outcomes = _finetune(out, config, console)
    console.print(f"Done in {time.perf_counter() - began:.0f} s.")
    return outcomes


def _pretrain(out: Path, config: QuickstartConfig, console: Console) -> Run:
    folder = out / "run"
    resume = is_run(folder)
    run = open_run(folder) if resume else Run(folder, load_recipe(config.recipe, config.overrides), out / "store")
    with _stage(console, f"3. umzoo pretrain: recipe {config.recipe}, {run.recipe.trainer.steps} steps"):
        if Trainer(run, resume=resume, cpu=True).fit() is not None:
            raise UmzooError(f"stopped by a signal, all is saved in {out}: the same command goes on from there")
    return run


def _finetune(out: Path, config: QuickstartConfig, console: Console) -> list[Outcome]:
    size = (config.size,) * 3
    write_labeled(out / "labeled", {"train": config.labeled, "validation": config.held_out}, size, LABELED_SEED)
    file = write_task(out / "task.toml")
    title = f"5. umzoo finetune: {config.labeled} labeled phantoms, {len(config.seeds)} seed(s), both arms"
    with _stage(console, f"{title}, judged on {config.held_out}"):
        outcomes = [
            _fit_arm(out, file, arm, load_config(file, (*config.finetune, f"seed={seed}")), console)
            for seed in config.seeds
            for arm in ARMS
        ]
    save_losses(out / "finetuning.png", [(outcome.arm, outcome.losses) for outcome in outcomes])
    content = [asdict(outcome) for outcome in outcomes]
    (out / "comparison.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    console.print(comparison_table(outcomes))
    console.print(f"Pictures: {out / 'finetuning.png'}, {out / 'finetune'}/*/pictures, {out / 'run' / 'pictures'}")
    return outcomes


def write_task(file: Path) -> Path:
    """Write the TOML of the task in ``labeled/cases.csv`` beside it; return it."""
    classes = [name for name, _ in sorted(LABELS.items(), key=lambda item: item[1])]
    task = {"kind": "segmentation", "data": "labeled/cases.csv", "classes": classes}
    file.write_text(tomli_w.dumps({"task": task}), encoding="utf-8")
    return file


def _fit_arm(out: Path, file: Path, arm: str, config: FinetuneConfig, console: Console) -> Outcome:
    """Fine-tune one arm, unless an earlier tour has done it."""
    folder = out / "finetune" / f"{arm.replace(' ', '-')}-{config.seed}"
    console.print(f"   fine-tuning {arm}, seed {config.seed}")
    if not (folder / "summary.json").is_file():
        ref = str(out / "weights")
        origin = Origin(like=ref) if arm == ARMS[0] else Origin(ref)
        shutil.rmtree(folder, ignore_errors=True)
        if finetune(config, file, folder, origin, cpu=True).signal is not None:
            raise UmzooError(f"stopped by a signal, all is saved in {out}: the same command goes on from there")
    metrics = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["metrics"]
    dice = {name.removeprefix("dice."): value for name, value in metrics.items() if name.startswith("dice.")}
    losses = [line["loss"] for line in read_metrics(folder / "metrics.jsonl") if line.get("loss") is not None]
    return Outcome(arm, config.seed, dice, tuple(losses))


def comparison_table(outcomes: Sequence[Outcome]) -> Table:
    """Mean Dice of each arm on the held-out volumes, with its range over the seeds."""
    table = Table(title="Dice on held-out phantoms, mean over seeds (least to greatest)", title_justify="left")
    table.add_column("fine-tuned")
    for name in (*outcomes[0].dice, "mean"):
        table.add_column(name, justify="right")
    for arm in ARMS:
        scores = np.array([list(outcome.dice.values()) for outcome in outcomes if outcome.arm == arm], float)
        columns = [*scores.T, scores.mean(axis=1)]
        table.add_row(arm, *(f"{c.mean():.3f} ({c.min():.3f} to {c.max():.3f})" for c in columns))
    return table


@contextmanager
def _stage(console: Console, title: str) -> Iterator[None]:
    console.rule(f"[bold]{title}", align="left")
    began = time.perf_counter()
    yield
    console.print(f"   [dim]{time.perf_counter() - began:.0f} s[/]")
