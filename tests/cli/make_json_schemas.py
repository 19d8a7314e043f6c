"""Write spec/json/: a JSON Schema of what each command prints with --json, from the type hints of its result; and of build.yml.

`python tests/cli/make_json_schemas.py` after a result has a new member. A member that is gone or has another type needs a
new version (the command's `COMMAND`, `json=2`): without it this says no.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import sys
import types
import typing
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import make_build_schema

from dpkg import errors
from dpkg.cli import commands, output
from dpkg.cli.main import INTERRUPTED
from dpkg.oid import Oid

OUT = Path(__file__).parents[2] / "spec" / "json"
MAX_INT = 2**53 - 1
_PLAIN: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer", "minimum": -MAX_INT, "maximum": MAX_INT},
    float: {"type": "number"},
    types.NoneType: {"type": "null"},
    Oid: {"type": "string", "pattern": "^[0-9a-f]{64}$"},
}
_ITERATED = "__iter__"


def schemas() -> dict[str, dict[str, Any]]:
    """The schemas by the names of their files."""
    made = {f"{name}.json": of_command(name) for name in commands.names()}
    return {**made, "error.json": of_errors(), make_build_schema.NAME: make_build_schema.schema()}


def of_command(name: str) -> dict[str, Any]:
    """The schema of the objects that a command prints, each on a line."""
    module = import_module(commands.module_of(name) or "")
    function = getattr(module, name.replace("-", "_"))
    defs: dict[str, Any] = {}
    found = dict.fromkeys(items(hints(function)["return"]))
    kinds = [_object(kind, f"dpk.{name}/{module.COMMAND.json}", defs) for kind in found]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"dpk {name} --json",
        "description": module.COMMAND.summary,
        **(kinds[0] if len(kinds) == 1 else {"anyOf": kinds}),
        **({"$defs": dict(sorted(defs.items()))} if defs else {}),
    }


def of_errors() -> dict[str, Any]:
    """The schema of an error, one object on stderr."""
    family = errors.DpkgError
    found = {
        family.__name__: 1,
        **{f.__name__: f.exit_code for f in family.__subclasses__()},
        "Interrupted": INTERRUPTED,
    }
    members = {
        "schema": {"const": output.ERROR_SCHEMA},
        "error": {"enum": list(found), "description": "The family (spec/cli.md)."},
        "message": {"type": "string", "description": "One sentence: what is wrong, and where."},
        "hint": {"type": "string", "description": "What to do next; may be empty."},
        "exit_code": {"enum": list(found.values()), "description": "What the process ends with."},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "An error of dpk --json",
        **_closed(members, list(members)),
    }


def items(hint: Any) -> Iterator[Any]:
    """The types of the objects that a result of a type is printed as."""
    if isinstance(hint, types.UnionType):
        for one in hint.__args__:
            yield from items(one)
    elif typing.get_origin(hint) is not dict and hasattr(
        typing.get_origin(hint), _ITERATED
    ):  # Iterator[X], our Listed[X]
        yield from items(typing.get_args(hint)[0])
    elif isinstance(hint, type) and hasattr(hint, _ITERATED) and is_dataclass(hint):
        yield from items(hints(getattr(hint, _ITERATED))["return"])
    else:
        yield hint


def hints(of: Any) -> dict[str, Any]:
    """Type hints, with the names that a module imports for type checkers only."""
    module = import_module(of.__module__)
    names = dict(vars(module))
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for one in (n for n in node.body if isinstance(n, ast.ImportFrom)):
                given = vars(import_module(one.module or ""))
                names.update({a.name: given[a.name] for a in one.names if a.name in given})
    return typing.get_type_hints(of, names, names)


def _object(kind: Any, schema: str, defs: dict[str, Any]) -> dict[str, Any]:
    """One printed object: a dataclass with the schema's name, or a row of data."""
    name = {"schema": {"const": schema}}
    if typing.get_origin(kind) is dict:
        row = {"type": "object", "description": "A row: the values by their columns, as the format json writes them."}
        return _closed({**name, "row": row}, ["schema", "row"])
    if hasattr(kind, "as_json"):
        kind = hints(kind.as_json)["return"]
    made = _members(kind, defs)
    return {**made, "properties": {**name, **made["properties"]}, "required": ["schema", *made["required"]]}


