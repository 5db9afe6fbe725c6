"""Find the scans in the sources of the command line: folders, files and manifests."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from umzoo.data import manifest
from umzoo.data.dataset import DataSet, describe_folder
from umzoo.data.dicom import VOLUME_MODALITIES, Header, Stack, group, is_dicom
from umzoo.data.modality import Label, label_from_options, strongest
from umzoo.data.plain_files import oddity
from umzoo.data.refusal import Reason, Refused
from umzoo.data.report import Outcome, refused
from umzoo.data.scan_source import DEFAULT_READING, Reading, ScanSource
from umzoo.data.volume import SUFFIXES, packed_kind, suffix_of
from umzoo.errors import DataError

ReadHeaders = Callable[[Sequence[str]], Iterable[Header]]


@dataclass
class Found:
    """Scans to prepare, what was refused at sight, and other files by suffix."""

    scans: list[ScanSource] = field(default_factory=list)
    refused: list[Outcome] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class _File:
    """A file that may hold a scan."""

    path: Path
    name: str
    data: DataSet
    row: manifest.Row | None = None

    @property
    def source(self) -> str:
        return (self.row.source if self.row else "") or self.data.name

    @property
    def named(self) -> bool:
        """Whether the user gave the name of the data set."""
        return bool(self.row and self.row.source) or self.data.named


def discover(
    sources: Sequence[str],
    options: Sequence[tuple[str, str]],
    read_headers: ReadHeaders,
    reading: Reading = DEFAULT_READING,
) -> Found:
    """Find the scans in *sources*.

    Args:
        sources: folders, files or manifests; ``NAME=PATH`` gives the data set a name, else it is the folder's.
        options: modality and pattern pairs of ``--modality``.
        read_headers: reads DICOM headers (in parallel, if it likes).
        reading: how scans are read.

    Raises:
        DataError: if a source does not exist, or there is nothing but manifests that cannot be read.
    """
    found, dicom, seen = Found(), [], set()
    packed: dict[tuple[Path, str], list[_File]] = defaultdict(list)
    for file in _all_files(sources, found):
        if problem := oddity(file.path):
            _refuse_odd(file, problem, found)
            continue
        path = file.path.resolve()
        if path in seen:
            continue
        seen.add(path)
        if file.data.is_label(file.path) or (file.row and file.row.is_label):
            why = Refused(Reason.LABELS, "the data set calls it labels")
            found.refused.append(refused(file.name, file.source, why))
        elif _is_empty(path):
            _refuse(file.name, "the file is empty (0 bytes)", found, file.source)
        elif suffix_of(path) in SUFFIXES:
            found.scans.append(_file_scan(file, options))
        elif is_dicom(path):
            dicom.append(file)
        elif kind := packed_kind(path):
            packed[file.path.parent, kind].append(file)
        elif file.row is not None:
            _refuse(file.name, "not a known image format", found, file.source)
        else:
            _ignore(path, found)
    _add_dicom(dicom, options, read_headers, reading, found)
    for (_, kind), files in packed.items():
        why = Refused(
            Reason.PACKED, f"{len(files)} {kind}: unpack first" if len(files) > 1 else f"{kind}: unpack first"
        )
        found.refused.append(refused(_group_name(files[0], len(files)), files[0].source, why))
    return found


def _is_empty(path: Path) -> bool:
    """Whether a file that may have been a scan holds nothing."""
    known = suffix_of(path) in SUFFIXES or path.suffix.lower() in ("", ".dcm", ".ima")
    return known and path.stat().st_size == 0


def _all_files(sources: Sequence[str], found: Found) -> list[_File]:
    """The files of all *sources*; a manifest that cannot be read costs itself only."""
    files: list[_File] = []
    broken: list[DataError] = []
    for source in sources:
        path, _ = named_source(source)
        if not path.is_dir() and oddity(path):
            expected = "give a folder, a scan or a manifest (.csv, .jsonl)"
            what = "does not exist" if not os.path.lexists(path) else f"cannot be read ({oddity(path)})"
            raise DataError(f"source '{source}' {what}: {expected}")
        try:
            files += _files(source, found)
        except DataError as error:
            broken.append(error)
            _refuse(path.name, str(error).replace(str(path), path.name), found)
    if broken and not files and len(found.refused) == len(broken):
        raise broken[0]
    return files


def _refuse(name: str, problem: str, found: Found, source: str = "") -> None:
    found.refused.append(refused(name, source, Refused(Reason.UNREADABLE, problem)))


def _refuse_odd(file: _File, problem: str, found: Found) -> None:
    """Report a file that is none: by name if it may have been a scan, else as a count."""
    kind = problem.partition(",")[0].partition(":")[0]
    if file.row is None and suffix_of(file.path) not in SUFFIXES and not kind.startswith("permission"):
        found.ignored[kind] += 1
    else:
        _refuse(file.name, problem, found, file.source)


def _ignore(path: Path, found: Found) -> None:
    """Count a file that is no scan; the ``.img`` of a ``.hdr`` is part of one."""
    name = path.name.lower()
    pair = path.with_name(path.name[: name.rfind(".img")] + (".hdr.gz" if name.endswith(".gz") else ".hdr"))
    if not (name.endswith((".img", ".img.gz")) and pair.exists()):
        found.ignored[path.suffix.lower() or "without suffix"] += 1


def _files(source: str, found: Found) -> Iterator[_File]:
    path, given = named_source(source)
    if path.is_file() and path.suffix.lower() in manifest.SUFFIXES:
        for row in manifest.read_manifest(path):
            data = DataSet(given or path.stem, named=bool(given))
            listed = list(_walk(row.path, data, found)) if row.path.is_dir() else [(row.path, data)]
            yield from (_File(file, _relative(file, path.parent), data, row) for file, data in listed)
    elif path.is_file():
        data = DataSet(given, named=True) if given else _outer(path.parent, found)
        yield _File(path, path.name, data)
    else:
        for file, data in _walk(path, DataSet(given, named=True) if given else _outer(path, found), found):
            yield _File(file, f"{path.name}/{_relative(file, path)}", data)


def named_source(source: str) -> tuple[Path, str]:
    """Path and given name of ``PATH`` or ``NAME=PATH``."""
    name, separator, path = source.partition("=")
    if separator and name and not Path(source).exists():
        return _real(path), name
    return _real(source), ""


def _real(path: str) -> Path:
    """*path* without links; one that leads to itself stays as it is."""
    return Path(os.path.realpath(Path(path).expanduser()))


def _outer(folder: Path, found: Found) -> DataSet:
    """The data set *folder* is, or is a part of (such as ``imagesTr``); else one that has its name."""
    return _described(folder, found) or _described(folder.parent, found) or DataSet(folder.name or "data")


def _described(folder: Path, found: Found) -> DataSet | None:
    """What *folder* says of itself; one whose description cannot be read is a plain one, which is reported once."""
    try:
        return describe_folder(folder)
    except DataError as error:
        name = f"{folder.name}/{'dataset.json' if 'dataset.json' in str(error) else 'dataset_description.json'}"
        if all(outcome.name != name for outcome in found.refused):
            _refuse(name, f"{str(error).replace(str(folder), folder.name)}; its folder is taken as a plain one", found)
        return None


def _relative(path: Path, root: Path) -> str:
    return Path(os.path.relpath(path, root)).as_posix()


def _walk(root: Path, data: DataSet, found: Found) -> Iterator[tuple[Path, DataSet]]:
    """Files below *root* in order, each with its data set; hidden ones are counted, links followed once."""

    def unreadable(error: OSError) -> None:
        folder = f"{root.name}/{_relative(Path(error.filename), root)}".removesuffix("/.")
        why = error.strerror or type(error).__name__
        _refuse(folder, f"the folder cannot be read ({why}): make it readable", found, data.name)

    contexts, visited = {root: data}, set()
    for folder, folders, files in os.walk(root, followlinks=True, onerror=unreadable):
        here = Path(folder)
        real = here.resolve()
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        context = _described(here, found) or contexts.get(here) or contexts[here.parent]
        contexts[here] = replace(context, name=data.name, named=True) if data.named else context
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name.startswith("."):
                found.ignored["hidden"] += 1
            else:
                yield here / name, contexts[here]


def _file_scan(file: _File, options: Sequence[tuple[str, str]]) -> ScanSource:
    by_user = label_from_options(file.path.as_posix(), file.name, options)
    by_row = file.row.label if file.row else None
    by_layout = file.data.labels(file.path) or (None,)
    labels = tuple(strongest(by_user, by_row, label) or Label("") for label in by_layout)
    subject = file.row.subject if file.row and file.row.subject else f"{file.source}/{file.data.subject(file.path)}"
    return ScanSource((str(file.path),), file.name, file.source, subject, labels, named=file.named)


def _add_dicom(
    files: list[_File],
    options: Sequence[tuple[str, str]],
    read_headers: ReadHeaders,
    reading: Reading,
    found: Found,
) -> None:
    by_path = {str(file.path): file for file in files}
    stacks = group(read_headers(list(by_path)), reading.uneven == "resample")
    shared = Counter(stack.files for stack in stacks)
    part: Counter[tuple[str, ...]] = Counter()
    for stack in stacks:
        file = by_path[stack.files[0]]
        name = _group_name(file, len(stack.files))
        if shared[stack.files] > 1:
            part[stack.files] += 1
            name += f" [volume {part[stack.files]}]"
        if stack.copies:
            detail = f"{len(stack.files)} copies of slices found elsewhere"
            found.refused.append(Outcome(name, "duplicate", "", detail, file.source))
        elif stack.refused:
            found.refused.append(refused(name, file.source, stack.refused))
        else:
            found.scans.append(_dicom_scan(file, name, stack, options))


def _group_name(file: _File, count: int) -> str:
    """The name of *count* files of one folder, of which *file* is the first."""
    if count == 1:
        return file.name
    return f"{Path(file.name).parent.as_posix()} [{Path(file.name).name} + {count - 1}]"


def _dicom_scan(file: _File, name: str, stack: Stack, options: Sequence[tuple[str, str]]) -> ScanSource:
    header = stack.header
    modality = VOLUME_MODALITIES.get(header.modality, "")
    label = strongest(
        label_from_options(file.path.as_posix(), file.name, options),
        file.row.label if file.row else None,
        Label(modality, "", "dicom") if modality else None,
    )
    patient = header.patient or f"{file.source}/{header.series}"
    subject = file.row.subject if file.row and file.row.subject else patient
    return ScanSource(
        stack.files,
        name,
        file.source,
        subject,
        (label,) if label else (),
        dicom=True,
        frames=stack.frames,
        notes=stack.notes,
        named=file.named,
    )
