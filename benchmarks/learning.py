"""Do the pretext tasks learn what they ask? Each on real volumes, against the answer that takes no learning.

    python benchmarks/learning.py STORE [--task NAME ...]

A fifth of the subjects of each data set is held out. Each task trains a small network on the others, and is judged on
crops of those held out, before and after: by a number that it logs, and by the one to beat that it logs beside it (the
chance of guessing right, or the loss of a constant answer). Tasks that classify what was done to a volume are trained
on textures as well, which have no anatomy and no direction: there they must stay at chance, or something else than
the image gives the answer away.

Results of tasks that are not run are kept; the section of docs/methods.md is written from all.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import torch
from report import RESULTS, write_results
from rich.console import Console

from umzoo.data.loading.loader import Loader
from umzoo.data.loading.open_store import open_store
from umzoo.data.preparing.prepare import prepare
from umzoo.data.store.reader import Store
from umzoo.engine.log import read_metrics
from umzoo.engine.recipe import Recipe
from umzoo.engine.run import Run
from umzoo.engine.trainer import Trainer
from umzoo.fields import Rng

NAME = "learning"
PAGE = Path(__file__).parents[1] / "docs" / "methods.md"
TITLE = "## Do they learn?"

RESENC = {"name": "resenc_unet_s", "features_per_stage": [4, 8, 16, 32], "n_blocks_per_stage": 1}
PRIMUS = {"name": "primus_s", "embed_dim": 72, "heads": 4, "depth": 4, "decoder_channels": 16}

SHARED: dict[str, Any] = {
    "data": {"batch_size": 16, "scales": [1.0], "matched": 0.0, "workers": 0},
    "optim": {"name": "adamw", "lr": 2e-3, "warmup_steps": 30},
    "trainer": {"steps": 250, "log_every": 10, "checkpoint_every": 250, "picture_every": 250, "probe_every": 250},
}
"""What all recipes have in common."""
SPAN = 5
"""Log lines that are the first, and the last."""
BATCHES = 30
"""Batches of held-out crops that a network is judged on."""
ERRORS = 3
"""Standard errors by which a difference must exceed 0 to count."""


@dataclass(frozen=True)
class Case:
    """A task with its backbone.

    Attributes:
        task: the entry of the recipe.
        scores: metric that is logged, and the one to beat (a metric or a number).
        backbone: the entry of the recipe.
        edge: voxels along each edge of a patch.
        control: whether it must stay at chance on textures.
    """

    task: dict[str, Any]
    scores: dict[str, str | float]
    backbone: dict[str, Any] = field(default_factory=lambda: RESENC)
    edge: int = 24
    control: bool = False

    def recipe(self) -> Recipe:
        """Return the whole recipe."""
        data = {**SHARED["data"], "patch_size": [self.edge] * 3}
        return Recipe.parse({**SHARED, "data": data, "backbone": self.backbone, "pretext": {"tasks": [self.task]}})


PLACE_DICE = 0.207
"""Dice of answering each class's share at each place, from 4,000 draws: blocks are rarer at the borders."""
ORDER: dict[str, str | float] = {"accuracy": "chance"}
LOSS: dict[str, str | float] = {"loss": "baseline"}
CASES = {
    "rotation": Case({"name": "rotation"}, ORDER, control=True),
    "jigsaw": Case({"name": "jigsaw"}, ORDER, edge=32, control=True),
    "rubik": Case({"name": "rubik"}, {**ORDER, "turn_accuracy": 0.5}, edge=32, control=True),
    "simclr": Case({"name": "simclr"}, ORDER),
    "voco": Case({"name": "voco"}, {**ORDER, **LOSS}, edge=32),
    "mae dense": Case({"name": "mae", "mode": "dense"}, LOSS),
    "mae sparse": Case({"name": "mae", "mode": "sparse"}, LOSS),
    "mae tokens": Case({"name": "mae", "mode": "tokens"}, LOSS, PRIMUS),
    "volume_fusion": Case({"name": "volume_fusion"}, {**LOSS, "dice": PLACE_DICE}, edge=32),
    "dino": Case({"name": "dino"}, {"crop_loss": "baseline"}, edge=32),
    "jepa": Case({"name": "jepa"}, {"explained": 0.0}, edge=32),
    "vox2vec": Case({"name": "vox2vec"}, ORDER),
}


def main() -> None:
    """Run the cases one after the other; write the results after each."""
    arguments = _parse()
    store = open_store(arguments.store)
    settings = {"recipe": SHARED, "data": describe(store)}
    kept = _read()
    if any(kept.get(key) != value for key, value in settings.items()):
        kept = {"about": "", "rows": {}}
    about, rows = arguments.about or kept["about"], kept["rows"]
    torch.set_num_threads(1)
    for label in arguments.task or CASES:
        rows[label] = run(CASES[label], store)
        Console(width=140).print_json(data={label: rows[label]})
        write_results(NAME, {**settings, "about": about, "rows": {name: rows[name] for name in CASES if name in rows}})
    write_section()


