"""``umzoo list``, ``umzoo plugins``, ``umzoo info`` and ``umzoo import``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from umzoo.cli.hub import Offline
from umzoo.cli.tables import fact_table, table

if TYPE_CHECKING:
    from rich.table import Table

    from umzoo.hub.catalogue import Look
    from umzoo.registry import Registry
    from umzoo.weights.entry import WeightsEntry


def list_(
    kind: Annotated[
        str | None, typer.Argument(help="backbone, corruption, pretext_task, head, weights, importer")
    ] = None,
    pattern: Annotated[str, typer.Argument(help="shell pattern, such as '*unet*'")] = "*",
    pretrained: Annotated[
        bool, typer.Option("--pretrained", help="registered weights: 'umzoo list --pretrained [PATTERN]'")
    ] = False,
) -> None:
    """List what the plug-ins bring: all kinds, or one, by name (backbones with size); or registered weights."""
    from rich.console import Console
    from rich.text import Text

    from umzoo.errors import UnknownNameError, nearest
    from umzoo.plugins import zoo

    if pretrained:
        Console().print(_registered_weights(kind or pattern))
        return
    registries = zoo().registries
    chosen = registries if kind is None else {name: it for name, it in registries.items() if _same_kind(kind, name)}
    if not chosen:
        hint = nearest(kind or "", registries)
        raise UnknownNameError(f"unknown kind '{kind}'{hint}: give one of {', '.join(registries)}")
    origins = {plugin.name: plugin.origin for plugin in zoo().plugins if not plugin.reason}
    sizes = list(chosen) == ["backbone"]
    rows = table("kind", "name", "from", "licence", *(["parameters"] if sizes else []), "")
    for name, registry in chosen.items():
        for entry in registry.list(pattern):
            origin = origins[registry.owner(entry)]
            size = [_parameters(entry)] if sizes else []
            rows.add_row(name, entry, origin, _licence(origin), *size, Text(_summary(registry, entry)))
    nothing = f"nothing of kind {kind or 'any'} matches '{pattern}'"
    Console().print(rows if rows.row_count else nothing)


def plugins() -> None:
    """Show every plug-in: what it brings, or why it was not loaded."""
    from rich.console import Console
    from rich.text import Text

    from umzoo import __version__
    from umzoo.plugins import zoo

    rows = table("plug-in", "from", "version", "brings")
    for plugin in zoo().plugins:
        brings = "\n".join(f"{kind}: {', '.join(names)}" for kind, names in plugin.entries.items())
        status = Text(f"not loaded: {plugin.reason}", style="red") if plugin.reason else Text(brings or "nothing")
        version = plugin.version or (__version__ if plugin.origin == "umzoo" else "")
        rows.add_row(plugin.name, plugin.origin, version, status)
    Console().print(rows)


def info(
    ref: Annotated[str, typer.Argument(help="weights folder, org/name[@revision], architecture.tag, run, or store")],
    offline: Offline = False,
) -> None:
    """Describe weights, a run or a store; of weights on the Hub the tensors are not downloaded."""
    from rich.console import Console

    folder, console = Path(ref), Console()
    if (folder / "store.json").is_file():
        console.print(_describe_store(folder))
    elif (folder / "recipe.toml").is_file():
        console.print(_describe_run(folder))
    else:
        from umzoo.errors import WeightsError
        from umzoo.hub.access import Access
        from umzoo.hub.catalogue import look, not_imported

        if entry := not_imported(ref):
            console.print(_describe_entry(entry))
            return
        if folder.is_dir() and not (folder / "config.json").is_file():
            raise WeightsError(
                f"{ref} is neither weights (config.json), nor a run (recipe.toml), nor a store (store.json)"
            )
        console.print(_describe_weights(look(ref, access=Access(local_files_only=offline))))


def import_(
    importer: Annotated[str, typer.Argument(help="importer, such as models_genesis; see 'umzoo list importer'")],
    source: Annotated[
        str,
        typer.Argument(help="checkpoint or folder of the other project, org/name[@revision] on the Hub, or https://"),
    ],
    out: Annotated[Path, typer.Argument(help="weights folder to write")],
    options: Annotated[list[str] | None, typer.Argument(help="options of the importer, as key=value")] = None,
    licence: Annotated[str, typer.Option(help="SPDX identifier of the weights")] = "unknown",
) -> None:
    """Turn another project's checkpoint into a weights folder."""
    from rich.console import Console

    from umzoo.hub.access import Access
    from umzoo.hub.imported import import_released
    from umzoo.hub.refs import place_of
    from umzoo.overrides import apply_override
    from umzoo.plugins import zoo

    spec = {"name": importer}
    for option in options or ():
        apply_override(spec, option)
    if (place := place_of(source)) is not None:
        import_released(spec, place, out, Access(), licence)
    else:
        zoo().importers.build(spec).run(Path(source), out, licence)
    Console().print(f"wrote {out}; look at it with [bold]umzoo info {out}[/]", highlight=False)


def _registered_weights(pattern: str) -> Table | str:
    """The registered weights that match *pattern*: their licence, and where they are."""
    from rich.text import Text

    from umzoo.plugins import zoo

    known = [zoo().weights[name] for name in zoo().weights.list(pattern)]
    if not known:
        return f"no registered weights match '{pattern}': look on the Hub with 'umzoo search'"
    rows = table("weights", "licence", "where", "")
    for entry in known:
        where = f"{entry.location}@{entry.revision[:12]}" if entry.revision else entry.location
        rows.add_row(entry.name, entry.licence, where, Text(entry.description))
    return rows


