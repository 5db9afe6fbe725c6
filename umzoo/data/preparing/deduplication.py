"""Decides which of several identical volumes is kept, after all scans, so that their order does not matter."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from umzoo.data.preparing.report import Outcome
from umzoo.data.reading.modality import PRECEDENCE
from umzoo.data.store.identity import content_of
from umzoo.data.store.record import VolumeRecord


@dataclass(frozen=True)
class Settled:
    """Final outcomes by scan, in the order of the scans; the whole index; and the outcome of each id."""

    outcomes: list[list[Outcome]]
    records: dict[str, VolumeRecord]
    origins: dict[str, tuple[int, Outcome]]


def settle(
    scans: Sequence[Sequence[Outcome]],
    index: Mapping[str, VolumeRecord],
    before: Collection[str],
    places: Mapping[str, int],
) -> Settled:
    """Choose one outcome for each content: the one with the most reliable origin of the modality, then the first.

    A volume of an earlier run keeps its modality if its origin is more reliable than that of any scan of this run.

    Args:
        scans: outcomes of each scan, in the order of discovery.
        index: records by id, those of this run among them.
        before: ids that were in the index before this run.
        places: which of the *scans* each of these came from, if it is among them.
    """
    records = dict(index)
    old = {content_of(name): name for name in index}
    had = {content_of(name): name for name in before}
    winners = _winners(scans)
    origins: dict[str, tuple[int, Outcome]] = {}
    named: dict[str, tuple[Outcome | None, str]] = {}
    for content, (place, best) in winners.items():
        earlier = index.get(had.get(content, ""))
        record = best.record or index.get(_own_id(best))
        if earlier is not None and (record is None or _rank(earlier.modality_from) > _rank(best.modality_from)):
            place = places.get(earlier.id, -1)
            same = [outcome for outcome in scans[place] if content_of(outcome.id) == content] if place >= 0 else []
            named[content] = (same[0] if same else None), earlier.id
            if same:
                origins[earlier.id] = place, same[0]
            continue
        if record is None:
            continue
        records.pop(old.get(content, ""), None)
        records[record.id] = record.model_copy(
            update={
                "source": best.source,
                "subject": best.subject,
                "contrast": best.contrast,
                "modality_from": best.modality_from,
            }
        )
        origins[record.id] = place, best
        named[content] = best, record.id
    outcomes = [[_final(outcome, named, had, records) for outcome in outcomes] for outcomes in scans]
    return Settled(outcomes, records, origins)


def _winners(scans: Sequence[Sequence[Outcome]]) -> dict[str, tuple[int, Outcome]]:
    """The best outcome of each content, with the index of its scan."""
    best: dict[str, tuple[int, Outcome]] = {}
    for place, outcomes in enumerate(scans):
        for outcome in outcomes:
            content = content_of(outcome.id)
            if content and (
                content not in best or _rank(outcome.modality_from) > _rank(best[content][1].modality_from)
            ):
                best[content] = place, outcome
    return best


def _rank(origin: str) -> int:
    return PRECEDENCE.index(origin) if origin in PRECEDENCE else 0


def _own_id(outcome: Outcome) -> str:
    """The id of its volume with its own modality."""
    return f"{content_of(outcome.id)}-{outcome.modality or 'unknown'}"


def _final(
    outcome: Outcome,
    named: Mapping[str, tuple[Outcome | None, str]],
    had: Mapping[str, str],
    records: Mapping[str, VolumeRecord],
) -> Outcome:
    """*outcome* with status ``in`` (or ``known``) if it was chosen, otherwise as a duplicate of the chosen one."""
    content = content_of(outcome.id)
    if not content:
        return outcome
    best, name = named.get(content, (outcome, outcome.id))
    record = records.get(name)
    if best is outcome:
        status = "known" if content in had else "in"
        known = {} if record is None else {"modality": record.modality, "modality_from": record.modality_from}
        return replace(outcome, status=status, detail="", id=name, record=None, **known)  # type: ignore[arg-type]
    detail = f"same voxels as {best.name if best else name}"
    if record is not None and record.modality != outcome.modality:
        detail += f", with modality '{record.modality or 'unknown'}' from {record.modality_from}"
    return replace(outcome, status="duplicate", detail=detail, id=name, record=None)
