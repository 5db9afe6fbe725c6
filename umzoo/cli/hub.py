"""``umzoo push``, ``umzoo search``, ``umzoo bundle`` and ``umzoo unbundle``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from umzoo.cli.output import say

Requirement = Annotated[
    str | None,
    typer.Option(help="line of the Space's requirements.txt that installs umzoo; default: its release of this version"),
]
Offline = Annotated[bool, typer.Option("--offline", help="ask nothing of the network: what is cached, or an error")]


def push(
    folder: Annotated[Path, typer.Argument(help="weights folder")],
    repository: Annotated[str, typer.Argument(help="org/name on the Hub; created if it is missing")],
    private: Annotated[
        bool | None,
        typer.Option("--private/--public", help="of a new repository; private by default", show_default=False),
    ] = None,
    license: Annotated[str | None, typer.Option(help="SPDX identifier, if other than the folder's")] = None,
    revision: Annotated[str | None, typer.Option(help="branch, created if it is missing")] = None,
    create_pr: Annotated[bool, typer.Option("--create-pr", help="propose it as a pull request")] = False,
    tag: Annotated[str | None, typer.Option(help="Git tag for the commit")] = None,
    message: Annotated[str | None, typer.Option(help="commit message")] = None,
    results: Annotated[
        Path | None, typer.Option(help="results.json of 'umzoo evaluate', to be written into the folder and its card")
    ] = None,
    nnssl: Annotated[bool, typer.Option("--nnssl", help="also in nnssl's format, for nnU-Net's own commands")] = False,
    sign: Annotated[
        Path | None,
        typer.Option(help="private key (PEM) to sign the folder with, as by 'umzoo sign'; --license goes into it"),
    ] = None,
    certificate: Annotated[Path | None, typer.Option(help="of --sign: certificate of that key (PEM)")] = None,
    chain: Annotated[Path | None, typer.Option(help="of --sign: certificates up to the root (PEM)")] = None,
    space: Annotated[
        bool, typer.Option("--space", help="make a Space of the same name too, where they can be tried on a scan")
    ] = False,
    requirement: Requirement = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="check and list what would be uploaded, without using the network")
    ] = False,
) -> None:
    """Upload a weights folder to the Hugging Face Hub in one commit, after checking it."""
    from umzoo.cli.signing import signer_of
    from umzoo.errors import ConfigError
    from umzoo.hub.pushing.push import Target, check_push, push_folder
    from umzoo.hub.pushing.space import check_space, push_space
    from umzoo.weights.folder.reader import read_info

    if requirement and not space:
        raise ConfigError("--requirement is for the Space: give --space too")
    if create_pr and space:
        raise ConfigError("a Space runs weights that are there: push it once the pull request is merged")

    signer = signer_of(sign, certificate, chain)
    if results is not None:
        _add_results(folder, results)
    target = Target(repository, private, revision, create_pr, tag)
    if space:
        files = check_space(read_info(folder), repository, tag or revision, license, requirement)
    if dry_run:
        upload = check_push(folder, target, license=license, message=message, signed=signer is None)
        names = ", ".join(sorted((*upload.content(), *(["model.sig, to be made"] if signer else []))))
        say(f"nothing was uploaded; {upload.info.name} passes, license {upload.info.license}: {names}")
        if space:
            say(f"and to the Space: {', '.join(files)}")
        return
    say(push_folder(folder, target, license=license, message=message, nnssl=nnssl, sign=signer))
    if space:
        about: dict[str, Any] = {"private": private, "license": license, "requirement": requirement}
        say(push_space(read_info(folder), repository, revision=tag or revision, **about))


def space(
    ref: Annotated[str, typer.Argument(help="weights folder, org/name[@revision], or architecture.tag")],
    out: Annotated[Path, typer.Argument(help="folder to write")],
    requirement: Requirement = None,
) -> None:
    """Write the files of a Hugging Face Space that runs weights on uploaded scans, to try and to change them here."""
    from umzoo.hub.pulling.references import parse, resolve
    from umzoo.hub.pushing.space import write_space
    from umzoo.weights.folder.reader import read_info

    place = parse(ref)
    loaded = str(place.folder.resolve()) if place.folder is not None else ref
    write_space(read_info(resolve(ref)), loaded, out, place.repository, requirement)
    say(f"wrote {out}; try it with: pip install gradio; python {out / 'app.py'}")


def _add_results(folder: Path, results: Path) -> None:
    from umzoo.downstream.evaluate.results import results_for
    from umzoo.weights.folder.reader import read_info
    from umzoo.weights.folder.writer import rewrite_info

    rewrite_info(folder, results=results_for(results, read_info(folder)))


def search(
    query: Annotated[str, typer.Argument(help="part of the name; default: all")] = "",
    author: Annotated[str | None, typer.Option(help="organization or user")] = None,
    limit: Annotated[int, typer.Option(min=1, help="maximum number of rows")] = 20,
) -> None:
    """Search the Hugging Face Hub for umzoo weights, most downloaded first."""
    from umzoo.cli.tables import Listing
    from umzoo.hub.pulling.search import search as search_hub

    found = search_hub(query, author, limit)
    rows = Listing("repository", "license", "downloads", "updated", "tags")
    for it in found:
        state = "".join(f" ({word})" for word, so in (("private", it.private), ("gated", it.gated)) if so)
        rows.add_row(it.repository + state, it.license, f"{it.downloads:,}", it.updated, ", ".join(it.tags))
    if found:
        rows.show()
    else:
        say(f"no umzoo weights on the Hub match '{query}'")


def bundle(
    ref: Annotated[str, typer.Argument(help="weights folder, org/name[@revision], or architecture.tag")],
    out: Annotated[Path, typer.Argument(help="file to write, such as OUT.tar")],
    offline: Offline = False,
) -> None:
    """Pack weights, card and checksums into one file, for a site without a network."""
    from umzoo.hub.bundles.pack import write_bundle
    from umzoo.hub.pulling.references import parse, resolve

    folder = resolve(ref, local_files_only=offline)
    repository = parse(ref).repository
    manifest = write_bundle(folder, out, f"{repository}@{folder.name}" if repository else "")
    needs = ", ".join(f"{name} {version}".strip() for name, version in manifest.requires.items())
    say(f"{out}: {manifest.name}, license {manifest.license}; install there: {needs}")


def unbundle(
    file: Annotated[Path, typer.Argument(help="file written by 'umzoo bundle'")],
    folder: Annotated[Path, typer.Argument(help="weights folder to write")],
) -> None:
    """Verify every checksum of a bundle and unpack it into a weights folder."""
    from umzoo.hub.bundles.manifest import missing_plugins
    from umzoo.hub.bundles.unpack import read_bundle

    manifest = read_bundle(file, folder)
    say(f"{folder}: {manifest.name}, license {manifest.license}")
    for name, version in missing_plugins(manifest).items():
        say(f"install the plug-in {name} {version}".rstrip() + " before you load it", err=True, color="yellow")
