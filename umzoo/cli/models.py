"""``umzoo info`` and ``umzoo import``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from umzoo.cli.hub import Offline
from umzoo.cli.output import say
from umzoo.cli.tables import Listing, fact_table

if TYPE_CHECKING:
    from umzoo.hub.pulling.search import Look
    from umzoo.spec import InputSpec
    from umzoo.weights.catalog.entry import WeightsEntry
    from umzoo.weights.folder.info import WeightsInfo


def info(
    ref: Annotated[str, typer.Argument(help="weights folder, org/name[@revision], architecture.tag, run, or store")],
    offline: Offline = False,
) -> None:
    """Describe weights, a run or a store; the tensors of weights on the Hub are not downloaded."""
    folder = Path(ref)
    if (folder / "store.json").is_file():
        _describe_store(folder).show()
    elif (folder / "recipe.toml").is_file():
        _describe_run(folder).show()
    else:
        from umzoo.cli.component_cache import shown
        from umzoo.errors import WeightsError
        from umzoo.hub.client import Access
        from umzoo.hub.pulling.search import look, not_imported

        catalog = shown().catalog if "/" not in ref and not folder.is_dir() else {}
        if entry := not_imported(ref, catalog=catalog):
            _describe_entry(entry).show()
            return
        if folder.is_dir() and not (folder / "config.json").is_file():
            raise WeightsError(
                f"{ref} is neither weights (config.json), nor a run (recipe.toml), nor a store (store.json)"
            )
        _describe_weights(look(ref, access=Access(local_files_only=offline), catalog=catalog)).show()


def import_(
    importer: Annotated[str, typer.Argument(help="importer, such as models_genesis; see 'umzoo list importer'")],
    source: Annotated[
        str,
        typer.Argument(help="checkpoint or folder of the other project, org/name[@revision] on the Hub, or https://"),
    ],
    out: Annotated[Path, typer.Argument(help="weights folder to write")],
    options: Annotated[list[str] | None, typer.Argument(help="options of the importer, as key=value")] = None,
    license: Annotated[str, typer.Option(help="SPDX identifier of the weights")] = "unknown",
    license_link: Annotated[str, typer.Option(help="text of a license called other, https://...")] = "",
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="of https://: servers of this machine and private networks too")
    ] = False,
) -> None:
    """Convert another project's checkpoint to a weights folder."""
    from umzoo.hub.client import Access
    from umzoo.hub.pulling.import_cache import import_released
    from umzoo.hub.pulling.references import place_of
    from umzoo.overrides import apply_override
    from umzoo.plugins import zoo
    from umzoo.weights.folder.licenses import require_license
    from umzoo.weights.folder.writer import rewrite_info
    from umzoo.weights.importers.run_importer import run_importer

    require_license(license, license_link)
    spec = {"name": importer}
    for option in options or ():
        apply_override(spec, option)
    zoo().importers.options(spec)
    if (place := place_of(source)) is not None:
        import_released(spec, place, out, Access(allow_private=allow_private), license, license_link)
    else:
        run_importer(spec, Path(source), out, license)
        if license_link:
            rewrite_info(out, license_link=license_link)
    say(f"wrote {out}; look at it with: umzoo info {out}")


def _describe_entry(entry: WeightsEntry) -> Listing:
    """The catalog's description of another project's weights that have not been downloaded yet."""
    facts = {
        "what": entry.description,
        "where": entry.location,
        "revision": entry.revision,
        "files": ", ".join(entry.files),
        "sha256": entry.sha256,
        "importer": ", ".join([entry.importer, *(f"{name}={value}" for name, value in entry.options.items())]),
        "license": _license(entry.license, entry.license_link),
        "here": "no: downloaded and imported on first use",
    }
    return fact_table(f"weights {entry.name}", facts)


def _license(name: str, link: str) -> str:
    """A license with its class."""
    from umzoo.weights.folder.licenses import license_class

    kind = license_class(name, link)
    return " ".join(filter(None, (name, link, f"({kind})" if kind != "unknown" else "")))


