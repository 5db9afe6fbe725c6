"""Replaces the generated part of an edited model card, and keeps manual text."""

from __future__ import annotations

from typing import Any

import yaml
from huggingface_hub.repocard import RepoCard
from huggingface_hub.repocard_data import CardData

from umzoo.errors import WeightsError, in_one_line

BEGIN, END = "<!-- umzoo:begin -->", "<!-- umzoo:end -->"
LISTS = ("tags", "datasets")
LICENSE = ("license", "license_name", "license_link")


def merge_card(old: str, new: str) -> str:
    """Return the card *old* with the generated part of *new*.

    Text outside the markers is kept. If *old* has no markers, all of it is kept, and the generated part is appended. In
    the front matter, keys that only *old* has are kept, and so are its tags and data sets.

    Raises:
        WeightsError: if *new* has no generated part, or the markers or front matter of either card are invalid.
    """
    fields, text = _parse(old)
    changes, generated = _parse(new)
    before, _, after = _split(text)
    _, part, _ = _split(generated)
    if not part:
        raise WeightsError(f"the new model card has no text between {BEGIN} and {END}: generate it with umzoo")
    blocks = [block.strip("\r\n") for block in (before, part, after)]
    front = CardData(**_merge_fields(fields, changes)).to_yaml()
    return f"---\n{front}\n---\n\n" + "\n\n".join(block for block in blocks if block.strip()) + "\n"


def _parse(card: str) -> tuple[dict[str, Any], str]:
    """Front matter and text of *card*."""
    card = card.removeprefix("\ufeff")
    if not card.startswith("---"):
        return {}, card
    try:
        parsed = RepoCard(card)
        return dict(parsed.data.to_dict()), str(parsed.text)
    except (yaml.YAMLError, ValueError, TypeError, AttributeError) as error:
        reason = in_one_line(error, 200)
        raise WeightsError(f"the front matter of the model card is not a YAML mapping: {reason}; correct it") from None


def _split(text: str) -> tuple[str, str, str]:
    """*text* before, between (markers included) and after the markers; without markers, all of it counts as before."""
    begin, end = text.find(BEGIN), text.find(END)
    if begin == end == -1:
        return text, "", ""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or end < begin:
        raise WeightsError(f"the model card must contain {BEGIN} and {END} once each, in this order: correct it")
    end += len(END)
    return text[:begin], text[begin:end], text[end:]


def _merge_fields(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    stale = set(LICENSE) - new.keys() if "license" in new else set()
    merged = {key: value for key, value in {**old, **new}.items() if key not in stale}
    for key in LISTS:
        values = [*_listed(new.get(key)), *_listed(old.get(key))]
        if values:
            merged[key] = list(dict.fromkeys(map(str, values)))
    return merged


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
