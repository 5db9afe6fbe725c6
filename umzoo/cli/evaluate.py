"""``umzoo evaluate``: compare weights on a labeled task."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from umzoo.cli.output import say
from umzoo.cli.scan_options import Cpu, Levels, Pooling, default_device, numbers


def evaluate(
    task: Annotated[Path, typer.Argument(help="TASK.toml with a table [task]")],
    overrides: Annotated[list[str] | None, typer.Argument(help="changes to it, as task.key=value")] = None,
    weights: Annotated[
        list[str] | None, typer.Option(help="a folder, org/name[@revision], or architecture.tag; repeatable")
    ] = None,
    out: Annotated[Path, typer.Option(help="folder for report, pictures, tables and cached features")] = Path(
        "evaluation"
    ),
    labels: Annotated[str, typer.Option(help="label budgets: subjects or shares, such as 10,25,100%")] = "100%",
    seeds: Annotated[int, typer.Option(min=1, help="repetitions with other folds and labels")] = 3,
    draws: Annotated[int, typer.Option(min=1, help="draws of the random weights to compare with")] = 3,
    crop: Annotated[str, typer.Option(help="crop of D,H,W voxels around the center of the mask, or of the scan")] = "",
    spacing: Annotated[str, typer.Option(help="mm D,H,W, or native; default: that of the weights")] = "",
    levels: Levels = "-1",
    pooling: Pooling = "mean",
    finetune: Annotated[
        bool, typer.Option("--finetune", help="fine-tune each as TASK.toml says, and also train from scratch")
    ] = False,
    invariances: Annotated[
        bool, typer.Option("--invariances", help="also probe modality, source, spacing, side and scale")
    ] = False,
    cpu: Cpu = False,
) -> None:
    """Compare weights on a labeled task, with random weights and simple features as controls."""
    from umzoo.downstream.evaluate import EvaluateConfig
    from umzoo.downstream.evaluate.report import write_page
    from umzoo.downstream.evaluate.results import write_results, write_rows
    from umzoo.downstream.tasks import load_task
    from umzoo.errors import ConfigError

    if not weights:
        raise ConfigError("nothing to evaluate: give --weights REF once or several times")
    config = EvaluateConfig.parse({"labels": labels.split(","), "seeds": seeds, "draws": draws})
    embedding = {"levels": numbers(levels, "--levels"), "pooling": pooling}
    size: Any = numbers(crop, "--crop") if crop else None
    if size is not None and (len(size) != 3 or min(size) < 1):
        raise ConfigError(f"--crop expects three numbers of voxels D,H,W, got '{crop}'")
    if finetune and (crop or spacing):
        raise ConfigError(
            "--crop and --spacing do not go with --finetune: set data.patch_size=[D,H,W] and data.spacing=native"
        )
    loaded = load_task(task, overrides or ())
    references = _loaded(weights, spacing, cpu)
    if finetune:
        refs = dict(zip(references, weights, strict=True))
        found, scans = _tuned(task, overrides or (), refs, out, config, cpu)
    elif loaded.kind == "segmentation":
        found, scans = _masks(loaded, references, out, config)
    else:
        found, scans = _scans(loaded, references, out, config, embedding, size)
    page = write_page(found, f"{loaded.name}: do these weights help?", out)
    write_rows(found, scans, out)
    write_results(found, {name: network.weights_info for name, network in references.items()}, loaded.name, out)
    for comparison in found.comparisons:
        say(f"{comparison.first}, {comparison.budget} of labels: {comparison.verdict}")
    if invariances:
        _properties(loaded, references, out, config, embedding, size, page)
    say(f"page: {page}")


def _loaded(weights: list[str], spacing: str, cpu: bool) -> dict[str, Any]:
    """Networks by name, with the user's *spacing*."""
    import umzoo
    from umzoo.downstream.evaluate.references import at_spacing, named

    device, _ = default_device(cpu)
    networks = [at_spacing(umzoo.from_pretrained(ref, head=False, device=device), spacing) for ref in weights]
    return dict(named([(network.weights_info.name, network) for network in networks]))


def _scans(
    task: Any, references: dict[str, Any], out: Path, config: Any, embedding: dict[str, Any], size: Any
) -> tuple[Any, Any]:
    """Probes of one vector per scan."""
    from umzoo.cli.progress import scan_bar
    from umzoo.downstream.embed.config import EmbedConfig
    from umzoo.downstream.evaluate import evaluate as run
    from umzoo.downstream.evaluate.references import feature_table
    from umzoo.downstream.evaluate.saved_vectors import save_vectors

    options = EmbedConfig.parse(embedding)
    with scan_bar("embedding") as progress:
        table, scans = feature_table(
            task, references, out / "features", options, size, progress=progress, draws=config.draws
        )
    save_vectors(table, scans, out)
    return run(table, config), scans


def _masks(task: Any, references: dict[str, Any], out: Path, config: Any) -> tuple[Any, Any]:
    """A linear decoder of voxels."""
    from umzoo.cli.progress import scan_bar
    from umzoo.downstream.evaluate.masks import evaluate_masks

    with scan_bar("decoding") as progress:
        return evaluate_masks(task, references, out / "features", config, progress=progress)


def _tuned(task: Path, overrides: Any, refs: dict[str, str], out: Path, config: Any, cpu: bool) -> tuple[Any, Any]:
    """Fine-tuning, and the same training from scratch."""
    from umzoo.downstream.evaluate.finetuned import evaluate_finetuned
    from umzoo.downstream.finetune.config import load_config

    return evaluate_finetuned(load_config(task, overrides), task, refs, out / "tuning", config, cpu=cpu)


def _properties(
    task: Any, references: dict[str, Any], out: Path, config: Any, embedding: dict[str, Any], size: Any, page: Path
) -> None:
    """Probes for properties such as modality and spacing."""
    from umzoo.cli.progress import scan_bar
    from umzoo.downstream.embed.config import EmbedConfig
    from umzoo.downstream.evaluate import evaluate as run
    from umzoo.downstream.evaluate.properties import property_tables
    from umzoo.downstream.evaluate.report import add_properties
    from umzoo.downstream.evaluate.results import write_rows

    options = EmbedConfig.parse(embedding)
    with scan_bar("embedding altered scans") as progress:
        tables = property_tables(
            task, references, out / "features", options, size, progress=progress, draws=config.draws
        )
    found = {name: run(it, config.model_copy(update={"labels": ("100%",)})) for name, it in tables.items()}
    add_properties(page, found)
    for name, evaluation in found.items():
        write_rows(evaluation, [str(number) for number in range(len(evaluation.table.subjects))], out / name)
        for comparison in evaluation.comparisons:
            say(f"{comparison.first}, {name}: {comparison.verdict}")
