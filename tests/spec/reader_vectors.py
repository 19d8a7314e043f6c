"""Second reader, part 6: the vectors in spec/vectors/*.json, as spec/vectors/README.md defines them.

`load_vectors(name)` gives the cases of a file and `compute(name, input)` what the second reader expects of an input.
`from_form` and `to_form` translate values between plain Python (reader.py) and the JSON form. `column_of`, `table_of`
and `entries_of` make the columns, tables and tree entries that inputs describe.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from reader_index import (
    Index,
    build_fragments_index,
    build_table,
    build_tree,
    statistics_cell,
    statistics_oid,
    statistics_row,
    statistics_schema,
)
from reader_json import (
    CONTEXTS,
    MAX_INT,
    Json,
    Refused,
    decode,
    digest,
    encode,
    oid,
    plain_blake3,
)
from reader_objects import (
    PACKED_KINDS,
    check_log,
    check_part_log,
    commit_text,
    decode_frame,
    decode_object,
    list_chunks,
    ref_digest,
    ref_key,
    ref_value,
)
from reader_packs import check_pack
from reader_rows import EqualKeys, cell, cell_bytes, row_bytes, sorted_rows
from reader_values import (
    FLOATS,
    INTEGERS,
    TIMES,
    Schema,
    Type,
    Value,
    check_type,
    column_digest,
    fragment_oid,
    kind_of,
    parameter,
    schema_digest,
    stream,
)

VECTORS = Path(__file__).parents[2] / "spec" / "vectors"


def load_vectors(name: str) -> list[Json]:
    """The cases of one vector file: a list of {"name", "input", "expected"}."""
    document = json.loads((VECTORS / f"{name}.json").read_text("utf-8"))
    assert document["format"] == "v1"
    return list(document["cases"])


# ------------------------------------------------------------------------------------------------- JSON form of values


def from_form(form: Json, t: Type) -> Value:
    """The plain value of its JSON form."""
    kind = kind_of(t)
    if form is None:
        return None
    if isinstance(form, dict):
        part, times = form["repeat"]
        return from_form(part, t) * times
    if kind == "bool":
        return form
    if kind in INTEGERS or kind in TIMES or kind == "decimal":
        return int(form)
    if kind in FLOATS:
        assert len(form) == 2 * FLOATS[kind]
        return int(form, 16)
    if kind in ("binary", "fixed_binary"):
        return bytes.fromhex(form)
    if kind == "extension":
        return from_form(form, parameter(t)[2])
    if kind == "utf8":
        return form
    return [from_form(item, child) for item, child in zip(form, _children(t, len(form)), strict=True)]


def to_form(value: Value, t: Type) -> Json:
    """The JSON form of a plain value."""
    kind = kind_of(t)
    if value is None or kind in ("bool", "utf8"):
        return value
    if kind == "decimal":
        return str(value)
    if kind in INTEGERS or kind in TIMES:
        return value if -MAX_INT <= value <= MAX_INT else str(value)
    if kind in FLOATS:
        return f"{value:0{2 * FLOATS[kind]}x}"
    if kind in ("binary", "fixed_binary"):
        return value.hex()
    if kind == "extension":
        return to_form(value, parameter(t)[2])
    return [to_form(item, child) for item, child in zip(value, _children(t, len(value)), strict=True)]


def _children(t: Type, n: int) -> list[Type]:
    """The types of the n items of a nested value; a map's pairs are structs here."""
    kind, p = kind_of(t), parameter(t)
    if kind == "struct":
        return [field[1] for field in p]
    item = {"struct": [["key", p[0]], ["value", p[1]]]} if kind == "map" else p if kind == "list" else p[1]
    return [item] * n


def pieces(form: Json) -> bytes:
    """The bytes of [[hex, times], ...]."""
    return b"".join(bytes.fromhex(part) * times for part, times in form)


# ---------------------------------------------------------------------------------------------------------- generators

MASK = 2**64 - 1


