"""Scans among DICOM files: one for each stack of images that forms a volume."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from umzoo.data.preparing.discovered import File, Found
from umzoo.data.preparing.report import Outcome, refused
from umzoo.data.reading.dicom import VOLUME_MODALITIES, Header, Stack, group
from umzoo.data.reading.modality import Label, label_from_options, strongest
from umzoo.data.reading.scan_source import Reading, ScanSource

ReadHeaders = Callable[[Sequence[str]], Iterable[Header]]


def add_dicom(
    files: list[File],
    options: Sequence[tuple[str, str]],
    read_headers: ReadHeaders,
    reading: Reading,
    found: Found,
) -> None:
    """Sort DICOM *files* into scans and refusals of *found*."""
    by_path = {str(file.path): file for file in files}
    stacks = group(read_headers(list(by_path)), reading.uneven == "resample")
    shared = Counter(stack.files for stack in stacks)
    part: Counter[tuple[str, ...]] = Counter()
    for stack in stacks:
        file = by_path[stack.files[0]]
        name = group_name(file, len(stack.files))
        if shared[stack.files] > 1:
            part[stack.files] += 1
            name += f" [volume {part[stack.files]}]"
        if stack.copies:
            detail = f"{len(stack.files)} slices are copies of slices in other files"
            found.refused.append(Outcome(name, "duplicate", "", detail, file.source))
        elif stack.refused:
            found.refused.append(refused(name, file.source, stack.refused))
        else:
            found.scans.append(_dicom_scan(file, name, stack, options))


def group_name(file: File, count: int) -> str:
    """The name of *count* files of one folder, of which *file* is the first."""
    if count == 1:
        return file.name
    return f"{Path(file.name).parent.as_posix()} [{Path(file.name).name} + {count - 1}]"


def _dicom_scan(file: File, name: str, stack: Stack, options: Sequence[tuple[str, str]]) -> ScanSource:
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
        targets=file.others,
    )
