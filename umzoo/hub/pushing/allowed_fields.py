"""The fields that may be uploaded: those of ``config.json`` and of a model card's front matter, and their forms."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from umzoo.config import BRITISH, model_in
from umzoo.errors import ConfigError, in_one_line
from umzoo.files import json_table
from umzoo.plugins import zoo
from umzoo.weights.folder.info import WeightsInfo

CONFIG = "config.json"
PROSE = frozenset({
    "license", "license_link", "citations", "note", "location", "files", "device", "dataset", "datasets", "classes",
    "targets", "channels", "labels", "thresholds", "regions", "task", "metric", "metrics", "versions", "name",
})  # fmt: skip
"""Fields whose values or keys are free text, which is searched. All other texts are single words."""
FRONT_MATTER = frozenset({
    "license", "license_name", "license_link", "library_name", "pipeline_tag", "tags", "datasets", "base_model",
    "base_model_relation", "model_name", "model-index", "language", "metrics", "thumbnail", "widget", "inference",
    "new_version", "co2_eq_emissions", "models", "sdk", "sdk_version", "python_version", "app_file",
})  # fmt: skip
"""What the front matter of a model's or Space's card may say; what visitors are asked (``extra_gated_...``) too."""
_WORD = re.compile(r"[\w.+*/:@-]{0,100}")
_UNLISTED = "a field that is not on the list of allowed fields,"
_NO_WORD = "free text in a field for one word,"

Found = Iterator[tuple[str, str, str]]


def unlisted(name: str, text: str) -> Found:
    """Yield place, kind and text of everything in the file *name* that is not on the list.

    The table of an importer, under its name, is free text: importers choose what they keep of an original.
    """
    if Path(name).name == CONFIG:
        try:
            content = json_table(text, name)
        except ConfigError as error:
            yield "", "a file that cannot be read,", in_one_line(error, 80)
            return
        imported = {name: table for name, table in content.items() if name in zoo().importers}
        yield from _of_value(imported, None, "", True)
        rest = {name: value for name, value in content.items() if name not in imported}
        yield from _of_model(rest, WeightsInfo, "")
    elif Path(name).name == "README.md" and text.startswith("---\n"):
        yield from _front_matter(text.partition("\n---")[0][4:])


def _front_matter(text: str) -> Found:
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        yield " front matter", "a front matter that is not YAML,", text[:40]
        return
    for key in content if isinstance(content, dict) else ():
        if key not in FRONT_MATTER and not str(key).startswith("extra_gated_"):
            yield " front matter", _UNLISTED, str(key)[:80]


def _of_model(content: dict[str, Any], model: type[BaseModel], where: str) -> Found:
    known = {field.alias or name: field.annotation for name, field in model.model_fields.items()}
    open_ended = model.__name__.endswith("Spec") and model.model_config.get("extra") == "allow"
    for key, value in content.items():
        inner = f"{where}, {key}"
        field = BRITISH.get(key, key)
        if field in known:
            yield from _of_value(value, known[field], inner, field in PROSE)
        elif open_ended:
            yield from _of_value(value, None, inner, False)
        else:
            yield inner, _UNLISTED, str(key)[:80]


def _of_value(value: Any, annotation: Any, where: str, prose: bool) -> Found:
    model = model_in(annotation)
    if isinstance(value, dict) and model is not None and not _is_table(annotation):
        yield from _of_model(value, model, where)
    elif isinstance(value, dict):
        for key, item in value.items():
            if not prose and not _WORD.fullmatch(str(key)):
                yield f"{where}, {key}", _NO_WORD, str(key)[:80]
            yield from _of_value(item, model, f"{where}, {key}", prose)
    elif isinstance(value, list):
        for item in value:
            yield from _of_value(item, annotation, where, prose)
    elif isinstance(value, str) and not prose and not _WORD.fullmatch(value):
        yield where, _NO_WORD, value[:80]


def _is_table(annotation: Any) -> bool:
    """Whether *annotation* is a dictionary of models."""
    return getattr(annotation, "__origin__", None) is dict