def u(seed: int, i: int) -> int:
    """Output i, from 0, of splitmix64 started with a seed."""
    z = (seed + (i + 1) * 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def column_of(form: Json, t: Type) -> list[Value]:
    """The values of a column form: an array of value forms, or a generator."""
    if isinstance(form, list):
        return [from_form(value, t) for value in form]
    return _generate(form, t, form["count"])


def _generate(form: Json, t: Type, count: int) -> list[Value]:
    kind = form["gen"]
    if kind == "runs":
        values = [value for part, times in form["runs"] for value in [from_form(part, t)] * times]
        assert len(values) == count
        return values
    if kind == "list":
        lengths = [u(form["seed"], i) % (form["max"] + 1) for i in range(count)]
        items = iter(_generate(form["item"], _children(t, 1)[0], sum(lengths)))
        values = [[next(items) for _ in range(length)] for length in lengths]
    elif kind == "struct":
        fields = [_generate(f, child, count) for f, child in zip(form["fields"], _children(t, 0), strict=True)]
        values = [list(row) for row in zip(*fields, strict=True)]
    else:
        maker = {"random": _random, "text": _text, "sequence": _sequence}[kind]
        values = [maker(form, t, i) for i in range(count)]
    if "nulls" in form:
        values = [None if u(form["seed"] + 1, i) % form["nulls"] == 0 else value for i, value in enumerate(values)]
    return values


def _random(form: Json, t: Type, i: int) -> Value:
    kind = kind_of(t)
    word = u(form["seed"], i)
    if "mod" in form:
        word %= form["mod"]
    if kind == "bool":
        return bool(word & 1)
    if kind == "decimal":
        magnitude = word % 10 ** min(parameter(t)[0], 18)
        return -magnitude if word >> 63 else magnitude
    if kind in FLOATS:
        return word & (2 ** (8 * FLOATS[kind]) - 1)
    bits = 8 * (INTEGERS.get(kind) or TIMES[kind])
    word &= 2**bits - 1
    return word - 2**bits if not kind.startswith("uint") and word >> (bits - 1) else word


def _text(form: Json, t: Type, i: int) -> Value:
    word = u(form["seed"], i)
    if "mod" in form:
        word %= form["mod"]
    length = form["length"] + (word >> 32) % (form.get("spread", 0) + 1)
    text = (f"{word:016x}" * (length // 16 + 1))[:length]
    return text if kind_of(t) == "utf8" else text.encode()


def _sequence(form: Json, t: Type, i: int) -> Value:
    value = form["start"] + i * form["step"]
    return value % form["mod"] if "mod" in form else value


def table_of(form: Json) -> tuple[Schema, list[list[Value]]]:
    """The schema and columns of an input with the members `schema` and `columns`."""
    return form["schema"], [column_of(c, field[1]) for c, field in zip(form["columns"], form["schema"], strict=True)]


def entries_of(form: Json) -> list[Json]:
    """The level-0 tree entries, unsorted, of an array of entries or of the generator {"gen":"names",...}."""
    if isinstance(form, list):
        return form
    return [_tree_entry(form, i) for i in range(form["count"])]


def _tree_entry(form: Json, i: int) -> Json:
    word = u(form["seed"], i)
    name = from_form(form.get("prefix", ""), "utf8") + f"{word:016x}"
    entry: Json = {
        "bytes": word % 1_000_000,
        "name": name,
        "oid": plain_blake3(name.encode()).hex(),
        "type": ("blob", "table", "tree")[i % 3],
    }
    if i % 3 > 0:
        entry["rows"] = word % 1000
    if i % 3 == 2:
        entry["entries"] = word % 100
    if i % 7 == 0:
        entry["meta"] = plain_blake3(b"meta" + name.encode()).hex()
    return entry


# ------------------------------------------------------------------------------------------------ what a vector expects


def compute(name: str, form: Json) -> Json:
    """What the second reader expects of one input of a vector file; a refusal is {"refused": rule}."""
    try:
        return COMPUTE[name](form)
    except EqualKeys as error:
        types = {field[0]: field[1] for field in form["schema"]}
        key = [to_form(value, types[column]) for column, value in zip(form["key"], error.key, strict=True)]
        return {"refused": error.rule, "key": key}
    except Refused as error:
        return {"refused": error.rule}


def _oids(form: Json) -> Json:
    data = pieces(form["pieces"])
    return {"context": CONTEXTS[form["kind"]], "oid": oid(form["kind"], data)}


def _canonical_json(form: Json) -> Json:
    if "value" in form:
        return {"hex": encode(form["value"]).hex()}
    decode(pieces(form["pieces"]))
    return {"accepted": True}


def _types(form: Json) -> Json:
    if "type" in form:
        check_type(form["type"])
        return {"text": encode(form["type"]).decode()}
    return {"text": encode(form["schema"]).decode(), "digest": schema_digest(form["schema"]).hex()}


def _columns(form: Json) -> Json:
    t = form["type"]
    values = column_of(form["values"], t)
    out = {
        "digest": column_digest(values, t).hex(),
        "bytes": sum(cell_bytes(value, t) for value in values),
        "cells": [f"{cell(value, t):016x}" for value in values],
    }
    data = stream(values, t)
    if len(data) <= 512:
        out["stream"] = data.hex()
    return out


def _fragments(form: Json) -> Json:
    schema, columns = table_of(form)
    return {
        "schema": schema_digest(schema).hex(),
        "columns": [column_digest(c, field[1]).hex() for c, field in zip(columns, schema, strict=True)],
        "rows": len(columns[0]),
        "bytes": sum(row_bytes(schema, columns)),
        "oid": fragment_oid(schema, columns),
    }


def _sorting(form: Json) -> Json:
    schema, columns = table_of(form)
    return {"order": sorted_rows(schema, columns, form["key"])}


def _boundaries(form: Json) -> Json:
    schema, columns = table_of(form)
    table = build_table(schema, columns, form["key"])
    first = 40
    return {
        "target_rows": table.target_rows,
        "fragments": {name: [entry[name] for entry in table.fragments] for name in ("rows", "bytes", "oid")},
        "index": _index_form(table.index),
        "table": {"text": table.text.decode(), "oid": table.oid},
        "mixes": [f"{mix:016x}" for mix in table.mixes[:first]],
        "levels": [f"{level:08x}" for level in table.levels[:first]],
        "all_levels": digest("blob", b"".join(level.to_bytes(4, "little") for level in table.levels)).hex(),
    }


def _index_form(index: Index) -> Json:
    out: Json = {
        "nodes": [len(level) for level in index.levels],
        "entries": [[node.entries for node in level] for level in index.levels],
        "oids": [[node.oid for node in level] for level in index.levels],
        "root": index.root,
    }
    if any(node.stats for node in index.levels[0]):
        out["stats"] = [node.stats for node in index.levels[0]]
    texts = sum(len(node.text) for level in index.levels for node in level)
    if texts <= 2000:
        out["texts"] = [[node.text.decode() for node in level] for level in index.levels]
    return out


def _index(form: Json) -> Json:
    if "tree" in form:
        return _index_form(build_tree(entries_of(form["tree"])))
    schema: Schema = [["a", "int64"]]
    fragments = []
    for value in column_of(form["fragments"], "int64"):
        entry = {"bytes": 9, "oid": fragment_oid(schema, [[value]]), "rows": 1}
        fragments.append((entry, statistics_row(schema, [[value]])))
    return _index_form(build_fragments_index(schema, fragments))


def _statistics(form: Json) -> Json:
    if "type" in form:
        t = form["type"]
        struct = statistics_schema([["", t]])[0][1]
        return {"type": struct, "value": to_form(statistics_cell(column_of(form["values"], t), t), struct)}
    schema = form["schema"]
    rows = [statistics_row(schema, table_of({"schema": schema, "columns": c})[1]) for c in form["fragments"]]
    stats_schema = statistics_schema(schema)
    forms = [[to_form(value, field[1]) for value, field in zip(row, stats_schema, strict=True)] for row in rows]
    return {"schema": stats_schema, "rows": forms, "oid": statistics_oid(schema, rows)}


def _objects(form: Json) -> Json:
    data = form["text"].encode()
    decode_object(form["object"], data)
    return {"oid": oid(form["object"], data)}


def _commits(form: Json) -> Json:
    text = commit_text(form["commit"])
    decode_object("commit", text)
    return {"text": text.decode(), "oid": oid("commit", text)}


def _parts(form: Json) -> Json:
    """The log of a ref, and what it is a part of."""
    log = _log(form["log"])
    check_part_log(form["kind"], form["name"], log)
    newest = next((entry["part"] for entry in reversed(log) if "part" in entry), "/")
    revision, _, path = newest.partition("/")
    return {"revision": revision, "path": path}


def _log(entries: Json) -> list[Json]:
    """Entries with n, prev and digest, which follow from their order."""
    log: list[Json] = []
    for n, entry in enumerate(entries):
        entry = {**entry, "n": n, "prev": log[-1]["digest"] if log else None}
        entry["digest"] = ref_digest(entry)
        decode_object("ref", encode(entry))
        log.append(entry)
    return log


def _refs(form: Json) -> Json:
    """A log of entries without n, prev and digest, which follow from their order; or the text of one whole entry."""
    if "text" in form:
        decode_object("ref", form["text"].encode())
        return {"accepted": True}
    log = _log(form["log"])
    check_log(log)
    return {
        "keys": [ref_key(entry["n"]) for entry in log],
        "texts": [encode(entry).decode() for entry in log],
        "values": [ref_value(log[: n + 1]) for n in range(len(log))],
    }


def _frames(form: Json) -> Json:
    kind, payload = decode_frame(pieces(form["pieces"]), form["oid"])
    return {"kind": kind, "length": len(payload), "payload": digest("blob", payload).hex()}


def _packs(form: Json) -> Json:
    found = check_pack(pieces(form["pieces"]), form["id"])
    names = ("oid", "kind", "offset", "size", "length")
    objects = [dict(zip(names, record, strict=True)) | {"kind": PACKED_KINDS[record.kind]} for record, _ in found]
    return {"objects": objects}


def _chunks(form: Json) -> Json:
    stored = {name: pieces(parts) for name, parts in form["stored"].items()}
    frame = pieces(form["pieces"])
    _, payload = decode_frame(frame, form["oid"], stored)
    return {"length": len(payload), "chunks": [[name, end] for name, _, end in list_chunks(frame)]}


COMPUTE: dict[str, Callable[[Any], Any]] = {
    "oids": _oids,
    "canonical_json": _canonical_json,
    "types": _types,
    "columns": _columns,
    "fragments": _fragments,
    "sorting": _sorting,
    "boundaries": _boundaries,
    "index": _index,
    "statistics": _statistics,
    "objects": _objects,
    "commits": _commits,
    "refs": _refs,
    "parts": _parts,
    "frames": _frames,
    "packs": _packs,
    "chunks": _chunks,
}
NAMES: Sequence[str] = tuple(COMPUTE)