def _read() -> dict[str, Any]:
    file = RESULTS / f"{NAME}.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def run(case: Case, store: Store) -> dict[str, Any]:
    """Train *case* on *store*, and on textures if it has a control."""
    began = time.perf_counter()
    row = {"task": case.task, "backbone": case.backbone, "edge": case.edge, "scores": learn(case, store)}
    if case.control:
        with tempfile.TemporaryDirectory() as folder:
            row["control"] = learn(case, write_textures(Path(folder)))
    return {**row, "minutes": round((time.perf_counter() - began) / 60, 1)}


def learn(case: Case, store: Store) -> dict[str, Any]:
    """Train on a part of *store* and return, for each score, what it was in the log and on the held-out part."""
    training, held_out = split(store)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(Run(Path(folder) / "run", case.recipe(), store.path, tuple(training)), cpu=True)
        unseen = open_store(store.path, held_out)
        before = list(judge(trainer, unseen))
        if signum := trainer.fit():
            raise SystemExit(f"stopped by signal {signum} at step {trainer.step}: nothing is written of this task")
        after = list(judge(trainer, unseen))
        log = [line for line in read_metrics(trainer.run.folder / "metrics.jsonl") if "loss" in line]
    label, results = case.task["name"], {}
    for name, target in case.scores.items():
        metric = label if name == "loss" else f"{label}.{name}"
        to_beat = f"{label}.{target}" if isinstance(target, str) else target
        results[name] = compare(metric, to_beat, before, after, log)
    return results


def compare(
    metric: str, target: str | float, before: list[dict[str, float]], after: list[dict[str, float]], log: list[Any]
) -> dict[str, Any]:
    """Compare *metric* with its *target*, batch by batch; a loss must be less, all else more."""
    sign = -1 if "." not in metric or metric.endswith("loss") else 1
    goals = [line[target] if isinstance(target, str) else target for line in after]
    beats = [sign * (line[metric] - goal) for line, goal in zip(after, goals, strict=True)]
    gains = [sign * (b[metric] - a[metric]) for a, b in zip(before, after, strict=True)]
    values = {
        "to_beat": statistics.mean(goals),
        "first": statistics.mean(line[metric] for line in log[:SPAN]),
        "last": statistics.mean(line[metric] for line in log[-SPAN:]),
        "before": statistics.mean(line[metric] for line in before),
        "after": statistics.mean(line[metric] for line in after),
        "error": _error([line[metric] for line in after]),
    }
    rounded = {name: round(value, 4) for name, value in values.items()}
    return {**rounded, "beats": _exceeds(beats), "gained": _exceeds(gains)}


def _error(values: list[float]) -> float:
    """Standard error of the mean."""
    return statistics.stdev(values) / math.sqrt(len(values))


def _exceeds(differences: list[float]) -> bool:
    return statistics.mean(differences) > ERRORS * _error(differences)


@torch.no_grad()
def judge(trainer: Trainer, store: Store) -> Iterator[dict[str, float]]:
    """Yield loss and metrics of each of some batches of *store*, always the same ones."""
    trainer.model.eval()
    with Loader(store, trainer.recipe.data, seed=1) as loader:
        for number, raw in zip(range(BATCHES), loader, strict=False):
            output = trainer.model(
                *trainer.prepare_batch(raw, Rng(1, number, device=trainer.device, items=range(trainer.batch_size)))
            )
            yield {name: float(value.float().nanmean()) for name, value in output.parts.items()}
    trainer.model.train()


