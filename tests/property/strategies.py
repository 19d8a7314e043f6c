"""Canonical types, random values of them, and the many Arrow forms that mean the same.

Types are the canonical JSON of spec/types.md; values are plain Python, as tests/spec/reader.py has them (floats are
their bits, dates and times integers, decimals unscaled integers, structs lists, maps lists of pairs). Types are drawn
by hypothesis and shrink; values and forms come from a random.Random whose seed is drawn.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

INTS = {f"{s}int{w}": (w // 8, s == "") for w in (8, 16, 32, 64) for s in ("", "u")}
FLOATS = {"float16": (2, 0x7E00, 10), "float32": (4, 0x7FC00000, 23), "float64": (8, 0x7FF8 << 48, 52)}
ZONES = ("UTC", "Europe/Paris", "+02:00")
NAMES = (
    "a",
    "b",
    "a.b",
    "",
    "é",
    "名前",
    "list",
    "element",
    "key",
    "key_value",
    "x y",
    'q"',
    "A",
    "ARROW:schema",
    "0",
    "a.list",
)
SIMPLE = ["null", "bool", *INTS, *FLOATS, "utf8", "binary", "date", "time_ms", "time_us", "time_ns"]


def kind(t: Any) -> str:
    return t if isinstance(t, str) else next(iter(t))


def param(t: Any) -> Any:
    return next(iter(t.values()))


def storage(t: Any) -> Any:
    return storage(param(t)[2]) if kind(t) == "extension" else t


# -------------------------------------------------------------------------------------------------------------- types


def _decimal(p: int) -> st.SearchStrategy[Any]:
    return st.sampled_from(sorted({0, 1, p // 2, p})).map(lambda s: {"decimal": [p, s]})


FLAT = st.one_of(
    st.sampled_from(SIMPLE),
    st.sampled_from([1, 3, 8, 9, 70]).map(lambda n: {"fixed_binary": n}),
    st.sampled_from([1, 5, 9, 10, 18, 19, 38, 39, 76]).flatmap(_decimal),
    st.builds(
        lambda u, z: {"timestamp": [u, z] if z else [u]},
        st.sampled_from(["ms", "us", "ns"]),
        st.sampled_from(["", *ZONES]),
    ),
    st.sampled_from(["ms", "us", "ns"]).map(lambda u: {"duration": u}),
)


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


KNOWN_EXTENSIONS: list[Any] = [
    {"extension": ["arrow.uuid", "", {"fixed_binary": 16}]},
    {"extension": ["arrow.json", "", "utf8"]},
    {"extension": ["arrow.bool8", "", "int8"]},
    {"extension": ["arrow.fixed_shape_tensor", _b64(b'{"shape":[2,1]}'), {"fixed_list": [2, "float32"]}]},
    {"extension": ["arrow.opaque", _b64(b'{"type_name":"t","vendor_name":"v"}'), "binary"]},
]


def _unknown(t: Any) -> Any:
    return {"extension": ["acme.thing", _b64(b"\x00meta\xff"), storage(t)]}


def names(least: int = 1, most: int = 3) -> st.SearchStrategy[list[str]]:
    name = st.one_of(st.sampled_from(NAMES), st.text(st.characters(exclude_categories=["Cs"]), max_size=5))
    return st.lists(name, min_size=least, max_size=most, unique=True)


def _nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    def struct(fields: list[str]) -> st.SearchStrategy[Any]:
        return st.tuples(*[inner] * len(fields)).map(
            lambda ts: {"struct": [list(p) for p in zip(fields, ts, strict=True)]}
        )

    keys = FLAT.filter(lambda t: t != "null")
    return st.one_of(
        inner.map(lambda t: {"list": t}),
        st.tuples(st.integers(1, 3), inner).map(lambda p: {"fixed_list": list(p)}),
        names().flatmap(struct),
        st.tuples(keys, inner).map(lambda p: {"map": list(p)}),
        inner.map(_unknown),
        st.sampled_from(KNOWN_EXTENSIONS),
    )


TYPES: st.SearchStrategy[Any] = st.one_of(FLAT, st.recursive(FLAT, _nested, max_leaves=4))


# -------------------------------------------------------------------------------------------------------------- values


class _Garbage:
    """What stands in a slot that no one can see."""

    def __repr__(self) -> str:
        return "GARBAGE"


GARBAGE: Any = _Garbage()
_TEXT = [
    "",
    "a",
    "b",
    "é",
    "a" * 31,
    "a" * 32,
    "é" * 16,
    "a" * 33,
    "\U0010ffff" * 9,
    "x" * 63 + "é",
    "y" * 64,
    "z" * 200,
    "\0",
]


def value_of(rng: random.Random, t: Any, nulls: float = 0.2) -> Any:
    """One value, or None."""
    k = kind(t)
    if k == "null" or rng.random() < nulls:
        return None
    if k == "extension":
        return value_of(rng, storage(t), 0)
    if k == "list":
        return [value_of(rng, param(t), nulls) for _ in range(rng.choice([0, 1, 2, 3]))]
    if k == "fixed_list":
        return [value_of(rng, param(t)[1], nulls) for _ in range(param(t)[0])]
    if k == "struct":
        return [value_of(rng, item, nulls) for _, item in param(t)]
    if k == "map":
        key, item = param(t)
        return [[value_of(rng, key, 0), value_of(rng, item, nulls)] for _ in range(rng.choice([0, 1, 2, 3]))]
    return _flat(rng, t, k)


def _flat(rng: random.Random, t: Any, k: str) -> Any:
    if k == "bool":
        return rng.random() < 0.5
    if k in INTS:
        width, signed = INTS[k]
        low, high = (-(2 ** (8 * width - 1)), 2 ** (8 * width - 1) - 1) if signed else (0, 2 ** (8 * width) - 1)
        return rng.choice([low, high, 0, 1, rng.randint(low, high), rng.randint(0, 20)])
    if k in FLOATS:
        width, nan, mantissa = FLOATS[k]
        sign, inf = 1 << (8 * width - 1), ((1 << (8 * width - 1 - mantissa)) - 1) << mantissa
        return rng.choice(
            [0, sign, inf, inf | sign, nan, nan | sign | 1, inf | 1, 1, sign | 1, rng.getrandbits(8 * width)]
        )
    if k == "decimal":
        most = 10 ** param(t)[0] - 1
        return rng.choice([0, 1, -1, most, -most, rng.randint(-most, most)])
    if k == "utf8":
        return rng.choice(
            [*_TEXT, "".join(chr(rng.choice([97, 98, 233, 0x4E00, 0x1F600])) for _ in range(rng.randint(0, 90)))]
        )
    if k in ("binary", "fixed_binary"):
        size = param(t) if k == "fixed_binary" else rng.choice([0, 1, 7, 8, 9, 31, 32, 33, 64, 65, 71, 72, 73, 150])
        return rng.choice([rng.randbytes(size), b"\xff" * size, bytes(size)])
    if k == "date":
        return rng.choice([0, -1, 18_000, rng.randint(-(2**31), 2**31 - 1)])
    if k.startswith("time_"):
        return rng.randrange(86_400 * {"ms": 10**3, "us": 10**6, "ns": 10**9}[k[5:]])
    return rng.choice([0, 1000, -5000, -1, rng.randint(-(2**63), 2**63 - 1), 1000 * rng.randint(-(10**12), 10**12)])


def values_of(rng: random.Random, t: Any, n: int) -> list[Any]:
    """A column: mixed, without nulls, all null, or of few values; times often of whole seconds."""
    style = rng.choice(["mixed", "mixed", "present", "few", "null", "seconds"])
    if style == "null":
        return [None] * n
    if style == "few":
        pool = [value_of(rng, t) for _ in range(2)]
        return [rng.choice(pool) for _ in range(n)]
    column = [value_of(rng, t, 0 if style == "present" else 0.25) for _ in range(n)]
    return [_whole_seconds(v, t) for v in column] if style == "seconds" else column


def _whole_seconds(v: Any, t: Any) -> Any:
    return v // 1000 * 1000 if v is not None and t in ("time_ms", {"timestamp": ["ms"]}, {"duration": "ms"}) else v


def canonical(v: Any, t: Any) -> Any:
    """A value with the one NaN."""
    k = kind(t)
    if v is None:
        return None
    if k == "extension":
        return canonical(v, storage(t))
    if k == "list":
        return [canonical(x, param(t)) for x in v]
    if k == "fixed_list":
        return [canonical(x, param(t)[1]) for x in v]
    if k == "struct":
        return [canonical(x, f[1]) for x, f in zip(v, param(t), strict=True)]
    if k == "map":
        return [[canonical(x, param(t)[0]), canonical(y, param(t)[1])] for x, y in v]
    if k in FLOATS:
        width, nan, mantissa = FLOATS[k]
        inf = ((1 << (8 * width - 1 - mantissa)) - 1) << mantissa
        return nan if v & ((1 << (8 * width - 1)) - 1) > inf else v
    return v


# -------------------------------------------------------------------------------------------------------------- tables


@dataclass(frozen=True)
class Plain:
    """A table of plain values: `schema` is canonical JSON, `columns` a list of values for each."""

    schema: list[Any]
    columns: list[list[Any]]

    @property
    def rows(self) -> int:
        return len(self.columns[0])

    def canonical(self) -> list[list[Any]]:
        return [[canonical(v, t) for v in c] for c, (_, t) in zip(self.columns, self.schema, strict=True)]

    def slice(self, start: int, stop: int) -> Plain:
        return Plain(self.schema, [c[start:stop] for c in self.columns])


@st.composite
def tables(draw: Any, types: st.SearchStrategy[Any] = TYPES, least: int = 0, most: int = 12, columns: int = 3) -> Plain:
    """Tables of `least` to `most` rows."""
    fields = draw(names(1, columns))
    schema = [[name, draw(types)] for name in fields]
    rows = draw(st.sampled_from(sorted({least, max(least, 1), most})) | st.integers(least, most))
    rng = draw(randoms())
    return Plain(schema, [values_of(rng, t, rows) for _, t in schema])


def randoms() -> st.SearchStrategy[random.Random]:
    return st.integers(0, 2**32).map(random.Random)


def cuts(rng: random.Random, n: int, most: int = 4) -> Sequence[tuple[int, int]]:
    """Ranges that make up 0 to n, some empty."""
    ends = sorted(rng.randint(0, n) for _ in range(rng.randint(0, most)))
    return list(zip([0, *ends], [*ends, n], strict=True))