def _describe_weights(seen: Look) -> Listing:
    info = seen.info
    spec, provenance = info.input, info.provenance
    facts = {
        "where": seen.where,
        **seen.repository,
        "architecture": info.backbone.name,
        "plug-in": info.plugin,
        **{f"  {name}": value for name, value in info.backbone.options.items()},
        **_answer(info),
        "parts": ", ".join(info.parts),
        "tensors": "" if seen.values is None else f"{seen.tensors}, {seen.values:,} values",
        "size": ", ".join(f"{name} {size / 1e6:.1f} MB" for name, size in seen.sizes.items()),
        "input": f"{spec.in_channels} channel(s), {spec.space}, axes {spec.axes}, orientation {spec.orientation}",
        "spacing": "native" if spec.spacing is None else f"{spec.spacing} mm (D, H, W)",
        "patch size": spec.patch_size,
        "intensity": _intensity(spec),
        "imported from": info.imported_from and " ".join((info.imported_from.location, info.imported_from.revision)),
        "pretext tasks": ", ".join(info.pretext_tasks),
        "trained on": f"{provenance.volumes} volumes: {_counts(provenance.datasets)}" if provenance.volumes else "",
        "modalities": _counts(provenance.modalities),
        "steps": provenance.steps or None,
        "metrics": ", ".join(f"{name} {value:.4g}" for name, value in provenance.metrics.items()),
        "versions": ", ".join(f"{name} {version}" for name, version in provenance.versions.items()),
        "license": _license(info.license, info.license_link),
        "signed": _signed(seen.signed),
        "cite": "\n".join(info.citations),
    }
    return fact_table(f"weights {info.name} (format {info.format})", facts)


def _signed(known: bool | None) -> str:
    if known is None:
        return "not known offline"
    return "yes, not checked: run umzoo verify" if known else "no"


def _answer(info: WeightsInfo) -> dict[str, Any]:
    """The output of the trained head; empty without a head."""
    answer = info.answer
    if info.head is None or answer is None:
        return {"head": info.head and info.head.name}
    return {
        "head": info.head.name,
        "task": answer.task,
        "classes": ", ".join(answer.classes),
        "targets": ", ".join(answer.targets),
        "thresholds": ", ".join(f"{name} {value:.4g}" for name, value in answer.thresholds.items()),
        "channels": ", ".join(answer.channels),
        "validation": ", ".join(f"{name} {value:.4g}" for name, value in answer.metrics.items()),
    }


def _describe_run(folder: Path) -> Listing:
    from umzoo.engine.checkpoint import latest_checkpoint
    from umzoo.engine.log import read_metrics
    from umzoo.engine.recipe import load_recipe

    recipe = load_recipe(folder / "recipe.toml")
    newest = latest_checkpoint(folder / "checkpoints")
    metrics = folder / "metrics.jsonl"
    lines = list(read_metrics(metrics)) if metrics.is_file() else []
    newest_values = {name: value for line in lines for name, value in line.items()}
    facts = {
        "backbone": recipe.backbone.name,
        **{f"  {name}": value for name, value in recipe.backbone.options.items()},
        "corruptions": ", ".join(spec.name for spec in recipe.pretext.corruptions),
        "tasks": ", ".join(f"{task.label} (weight {task.weight:g})" for task in recipe.pretext.tasks),
        "patch size": recipe.data.patch_size,
        "batch size": recipe.data.batch_size,
        "steps": f"{lines[-1]['step'] if lines else 0} of {recipe.trainer.steps} logged",
        "newest checkpoint": newest.name if newest else "none yet",
        "last metrics": ", ".join(_metric(name, value) for name, value in newest_values.items()),
        "seed": recipe.seed,
    }
    return fact_table(f"run of recipe {recipe.name}", facts)


def _intensity(spec: InputSpec) -> str:
    """The intensities that are mapped to 0 and 1, by modality; ``*`` are all others."""
    rules = []
    for modality, rule in spec.rules.items():
        low, high = rule.window or rule.percentiles or (0.0, 100.0)
        rules.append(f"{modality}: {'' if rule.window else 'percentiles '}{low:g} to {high:g}")
    return "; ".join(rules)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in sorted(counts.items()))


def _metric(name: str, value: Any) -> str:
    return f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"


def _describe_store(folder: Path) -> Listing:
    from collections import Counter

    from umzoo.data.store.reader import Store

    store = Store(folder)
    voxels, records = int(store.records.column("shape").prod(axis=1).sum()), store.records
    spec = store.info.input
    facts = {
        "volumes": len(store),
        "subjects": len(records.texts("subject")[0]),
        "voxels": f"{voxels:,}",
        "modalities": _counts(Counter(name or "unknown" for name in records.values("modality"))),
        "data sets": _counts(Counter(records.values("source"))),
        "spacing": "native" if spec.spacing is None else f"{spec.spacing} mm (D, H, W)",
        "orientation": f"{spec.orientation}, axes {spec.axes}",
        "intensity": _intensity(spec),
        "written by": f"umzoo {store.info.umzoo}" if store.info.umzoo else "",
    }
    return fact_table(f"store (format {store.info.format})", facts)