def split(store: Store) -> tuple[list[str], list[str]]:
    """Return the volumes to train on, and those of a fifth of each data set's subjects.

    Subjects are ordered by the ids of their volumes, which are the same in each store that holds these scans.
    """
    subjects: dict[str, dict[str, None]] = {}
    for record in sorted(store.records, key=lambda record: record.id):
        subjects.setdefault(record.source, {})[record.subject] = None
    held_out = {(source, name) for source, names in subjects.items() for name in list(names)[: len(names) // 5]}
    parts: tuple[list[str], list[str]] = [], []
    for record in store.records:
        parts[(record.source, record.subject) in held_out].append(record.id)
    return parts


def describe(store: Store) -> list[dict[str, Any]]:
    """Data sets of *store* with their numbers of volumes and subjects, and how many volumes are held out."""
    held_out = set(split(store)[1])
    groups: dict[tuple[str, str], list[Any]] = {}
    for record in store.records:
        groups.setdefault((record.source, record.modality), []).append(record)
    return [
        {
            "source": source,
            "modality": modality,
            "volumes": len(records),
            "subjects": len({record.subject for record in records}),
            "held_out": sum(record.id in held_out for record in records),
        }
        for (source, modality), records in sorted(groups.items())
    ]


def write_textures(folder: Path, count: int = 40, edge: int = 56) -> Store:
    """Write isotropic Gaussian textures of several grain sizes, and return the store made of them."""
    (folder / "scans").mkdir()
    frequency = np.meshgrid(*[np.fft.fftfreq(edge)] * 3, indexing="ij")
    radius = np.sqrt(sum(axis**2 for axis in frequency))
    for number in range(count):
        rng = np.random.default_rng(number)
        noise = np.fft.fftn(rng.normal(size=(edge,) * 3))
        image = np.fft.ifftn(noise * np.exp(-2 * (np.pi * rng.uniform(0.5, 3) * radius) ** 2)).real
        image = (500 + 100 * image / image.std()).astype(np.float32)
        nibabel.save(nibabel.Nifti1Image(image, np.eye(4)), folder / "scans" / f"{number}.nii.gz")
    prepare([folder / "scans"], folder / "store", modality=("mr=*",), workers=0)
    return open_store(folder / "store")


def write_section() -> None:
    """Put the section on the page, in the place of the one before."""
    page = PAGE.read_text(encoding="utf-8").partition(TITLE)[0].rstrip()
    PAGE.write_text(f"{page}\n\n{section()}", encoding="utf-8")


def section() -> str:
    """Return the section of docs/methods.md, of what :data:`RESULTS` holds."""
    result = _read()
    recipe = result["recipe"]
    introduction = INTRODUCTION.format(
        title=TITLE,
        steps=recipe["trainer"]["steps"],
        batch=recipe["data"]["batch_size"],
        data=", ".join(map(_sentence, result["data"])),
        about=f"{result['about']}\n" if result["about"] else "",
        span=SPAN * recipe["trainer"]["log_every"],
        crops=BATCHES,
        errors=ERRORS,
    )
    rows = [(label, row, *score) for label, row in result["rows"].items() for score in row["scores"].items()]
    return introduction + "".join(_line(*row) for row in rows)


def _line(label: str, row: dict[str, Any], metric: str, score: dict[str, Any]) -> str:
    control = row.get("control", {}).get(metric)
    cells = [f"`{label}`", f"`{row['backbone']['name']}`", f"{row['edge']}³", metric]
    cells += [f"{score[name]:.3f}" for name in ("to_beat", "first", "last", "before")]
    cells += [_trained(score), _verdict(score), _trained(control) if control else ""]
    return f"| {' | '.join(cells)} |\n"


def _trained(score: dict[str, Any]) -> str:
    return f"{score['after']:.3f} ± {score['error']:.3f}"


def _sentence(group: dict[str, Any]) -> str:
    return f"`{group['source']}` {group['volumes']} {group['modality'].upper()} ({group['held_out']} held out)"


def _verdict(score: dict[str, Any]) -> str:
    return "yes" if score["beats"] and score["gained"] else "as before training" if score["beats"] else "no"


INTRODUCTION = """\
{title}

The table shows whether `vox2vec` and each task of the packages under `plugins/` are learned on real volumes, beyond a
baseline without learning. One run each, one seed, {steps} steps of {batch} patches. Networks and runs are tiny: a *yes*
means that the task is learned, not that the features are useful.

Volumes: {data}.
{about}

- *to beat*: chance, or the loss of a prediction without learning: for `mae` the mean of the nearby visible voxels;
  for `voco` the best constant cosine; for `dino` the teacher's mean distribution, whatever the crop; for
  `volume_fusion` each class's overall share, and for its Dice its share at each position. `jepa` must explain more
  than the mean of the hidden features does.
- *first*, *last*: in the log, means over the first and the last {span} steps.
- *untrained*, *trained*: on {crops} batches from held-out subjects, ± one standard error over batches. An
  untrained network beats chance in tasks that match similar images, such as `simclr`, `voco` and `vox2vec`.
- *learns*: better than both by more than {errors} standard errors.
- *textures*: the same task, trained and evaluated on isotropic textures without anatomy. A result other than chance
  would mean that borders or the way patches are cut reveal the target.

`python benchmarks/learning.py STORE` makes the table; the recipes are in that file.

| task | backbone | patch | metric | to beat | first | last | untrained | trained | learns | textures |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("store", type=Path, help="store made by umzoo prepare")
    parser.add_argument("--about", help="what to say of volumes and results on the page; default: as before")
    parser.add_argument("--task", action="append", choices=list(CASES), help="may be given again; default: all")
    return parser.parse_args()


if __name__ == "__main__":
    main()
