"""What is in a golden store (spec/golden), said in plain JSON: the bytes of its files, its refs, and the values that they lead to."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import os
import uuid
from pathlib import Path
from typing import Any

import pyarrow as pa
from blake3 import blake3

import dpkg
from dpkg.repository import Repository

_SHOWN = 100  # rows; of a longer table the digest alone is kept


def files(store: Path) -> dict[str, str]:
    """The BLAKE3 of each file of a store, by its key."""
    found = [Path(folder, name) for folder, _, names in os.walk(store) for name in names]
    return {p.relative_to(store).as_posix(): blake3(p.read_bytes()).hexdigest() for p in sorted(found)}


def describe(store: Path) -> dict[str, Any]:
    """All that is expected of a store."""
    repository = Repository(str(store))
    refs: dict[str, Any] = {}
    for package in sorted(repository.refs.packages()):
        for kind, live in (("heads", repository.refs.heads(package)), ("tags", repository.refs.tags(package))):
            for name in live:
                refs[f"{package}/{kind}/{name}"] = _commits(store, f"{package}@{name}")
    part = {"acme/both/a": _entry(dpkg.load("acme/both/a", store=str(store)))}
    return {"files": files(store), "refs": refs, "parts": part}


def _commits(store: Path, expression: str) -> dict[str, Any]:
    log = dpkg.log(expression, store=str(store))
    return {"log": [[str(c.commit), c.message] for c in log], "entries": entries(expression, str(store))}


def entries(expression: str, store: str) -> dict[str, Any]:
    """The tables and blobs of a commit by path."""
    return dict(_entries(dpkg.load(expression, store=store), ""))


def _entries(node: Any, prefix: str) -> Any:
    for name in node:
        child = node[name]
        if hasattr(child, "keys"):
            yield from _entries(child, f"{prefix}{name}/")
        else:
            yield prefix + name, _entry(child)


def _entry(node: Any) -> Any:
    if hasattr(node, "arrow"):
        table = node.arrow()
        lines = [json.dumps([plain(v) for v in row.values()], ensure_ascii=False) for row in table.to_pylist()]
        text = "".join(f"{line}\n" for line in lines)
        said: dict[str, Any] = {"schema": [[f.name, str(f.type)] for f in table.schema], "rows": len(lines)}
        return said | ({"values": lines} if len(lines) <= _SHOWN else {"blake3": blake3(text.encode()).hexdigest()})
    data = node.read()
    return {"bytes": len(data), "blake3": blake3(data).hexdigest()}


def plain(value: Any) -> Any:
    """A value of Arrow in JSON, from which it can be told exactly."""
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dt.timedelta):
        return [value.days, value.seconds, value.microseconds]
    if isinstance(value, dict):
        return [[name, plain(v)] for name, v in value.items()]
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, decimal.Decimal | dt.date | dt.time | uuid.UUID):
        return str(value)
    return value


def every_type() -> pa.Table:
    """Rows of columns of every canonical type: the least, the greatest, odd ones, null."""
    inf, nan = float("inf"), float("nan")
    moment = dt.datetime(2026, 11, 22, 21, 17, 0, 123_000)
    columns: dict[str, tuple[pa.DataType, list[Any]]] = {
        "null": (pa.null(), [None] * 4),
        "bool": (pa.bool_(), [True, False, None, True]),
        **{
            f"int{n}": (pa.type_for_alias(f"int{n}"), [-(1 << n - 1), (1 << n - 1) - 1, None, 0])
            for n in (8, 16, 32, 64)
        },
        **{f"uint{n}": (pa.type_for_alias(f"uint{n}"), [0, (1 << n) - 1, None, 1]) for n in (8, 16, 32, 64)},
        "float16": (pa.float16(), [1.5, -0.0, None, inf]),
        "float32": (pa.float32(), [0.1, nan, None, -inf]),
        "float64": (pa.float64(), [0.1, -0.0, nan, 5e-324]),
        "utf8": (pa.string(), ["", "naïve 数据 \U0001f5c3", None, "a\0b\r\n"]),
        "binary": (pa.binary(), [b"", b"\0\xff", None, b"PAR1"]),
        "fixed_binary": (pa.binary(3), [b"abc", b"\0\0\0", None, b"\xff" * 3]),
        "decimal": (
            pa.decimal128(38, 10),
            [decimal.Decimal("1.5"), decimal.Decimal("-" + "9" * 28), None, decimal.Decimal(0)],
        ),
        "decimal256": (
            pa.decimal256(76, 0),
            [decimal.Decimal("9" * 76), decimal.Decimal(-1), None, decimal.Decimal(0)],
        ),
        "date": (pa.date32(), [dt.date(1, 1, 1), dt.date(9999, 12, 31), None, dt.date(1970, 1, 1)]),
        "time_ms": (pa.time32("ms"), [dt.time(0), dt.time(23, 59, 59, 999_000), None, dt.time(1, 2, 3)]),
        "time_us": (pa.time64("us"), [dt.time(0), dt.time(23, 59, 59, 999_999), None, dt.time(1, 2, 3)]),
        "timestamp_ms": (pa.timestamp("ms"), [moment, dt.datetime(1, 1, 1), None, dt.datetime(1970, 1, 1)]),
        "timestamp_us": (pa.timestamp("us", "Europe/Berlin"), [moment, dt.datetime(1970, 1, 1), None, moment]),
        "duration": (pa.duration("us"), [dt.timedelta(days=-1), dt.timedelta(microseconds=1), None, dt.timedelta(0)]),
        "list": (pa.list_(pa.int16()), [[], [1, None, 2], None, [3]]),
        "fixed_list": (pa.list_(pa.float32(), 2), [[1.0, 2.0], [None, nan], None, [0.0, -0.0]]),
        "struct": (
            pa.struct({"a": pa.int8(), "b": pa.string()}),
            [{"a": 1, "b": "x"}, {"a": None, "b": None}, None, {"a": 2, "b": ""}],
        ),
        "map": (pa.map_(pa.string(), pa.int32()), [[], [("b", 2), ("a", None)], None, [("a", 1), ("a", 2)]]),
        "uuid": (
            pa.uuid(),
            [uuid.UUID(int=1).bytes, uuid.UUID(int=(1 << 128) - 1).bytes, None, uuid.UUID(int=0).bytes],
        ),
        "json": (pa.json_(), ['{"a":[1]}', "null", None, "3"]),
        "nested": (
            pa.list_(pa.struct({"at": pa.timestamp("ns"), "tags": pa.map_(pa.string(), pa.list_(pa.int8()))})),
            [[{"at": None, "tags": [("t", [1, None])]}], [], None, [None, {"at": moment, "tags": None}]],
        ),
    }
    arrays = []
    for kind, values in columns.values():
        if isinstance(kind, pa.BaseExtensionType):
            arrays.append(pa.ExtensionArray.from_storage(kind, pa.array(values, kind.storage_type)))
        else:
            arrays.append(pa.array(values, kind))
    return pa.table(arrays, names=list(columns))
