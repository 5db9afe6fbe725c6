"""The quickstart tour: phantoms, store, pre-training, export, embedding, fine-tuning with and without the weights."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import tomli_w
from pydantic import Field
from rich.console import Console
from rich.text import Text

from umzoo.api import from_pretrained
from umzoo.config import Config, Seed
from umzoo.data.phantoms.files import write_labeled, write_phantoms
from umzoo.data.phantoms.phantom import LABELS
from umzoo.data.preparing.prepare import prepare
from umzoo.data.preparing.report_text import report_lines
from umzoo.downstream.embed.config import EmbedConfig
from umzoo.downstream.embed.vector_table import embed_scans
from umzoo.downstream.finetune import FinetuneConfig, Origin, finetune, load_config
from umzoo.downstream.quickstart_comparison import (
    ARMS,
    PRETRAINED,
    Outcome,
    ahead,
    comparison_table,
    read_outcome,
    save_curves,
)
from umzoo.downstream.quickstart_folder import claim
from umzoo.engine.export import export_run
from umzoo.engine.recipe import load_recipe
from umzoo.engine.run import Run, is_run, open_run
from umzoo.engine.trainer import Trainer
from umzoo.errors import UmzooError
from umzoo.scans.listing import list_scans
from umzoo.scans.load import input_of

FIRST_LABELED = 500
"""Number of the first labeled phantom; unlabeled phantoms have smaller numbers, so that none is in both sets."""
BODIES = 1000
"""Phantom numbers reserved for each seed."""


class QuickstartConfig(Config):
    """Size of the tour."""

    volumes: int = Field(16, ge=1, description="unlabeled phantoms of each modality")
    labeled: int = Field(2, ge=1, description="labeled phantoms to fine-tune on")
    validation: int = Field(2, ge=1, description="labeled phantoms for the learning curves, CT and MR in turn")
    test: int = Field(6, ge=1, description="labeled phantoms to test on, CT and MR in turn")
    size: int = Field(80, ge=32, description="edge of a phantom in mm")
    spacing: float = Field(2.5, gt=0, description="mm that phantoms are resampled to")
    recipe: str = Field("tour", description="recipe of the pre-training")
    overrides: tuple[str, ...] = Field((), description="overrides of the recipe's options")
    finetune: tuple[str, ...] = Field(
        (
            "trainer.steps=40",
            "trainer.log_every=5",
            "strategy.validate_every=10",
            "strategy.class_weights=balanced",
            "strategy.checkpoint=last",
            "data.overlap=0",
            "augmentation.enabled=false",
        ),
        description="options of the fine-tuning",
    )
    seed: Seed = Field(0, description="seed of the phantoms and of the pre-training")
    seeds: tuple[Seed, ...] = Field(
        (0,), min_length=1, description="seeds of the fine-tuning; each trains both arms on its own labeled phantoms"
    )


def quickstart(out: Path, config: QuickstartConfig, console: Console) -> list[Outcome]:
    """Run the tour in the folder *out*; stages that an interrupted tour has finished are not repeated.

    Raises:
        ConfigError: if *out* holds anything but a tour with the same options.
    """
    claim(out, config)
    began = time.perf_counter()
    with _stage(console, f"1. Phantoms: {config.volumes} CT and {config.volumes} MR volumes of shared anatomy"):
        first = config.seed * BODIES
        write_phantoms(out / "phantoms", config.volumes, config.volumes, size=(config.size,) * 3, seed=first)
    with _stage(console, "2. umzoo prepare: orient, resample, apply the intensity rules, store"):
        spacing = (config.spacing,) * 3
        sources, modality = [f"phantoms={out / 'phantoms'}"], ("ct=*/ct/*", "mr=*/mr/*")
        report = prepare(sources, out / "store", modality=modality, spacing=spacing)
    for line in report_lines(report, out / "store"):
        console.print(line, markup=False, highlight=False)
    run = _pretrain(out, config, console)
    with _stage(console, "4. umzoo export: a folder of safetensors and JSON"):
        info = export_run(run, out / "weights", license="cc0-1.0")
    console.print(f"   {info.name}, {info.provenance.steps} steps on {info.provenance.volumes} volumes")
    with _stage(console, "5. umzoo embed: a vector for each scan"):
        _embed(out, console)
    outcomes = _finetune(out, config, console)
    console.print(f"Done in {time.perf_counter() - began:.0f} s.")
    return outcomes


def _pretrain(out: Path, config: QuickstartConfig, console: Console) -> Run:
    folder = out / "run"
    resume = is_run(folder)
    recipe = load_recipe(config.recipe, (*config.overrides, f"seed={config.seed}"))
    run = open_run(folder) if resume else Run(folder, recipe, out / "store")
    with _stage(console, f"3. umzoo pretrain: recipe {config.recipe}, {run.recipe.trainer.steps} steps"):
        if Trainer(run, resume=resume, cpu=True).fit() is not None:
            raise UmzooError(f"stopped by a signal, progress is saved in {out}: repeat the command to continue")
    return run


def _embed(out: Path, console: Console) -> None:
    model = from_pretrained(out / "weights", head=False)
    if not (out / "vectors.csv").is_file():
        embed_scans(model, list_scans([out / "store"], input_of(model)), out / "vectors.csv", EmbedConfig())
    console.print(f"   {model.info.levels[-1].channels} numbers a scan: {out / 'vectors.csv'}")


def _finetune(out: Path, config: QuickstartConfig, console: Console) -> list[Outcome]:
    file = _write_labeled(out, config)
    title = f"6. umzoo finetune: {config.labeled} labeled phantoms, {len(config.seeds)} seed(s), both arms"
    with _stage(console, f"{title}, judged on {config.test} others"):
        changes = (*config.finetune, f"labels={config.labeled}")
        outcomes = [
            _fit_arm(out, file, arm, load_config(file, (*changes, f"seed={seed}")), console)
            for seed in config.seeds
            for arm in ARMS
        ]
    save_curves(out / "learning.png", outcomes, str(config.labeled))
    content = [asdict(outcome) for outcome in outcomes]
    (out / "comparison.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    console.print(comparison_table(outcomes))
    if len(config.seeds) > 1:
        console.print(f"{PRETRAINED} is ahead with {ahead(outcomes)} of {len(config.seeds)} seeds")
    console.print(f"Pictures: {out / 'learning.png'}, {out / 'finetune'}/*/pictures, {out / 'run' / 'pictures'}")
    return outcomes


def _write_labeled(out: Path, config: QuickstartConfig) -> Path:
    """Write the labeled phantoms, from which each seed samples, and the TOML file of their task; return the file."""
    counts = {
        "train": config.labeled * len(config.seeds),
        "validation": config.validation,
        "test": config.test,
    }
    first = config.seed * BODIES + FIRST_LABELED
    if not (out / "labeled" / "cases.csv").is_file():  # writing again would invalidate the cache of cases
        write_labeled(out / "labeled", counts, (config.size,) * 3, first)
    return write_task(out / "task.toml")


def write_task(file: Path) -> Path:
    """Write the TOML *file* of the task whose table is ``labeled/cases.csv`` in the same folder; return *file*."""
    classes = [name for name, _ in sorted(LABELS.items(), key=lambda item: item[1])]
    task = {"kind": "segmentation", "data": "labeled/cases.csv", "classes": classes}
    file.write_text(tomli_w.dumps({"task": task}), encoding="utf-8")
    return file


def _fit_arm(out: Path, file: Path, arm: str, config: FinetuneConfig, console: Console) -> Outcome:
    """Fine-tune one arm, unless an interrupted tour has finished it."""
    folder = out / "finetune" / f"{arm.replace(' ', '-')}-{config.seed}"
    console.print(f"   fine-tuning {arm}, seed {config.seed}")
    if not (folder / "summary.json").is_file():
        ref = str(out / "weights")
        origin = Origin(ref) if arm == PRETRAINED else Origin(like=ref)
        shutil.rmtree(folder, ignore_errors=True)
        if finetune(config, file, folder, origin, cpu=True, cases=out / "cases").signal is not None:
            raise UmzooError(f"stopped by a signal, progress is saved in {out}: repeat the command to continue")
    return read_outcome(folder, arm, config.seed)


@contextmanager
def _stage(console: Console, title: str) -> Iterator[None]:
    console.rule(Text(title, "bold"), align="left")
    began = time.perf_counter()
    yield
    console.print(f"   {time.perf_counter() - began:.0f} s", style="dim")