def _parameters(backbone: str) -> str:
    """Parameters of *backbone* with its default options, in millions."""
    from umzoo.weights.construct import count_parameters

    count = count_parameters(backbone)
    return "?" if count is None else f"{count / 1e6:.1f} M"


def _licence(distribution: str) -> str:
    """Licence of a plug-in's package, as its metadata say."""
    from importlib.metadata import PackageNotFoundError, metadata

    try:
        known = metadata(distribution).json
    except PackageNotFoundError:
        return ""
    return str(known.get("license_expression") or known.get("license") or "")


def _same_kind(asked: str, kind: str) -> bool:
    """Whether the user means *kind*: ``backbones`` and ``pretext-task`` are understood too."""
    asked = asked.lower().replace("-", "_")
    return kind in (asked, asked.removesuffix("s"))


def _summary(registry: Registry[Any], name: str) -> str:
    """First line of the documentation of entry *name*."""
    entry = registry[name]
    text = getattr(entry, "description", None) or (entry.__doc__ if isinstance(entry, type) else "") or ""
    return text.strip().partition("\n")[0]


def _describe_entry(entry: WeightsEntry) -> Table:
    """What the catalogue says of weights that another project released, before they are brought here."""
    facts = {
        "what": entry.description,
        "where": entry.location,
        "revision": entry.revision,
        "files": ", ".join(entry.files),
        "sha256": entry.sha256,
        "importer": ", ".join([entry.importer, *(f"{name}={value}" for name, value in entry.options.items())]),
        "licence": " ".join(filter(None, (entry.licence, entry.licence_link))),
        "here": "no: downloaded and imported when it is first loaded",
    }
    return fact_table(f"weights {entry.name}", facts)


def _describe_weights(seen: Look) -> Table:
    info = seen.info
    spec, provenance = info.input, info.provenance
    facts = {
        "where": seen.where,
        **seen.repository,
        "architecture": info.backbone.name,
        "plug-in": info.plugin,
        **{f"  {name}": value for name, value in info.backbone.options.items()},
        "parts": ", ".join(info.parts),
        "tensors": "" if seen.values is None else f"{seen.tensors}, {seen.values:,} values",
        "size": ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in seen.sizes.items()),
        "input": f"{spec.in_channels} channel(s), {spec.space}, axes {spec.axes}, orientation {spec.orientation}",
        "spacing": "native" if spec.spacing is None else f"{spec.spacing} mm (D, H, W)",
        "patch size": spec.patch_size,
        "intensity": "; ".join(f"{name}: {rule.window or rule.percentiles}" for name, rule in spec.rules.items()),
        "imported from": info.imported_from and " ".join((info.imported_from.location, info.imported_from.revision)),
        "pretext tasks": ", ".join(info.pretext_tasks),
        "trained on": f"{provenance.volumes} volumes: {_counts(provenance.datasets)}" if provenance.volumes else "",
        "modalities": _counts(provenance.modalities),
        "steps": provenance.steps or None,
        "metrics": ", ".join(f"{name} {value:.4g}" for name, value in provenance.metrics.items()),
        "versions": provenance.versions,
        "licence": info.licence,
        "cite": "\n".join(info.citations),
    }
    return fact_table(f"weights {info.name} (format {info.format})", facts)


def _describe_run(folder: Path) -> Table:
    from umzoo.engine.checkpoint import latest_checkpoint
    from umzoo.engine.log import read_metrics
    from umzoo.engine.recipe import load_recipe

    recipe = load_recipe(folder / "recipe.toml")
    newest = latest_checkpoint(folder / "checkpoints")
    metrics = folder / "metrics.jsonl"
    lines = list(read_metrics(metrics)) if metrics.is_file() else []
    facts = {
        "backbone": recipe.backbone.name,
        **{f"  {name}": value for name, value in recipe.backbone.options.items()},
        "corruptions": ", ".join(spec.name for spec in recipe.pretext.corruptions),
        "tasks": ", ".join(f"{task.label} (weight {task.weight:g})" for task in recipe.pretext.tasks),
        "patch size": recipe.data.patch_size,
        "batch size": recipe.data.batch_size,
        "steps": f"{lines[-1]['step'] if lines else 0} of {recipe.trainer.steps} logged",
        "newest checkpoint": newest.name if newest else "none yet",
        "last metrics": ", ".join(_metric(name, value) for name, value in (lines[-1] if lines else {}).items()),
        "seed": recipe.seed,
    }
    return fact_table(f"run of recipe {recipe.name}", facts)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in sorted(counts.items()))


def _metric(name: str, value: Any) -> str:
    return f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"


def _describe_store(folder: Path) -> Table:
    from collections import Counter

    from umzoo.data.store import Store

    store = Store(folder)
    voxels = sum(record.shape[0] * record.shape[1] * record.shape[2] for record in store.records)
    spec = store.info.input
    facts = {
        "volumes": len(store),
        "subjects": len({record.subject for record in store.records}),
        "voxels": f"{voxels:,}",
        "modalities": _counts(Counter(record.modality or "unknown" for record in store.records)),
        "data sets": _counts(Counter(record.source for record in store.records)),
        "spacing": "native" if spec.spacing is None else f"{spec.spacing} mm (D, H, W)",
        "orientation": f"{spec.orientation}, axes {spec.axes}",
        "intensity": "; ".join(f"{name}: {rule.window or rule.percentiles}" for name, rule in spec.rules.items()),
        "written by": f"umzoo {store.info.umzoo}" if store.info.umzoo else "",
    }
    return fact_table(f"store (format {store.info.format})", facts)