def _members(kind: Any, defs: dict[str, Any]) -> dict[str, Any]:
    """A dataclass, or a TypedDict, as an object."""
    known, said = hints(kind), comments(kind)
    names = [f.name for f in fields(kind) if f.repr] if is_dataclass(kind) else list(known)
    members = {n: {**_type(known[n], defs), **({"description": said[n]} if n in said else {})} for n in names}
    always = [n for n in names if n in getattr(kind, "__required_keys__", names)]
    return {"description": " ".join((kind.__doc__ or "").split()), **_closed(members, always)}


def _closed(members: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": members, "required": required, "additionalProperties": False}


def comments(kind: type) -> dict[str, str]:
    """What comments beside the members say."""
    found = re.findall(r"^    (\w+): [^#\n]*  # (.*)$", inspect.getsource(kind), re.MULTILINE)
    return {name: text[0].upper() + text[1:] for name, text in found}


def _type(hint: Any, defs: dict[str, Any]) -> dict[str, Any]:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return {}
    if hint in _PLAIN:
        return dict(_PLAIN[hint])
    if origin is typing.Literal:
        return {"enum": list(args)}
    if origin in (types.UnionType, typing.Union):
        kinds = [_type(a, defs) for a in args if a is not types.NoneType]
        if len(kinds) == 1 and "type" in kinds[0]:
            return {**kinds[0], "type": [kinds[0]["type"], "null"]}
        return {"anyOf": [_type(a, defs) for a in args]}
    if origin is tuple and args[1:] == (...,):
        return {"type": "array", "items": _type(args[0], defs)}
    if origin is dict:
        values = _type(args[1], defs)
        return {"type": "object", **({"additionalProperties": values} if values else {})}
    if is_dataclass(hint):
        name = hint.__name__  # type: ignore[union-attr]
        defs[name] = {}  # a type may hold itself
        defs[name] = _members(hint, defs)
        return {"$ref": f"#/$defs/{name}"}
    raise TypeError(f"a result has a member of the type {hint}, which is not known here")


def broken(old: Any, new: Any, where: str = "") -> list[str]:
    """Where a schema is not the old one with more members: what a reader of the old one could stumble over."""
    if isinstance(old, dict) and isinstance(new, dict):
        told = {"description", "title", "required"}
        lost = [f"{where}/{k}" for k in old.keys() - new.keys() - told]
        if missing := set(old.get("required", ())) - set(new.get("required", ())):
            lost += [f"{where}/{k} (always there)" for k in missing]
        return lost + [p for k in old.keys() & new.keys() - told for p in broken(old[k], new[k], f"{where}/{k}")]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [p for i, (a, b) in enumerate(zip(old, new, strict=True)) for p in broken(a, b, f"{where}/{i}")]
    return [] if old == new else [where]


def version(schema: dict[str, Any]) -> str:
    """The name and version that a schema is of."""
    first = schema["anyOf"][0] if "anyOf" in schema else schema
    return str(first["properties"]["schema"]["const"])


def text(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    OUT.mkdir(exist_ok=True)
    made = schemas()
    for name, schema in made.items():
        path = OUT / name
        old = json.loads(path.read_text("utf-8")) if path.exists() else schema
        same = name != make_build_schema.NAME and version(old) == version(schema)
        if same and (lost := broken(old, schema)):
            sys.exit(f"{name}: a new version is needed, for {', '.join(lost)}")
        path.write_text(text(schema), "utf-8")
    for path in OUT.glob("*.json"):
        if path.name not in made:
            path.unlink()


if __name__ == "__main__":
    main()
