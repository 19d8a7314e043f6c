"""Canonical types (spec/types.md): what a column's type is, whatever form it arrived in."""

from __future__ import annotations

import base64
import ctypes
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from dpkg.errors import Format
from dpkg.objects.typetext import type_text

MAX_DEPTH = 32  # below the outermost type
_EXT_NAME, _EXT_META = b"ARROW:extension:name", b"ARROW:extension:metadata"
_PICKLED = "arrow.py_extension_type"
_UNITS = ("ms", "us", "ns")
# Types without parameters: their name in canonical JSON, the Arrow type that a reader returns.
SIMPLE: dict[str, pa.DataType] = {
    "null": pa.null(),
    "bool": pa.bool_(),
    **{f"{s}int{w}": getattr(pa, f"{s}int{w}")() for w in (8, 16, 32, 64) for s in ("", "u")},
    "float16": pa.float16(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "utf8": pa.string(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "time_ms": pa.time32("ms"),
    "time_us": pa.time64("us"),
    "time_ns": pa.time64("ns"),
}
_BY_ARROW = {t: name for name, t in SIMPLE.items()} | {
    pa.large_string(): "utf8",
    pa.string_view(): "utf8",
    pa.large_binary(): "binary",
    pa.binary_view(): "binary",
    pa.date64(): "date",
    pa.time32("s"): "time_ms",
}


@dataclass(frozen=True, slots=True)
class Type:
    """A canonical type: `params` as in the spec's table (sizes, units, an extension's name and metadata)."""

    kind: str
    params: tuple[Any, ...] = ()
    names: tuple[str, ...] = ()  # of a struct's fields
    items: tuple[Type, ...] = ()  # the nested types

    @property
    def json(self) -> Any:
        """The type as it stands in a table object (TYPE-1)."""
        k, p, items = self.kind, self.params, [t.json for t in self.items]
        if k in SIMPLE:
            return k
        if k == "struct":
            return {k: [list(pair) for pair in zip(self.names, items, strict=True)]}
        if k in ("duration", "fixed_binary"):
            return {k: p[0]}
        if k == "list":
            return {k: items[0]}
        return {k: [*p, *items]}

    @property
    def plain(self) -> pa.DataType:
        """The Arrow type of the values, with storage types in place of extensions: what dpkg computes with."""
        return _PLAIN[self.kind](self) if self.kind in _PLAIN else SIMPLE[self.kind]

    @property
    def storage(self) -> Type:
        """The type below any extension."""
        return self.items[0].storage if self.kind == "extension" else self

    def field(self, name: str) -> pa.Field:
        """The Arrow field that a reader returns: a registered extension type, else its storage with field metadata."""
        return _field(name, self)

    def __str__(self) -> str:
        return type_text(self.json)  # Arrow prints float32 as `float`, which people take for Python's


_PLAIN: dict[str, Any] = {
    "fixed_binary": lambda t: pa.binary(t.params[0]),
    "decimal": lambda t: (pa.decimal128 if t.params[0] <= 38 else pa.decimal256)(*t.params),
    "timestamp": lambda t: pa.timestamp(*t.params),
    "duration": lambda t: pa.duration(t.params[0]),
    "list": lambda t: pa.list_(t.items[0].plain),
    "fixed_list": lambda t: pa.list_(t.items[0].plain, t.params[0]),
    "struct": lambda t: pa.struct([pa.field(n, i.plain) for n, i in zip(t.names, t.items, strict=True)]),
    "map": lambda t: pa.map_(t.items[0].plain, t.items[1].plain),
    "extension": lambda t: t.items[0].plain,
}


def _field(name: str, t: Type) -> pa.Field:
    if t.kind == "extension":
        inner = _field(name, t.items[0])
        meta = {_EXT_NAME: t.params[0].encode(), _EXT_META: base64.b64decode(t.params[1])}
        return _registered(inner.with_metadata({**(inner.metadata or {}), **meta}))
    items = [_field(n, i) for n, i in zip(t.names or ("item", "value"), t.items, strict=False)]
    if t.kind == "list":
        return pa.field(name, pa.list_(items[0]))
    if t.kind == "fixed_list":
        return pa.field(name, pa.list_(items[0], t.params[0]))
    if t.kind == "struct":
        return pa.field(name, pa.struct(items))
    if t.kind == "map":
        return pa.field(name, pa.map_(items[0].with_name("key").with_nullable(False), items[1]))
    return pa.field(name, t.plain)


def _registered(field: pa.Field) -> pa.Field:
    """The field with its extension type, if Arrow knows it; going through IPC is how Arrow itself looks it up."""
    try:
        found = pa.ipc.read_schema(pa.schema([field]).serialize()).field(0)
        same = from_field(found) == from_field(field)
    except Exception:  # noqa: BLE001 - a registered type's own code runs here
        return field
    return found if same else field  # some spell their metadata otherwise, or want another storage


def from_field(field: pa.Field, where: str = "", depth: int = 0) -> Type:
    """The canonical type of an Arrow field, `depth` below the outermost. Raises Format, naming the column (TYPE-5)."""
    where = where or f"column '{name_of(field)}'"
    if depth > MAX_DEPTH:
        raise Format(f"{where}: types nest more than {MAX_DEPTH} deep")
    t, meta = field.type, field.metadata or {}
    if isinstance(t, pa.BaseExtensionType):
        storage = from_field(pa.field("", t.storage_type), where, depth + 1)
        packed = _metadata(t) if storage.kind != "extension" else b""
        return _extension(where, text(t.extension_name), packed, storage)
    if _EXT_NAME in meta:
        storage = from_field(pa.field("", t), where, depth + 1)
        return _extension(where, text(meta[_EXT_NAME]), meta.get(_EXT_META, b""), storage)
    if t in _BY_ARROW:
        return Type(_BY_ARROW[t])
    if pa.types.is_dictionary(t) or pa.types.is_run_end_encoded(t):
        return from_field(pa.field("", t.value_type), where, depth)
    return _parametric(t, where, depth)


def _extension(where: str, name: str, meta: bytes, storage: Type) -> Type:
    if name == _PICKLED:
        raise Format(
            f"{where}: the extension type '{name}' travels as pickled code", "convert the column to its storage type"
        )
    if storage.kind == "extension":  # a field has room for one extension's metadata
        raise Format(
            f"{where}: the extension type '{name}' is stored as another one", "convert the column to its storage type"
        )
    return Type("extension", (name, base64.b64encode(meta).decode()), items=(storage,))


class _CSchema(ctypes.Structure):
    """ArrowSchema of Arrow's C data interface."""

    _fields_ = (
        ("format", ctypes.c_char_p),
        ("name", ctypes.c_char_p),
        ("metadata", ctypes.c_void_p),
        ("flags", ctypes.c_int64),
        ("n_children", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name in ("children", "dictionary", "release", "private_data")),
    )


def _metadata(t: pa.BaseExtensionType) -> bytes:
    """An extension type's metadata. Those built into Arrow have no method that gives it; the C data interface does."""
    if hasattr(t, "__arrow_ext_serialize__"):
        return bytes(t.__arrow_ext_serialize__())
    c = _CSchema()
    pa.field("", t)._export_to_c(ctypes.addressof(c))
    try:
        words, at = [], c.metadata + 4  # after the number of pairs; each text has its length in front
        for _ in range(2 * ctypes.c_int32.from_address(c.metadata).value):
            size = ctypes.c_int32.from_address(at).value
            words.append(ctypes.string_at(at + 4, size))
            at += 4 + size
    finally:
        pa.Field._import_from_c(ctypes.addressof(c))  # takes the memory over, and frees it
    return dict(zip(words[::2], words[1::2], strict=True)).get(_EXT_META, b"")


def _parametric(t: pa.DataType, where: str, depth: int) -> Type:
    p = pa.types
    if p.is_timestamp(t):
        unit = "ms" if t.unit == "s" else t.unit
        return Type("timestamp", (unit, text(t.tz)) if t.tz else (unit,))
    if p.is_duration(t):
        return Type("duration", ("ms" if t.unit == "s" else t.unit,))
    if p.is_decimal(t):
        if not 0 <= t.scale <= t.precision:
            raise _refused(where, t, "its scale is negative or above its precision")
        return Type("decimal", (t.precision, t.scale))
    if p.is_fixed_size_binary(t):
        if t.byte_width < 1:
            raise _refused(where, t, "its width is zero")
        return Type("fixed_binary", (t.byte_width,))
    if p.is_fixed_size_list(t):
        if t.list_size < 1:
            raise _refused(where, t, "its width is zero")
        return Type("fixed_list", (t.list_size,), items=(from_field(t.value_field, where, depth + 1),))
    if p.is_map(t):
        return Type(
            "map", items=(from_field(t.key_field, where, depth + 1), from_field(t.item_field, where, depth + 1))
        )
    if p.is_list(t) or p.is_large_list(t) or p.is_list_view(t) or p.is_large_list_view(t):
        return Type("list", items=(from_field(t.value_field, where, depth + 1),))
    if p.is_struct(t):
        fields = [t.field(i) for i in range(t.num_fields)]
        if not fields:
            raise _refused(where, t, "it has no fields")
        names = unique_names([name_of(f) for f in fields], where)
        return Type("struct", names=names, items=tuple(from_field(f, where, depth + 1) for f in fields))
    raise _refused(where, t, "there is no canonical form for it")


def _refused(where: str, t: pa.DataType, why: str) -> Format:
    return Format(f"{where}: type {t} is not supported: {why}", "convert or drop the column before building")


def text(raw: str | bytes) -> str:
    """A name, checked (TYPE-5). Raises Format if it is not UTF-8."""
    try:
        return raw.decode() if isinstance(raw, bytes) else raw.encode().decode()
    except UnicodeError:
        raise Format(f"the name {raw!r} is not valid UTF-8", "rename the column") from None


def name_of(field: pa.Field) -> str:
    """A field's name. Raises Format if it is not UTF-8."""
    try:
        return str(field.name)
    except UnicodeError as e:
        raise Format(f"the name {getattr(e, 'object', b'')!r} is not valid UTF-8", "rename the column") from None


def unique_names(names: Iterable[str], where: str) -> tuple[str, ...]:
    """Names as a tuple. Raises Format for a name that stands twice or is not UTF-8 (TYPE-5)."""
    seen: dict[str, None] = {}
    for raw in names:
        name = text(raw)
        if name in seen:
            raise Format(f"{where}: two columns are named '{name}'", "rename one of them")
        seen[name] = None
    return tuple(seen)


def from_json(value: Any, depth: int = 0) -> Type:
    """The type written as `value`, `depth` below the outermost (TYPE-1). Raises Format for every other spelling."""
    if depth > MAX_DEPTH:
        raise Format(f"types nest more than {MAX_DEPTH} deep")
    if isinstance(value, str) and value in SIMPLE:
        return Type(value)
    if isinstance(value, dict) and len(value) == 1:
        kind, p = next(iter(value.items()))
        made = _parse(kind, p, depth)
        if made is not None:
            return made
    raise Format(f"{str(value)[:200]} is not a canonical type")


def _ints(p: Any, *bounds: tuple[int, int]) -> bool:
    return len(p) == len(bounds) and all(
        type(x) is int and lo <= x <= hi for x, (lo, hi) in zip(p, bounds, strict=True)
    )


def _parse(kind: str, p: Any, depth: int) -> Type | None:
    if kind == "list":
        return Type(kind, items=(from_json(p, depth + 1),))
    if kind == "duration":
        return Type(kind, (p,)) if p in _UNITS else None
    if kind == "fixed_binary":
        return Type(kind, (p,)) if _ints([p], (1, 2**31 - 1)) else None
    if not isinstance(p, list):
        return None
    if kind == "decimal" and _ints(p, (1, 76), (0, 76)) and p[1] <= p[0]:
        return Type(kind, tuple(p))
    if kind == "timestamp" and len(p) in (1, 2) and p[0] in _UNITS and all(isinstance(x, str) and x for x in p):
        return Type(kind, tuple(text(x) for x in p))
    if kind == "fixed_list" and len(p) == 2 and _ints(p[:1], (1, 2**31 - 1)):
        return Type(kind, (p[0],), items=(from_json(p[1], depth + 1),))
    if kind == "map" and len(p) == 2:
        return Type(kind, items=(from_json(p[0], depth + 1), from_json(p[1], depth + 1)))
    if kind == "extension" and len(p) == 3 and isinstance(p[0], str) and _is_base64(p[1]):
        return _extension("schema", text(p[0]), base64.b64decode(p[1]), from_json(p[2], depth + 1))
    if kind == "struct" and p and all(isinstance(f, list) and len(f) == 2 and isinstance(f[0], str) for f in p):
        names = unique_names((f[0] for f in p), "struct")
        return Type(kind, names=names, items=tuple(from_json(f[1], depth + 1) for f in p))
    return None


def _is_base64(value: Any) -> bool:
    try:
        return isinstance(value, str) and base64.b64encode(base64.b64decode(value, validate=True)).decode() == value
    except ValueError:
        return False
