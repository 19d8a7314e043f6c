"""The JSON Schema of build.yml, for editors, from the one table of its keys; `make_json_schemas.py` writes it into spec/json/."""

from __future__ import annotations

from typing import Any

import make_checks_schema
from make_checks_schema import TEXT as _TEXT
from make_checks_schema import TEXTS as _TEXTS

from dpkg.arrow.options import COLUMN_KEYS, OPTIONS, REFUSED, Option
from dpkg.compiler import grammar

NAME = "build.yml.schema.json"
_SHAPES: dict[str, dict[str, Any]] = {
    "text": _TEXT,
    "texts": _TEXTS,
    "flag": {"type": "boolean"},
    "any": {},
    "checks": {"$ref": "#/$defs/checks"},
    "contents": {"$ref": "#/$defs/contents"},
    "schema": {"$ref": "#/$defs/schema"},
    "options": {"$ref": "#/$defs/options"},
}
_OPTION_SHAPES = {
    "text": _TEXT,
    "texts": _TEXTS,
    "count": {"type": "integer", "minimum": 0, "maximum": 2**53 - 1},
    "character": {"anyOf": [{"type": "string", "maxLength": 1}, {"const": False}]},
}


def schema() -> dict[str, Any]:
    """The schema of a whole build.yml."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "build.yml of dpkg",
        "description": "What becomes what in a data package (spec/build.md).",
        **_object(grammar.TOP, ["contents"]),
        "$defs": {
            "contents": {"type": "object", "minProperties": 1, "additionalProperties": {"$ref": "#/$defs/entry"}},
            "entry": {"anyOf": [{"$ref": f"#/$defs/entry-{kind}"} for kind in grammar.KINDS]},
            **{
                f"entry-{kind}": {"description": f"An entry that is {what}.", **_object(kind, [kind])}
                for kind, what in grammar.KINDS.items()
            },
            "schema": {"type": "object", "additionalProperties": {"anyOf": [_TEXT, {"$ref": "#/$defs/column"}]}},
            "column": {"minProperties": 1, **_closed({n: {"description": h, **_TEXT} for n, h in COLUMN_KEYS.items()})},
            "options": _closed({option.name: _option(option) for option in OPTIONS}),
            **make_checks_schema.definitions(),
        },
    }


def _object(kind: str, required: list[str]) -> dict[str, Any]:
    """An entry of a kind, or the file itself."""
    members = {name: _key(grammar.BY_NAME[name]) for name in grammar.keys_of(kind)}
    return {**_closed(members), "required": required}


def _closed(members: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": members, "additionalProperties": False}


def _key(key: grammar.Key) -> dict[str, Any]:
    shape = {"enum": list(key.choices)} if key.shape == "choice" else _SHAPES[key.shape]
    return {"description": key.help, **shape}


def _option(option: Option) -> dict[str, Any]:
    return {"description": f"{option.help} Of {', '.join(option.formats)}.", **_OPTION_SHAPES[option.shape]}


assert not {option.name for option in OPTIONS} & REFUSED.keys()
