"""The tour: phantoms, store, pre-training, export, fine-tuning from scratch and from the weights, comparison."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from pydantic import Field
from rich.console import Console
from rich.table import Table

from umzoo.config import Config
from umzoo.data.phantom import LABELS, make_phantom, write_phantoms
from umzoo.data.prepare import prepare
from umzoo.downstream.claim import claim
from umzoo.downstream.compare import ARMS, Outcome, compare
from umzoo.downstream.finetune import FinetuneConfig
from umzoo.downstream.pictures import save_losses, save_segmentations
from umzoo.downstream.volumes import LabelledVolume, label_volume
from umzoo.engine.export import export_run
from umzoo.engine.recipe import load_recipe
from umzoo.engine.run import Run, is_run, open_run
from umzoo.engine.trainer import Trainer
from umzoo.errors import UmzooError
from umzoo.spec import InputSpec
from umzoo.weights.io import read_info

LABELLED_SEED = 10_000
"""Bodies of labelled phantoms are numbered from here, so that none of them is pre-trained on."""


class QuickstartConfig(Config):
    """Size of the tour."""

    volumes: int = Field(8, ge=1, description="unlabelled phantoms of each modality")
    labelled: int = Field(4, ge=1, description="labelled phantoms to fine-tune on, CT and MR in turn")
    held_out: int = Field(4, ge=1, description="labelled phantoms to judge on, CT and MR in turn")
    size: int = Field(80, ge=32, description="edge of a phantom in mm")
    recipe: str = Field("universal_tiny", description="recipe of the pre-training")
    overrides: tuple[str, ...] = Field(
        ("trainer.steps=160", "data.scales=[1.0, 1.75, 3.0]", "trainer.probe_volumes=64"),
        description="changes to it; the scales fit the phantoms",
    )
    finetune: FinetuneConfig = Field(
        FinetuneConfig(steps=70, batch_size=1, patch_size=(48, 48, 48)), description="options of the fine-tuning"
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
        report = prepare([out / "phantoms"], out / "store", modality=("ct=*/ct/*", "mr=*/mr/*"))
    console.print(report.render())
    run = _pretrain(out, config, console)
    with _stage(console, "4. umzoo export: a folder of safetensors and JSON"):
        info = export_run(run, out / "weights", licence="cc0-1.0")
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
    spec = read_info(out / "weights").input
    train = labelled_phantoms(config.labelled, LABELLED_SEED, config.size, spec)
    held_out = labelled_phantoms(config.held_out, LABELLED_SEED + config.labelled, config.size, spec)
    steps, seeds = config.finetune.steps, len(config.seeds)
    title = f"5. Fine-tune on {len(train)} labelled phantoms, {steps} steps, {seeds} seed(s), judge on {len(held_out)}"
    with _stage(console, title):
        outcomes = compare(
            out / "weights",
            train,
            held_out,
            len(LABELS),
            config.finetune,
            config.seeds,
            lambda doing: console.print(f"   {doing}"),
        )
    shown = min(4, len(held_out))
    names = [("CT", "MR")[number % 2] for number in range(shown)]
    save_segmentations(out / "segmentations.png", held_out[:shown], outcomes, names)
    save_losses(out / "finetuning.png", outcomes)
    _write(out / "comparison.json", outcomes)
    console.print(comparison_table(outcomes))
    console.print(f"Pictures: {out / 'segmentations.png'}, {out / 'finetuning.png'}, {out / 'run' / 'pictures'}")
    return outcomes


def labelled_phantoms(count: int, seed: int, size: int, spec: InputSpec) -> list[LabelledVolume]:
    """Return *count* labelled phantoms, CT and MR in turn, of bodies numbered from *seed*."""
    phantoms = (make_phantom(seed + number, ("ct", "mr")[number % 2], size=(size,) * 3) for number in range(count))
    return [label_volume(phantom.image, phantom.label, phantom.modality, spec) for phantom in phantoms]


def comparison_table(outcomes: Sequence[Outcome]) -> Table:
    """Mean Dice of each arm on the held-out volumes, with its range over the seeds."""
    table = Table(title="Dice on held-out phantoms, mean over seeds (least to greatest)", title_justify="left")
    table.add_column("fine-tuned")
    names = [name for name, code in sorted(LABELS.items(), key=lambda item: item[1]) if code]
    for name in (*names, "mean"):
        table.add_column(name, justify="right")
    for arm in ARMS:
        scores = np.array([outcome.dice for outcome in outcomes if outcome.arm == arm])
        columns = [*scores.T, scores.mean(axis=1)]
        table.add_row(arm, *(f"{c.mean():.3f} ({c.min():.3f} to {c.max():.3f})" for c in columns))
    return table


def _write(file: Path, outcomes: Sequence[Outcome]) -> None:
    content = [{"arm": o.arm, "seed": o.seed, "dice": o.dice, "losses": o.losses} for o in outcomes]
    file.write_text(json.dumps(content, indent=1), encoding="utf-8")


@contextmanager
def _stage(console: Console, title: str) -> Iterator[None]:
    console.rule(f"[bold]{title}", align="left")
    began = time.perf_counter()
    yield
    console.print(f"   [dim]{time.perf_counter() - began:.0f} s[/]")
