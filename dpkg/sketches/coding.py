"""Profiles as bytes, the same for the same profile on every machine but for their compression (spec/storage.md, PRO-1)."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import zstandard
from blake3 import blake3

from dpkg.errors import Corrupt
from dpkg.sketches.column import ColumnProfile
from dpkg.sketches.distinct import Distinct
from dpkg.sketches.frequent import Frequent
from dpkg.sketches.moments import Moments
from dpkg.sketches.quantiles import Quantiles

FORM = 2
_HEAD = struct.Struct("<8sQ")  # magic, length of what is compressed
_MAGIC = b"dpkgprof"
_MOST = 1 << 30  # bytes of what is compressed
_DTYPES = ("<i8", "<u8", "<f8")


def encode(columns: Sequence[ColumnProfile], rows: int, of: Sequence[str] = ()) -> bytes:
    """Profiles of all columns of `rows` rows; `of` names the fragments where nothing else does."""
    arrays: list[Any] = []
    head = {"form": FORM, "rows": rows, "of": list(of), "columns": [_column(column, arrays) for column in columns]}
    body = (
        json.dumps(head, sort_keys=True, separators=(",", ":")).encode() + b"\n" + b"".join(a.tobytes() for a in arrays)
    )
    data = _HEAD.pack(_MAGIC, len(body)) + zstandard.ZstdCompressor(level=3).compress(body)
    return data + blake3(data).digest()


def decode(data: bytes, columns: int, rows: int) -> list[ColumnProfile]:
    """What `encode` was given. Raises Corrupt for anything else, another form, and what is of other rows or columns."""
    head, found = _decode(data, columns)
    if (head["rows"], head["of"]) != (rows, []):
        raise Corrupt("a profile is of other rows")
    return found


def decode_run(data: bytes, columns: int) -> tuple[list[str], list[ColumnProfile]]:
    """The names of fragments, and their profile. Raises Corrupt as `decode` does."""
    head, found = _decode(data, columns)
    return head["of"], found


def _decode(data: bytes, columns: int) -> tuple[dict[str, Any], list[ColumnProfile]]:
    if len(data) < _HEAD.size + 32 or blake3(data[:-32]).digest() != data[-32:]:
        raise Corrupt("a profile is damaged")
    magic, length = _HEAD.unpack_from(data)
    if magic != _MAGIC or length > _MOST:
        raise Corrupt("a profile is of another form")
    try:
        body = zstandard.ZstdDecompressor().decompress(data[_HEAD.size : -32], max_output_size=length)
        end = body.index(b"\n") + 1
        head = json.loads(body[:end])
        if (head["form"], len(head["columns"]), type(head["of"])) != (FORM, columns, list):
            raise Corrupt("a profile is of another form")
        arrays = _Arrays(body, end)
        return head, [_decoded(column, arrays) for column in head["columns"]]
    except (zstandard.ZstdError, ValueError, TypeError, KeyError, AttributeError, RecursionError, MemoryError) as error:
        raise Corrupt(f"a profile is damaged: {error}") from None


def _column(p: ColumnProfile, arrays: list[Any]) -> dict[str, Any]:
    def put(values: Any, dtype: str) -> list[Any]:
        arrays.append(np.asarray(values, dtype))
        return [dtype, len(arrays[-1])]

    kind = p.numbers.values.dtype.newbyteorder("<").str if p.numbers is not None and p.measure == "values" else ""

    def plain(values: Sequence[Any]) -> list[Any]:
        return put(values, kind) if kind else [v.hex() if isinstance(v, bytes) else v for v in values]

    out: dict[str, Any] = {
        "rows": p.rows,
        "nulls": p.nulls,
        "nans": p.nans,
        "infinities": p.infinities,
        "measure": p.measure,
    }
    if p.low is not None:
        out["bounds"] = plain([p.low, p.high])
    if p.moments is not None:
        m = p.moments
        out["moments"] = [m.count, *_dyadic(m.first), *_dyadic(m.second)]
    if p.numbers is not None:
        q = p.numbers
        out["numbers"] = [put(q.values, q.values.dtype.newbyteorder("<").str), put(q.weights, "<i8"), q.error]
    if p.distinct is not None:
        out["distinct"] = put(p.distinct.hashes, "<u8")
    if p.frequent is not None:
        out["frequent"] = [
            plain(list(p.frequent.counts)),
            put(list(p.frequent.counts.values()), "<i8"),
            p.frequent.error,
        ]
    return out


def _decoded(said: dict[str, Any], arrays: _Arrays) -> ColumnProfile:
    measure = said["measure"]

    def plain(values: list[Any]) -> list[Any]:
        if measure == "values":
            return list(arrays.take(values).tolist())
        return [v if v is None else bytes.fromhex(v) for v in values] if measure == "bytes" else values

    low, high = plain(said["bounds"]) if "bounds" in said else (None, None)
    moments = numbers = distinct = frequent = None
    if "moments" in said:
        count, *parts = said["moments"]
        moments = Moments(count, _fraction(*parts[:2]), _fraction(*parts[2:]))
    if "numbers" in said:
        values, weights, error = said["numbers"]
        numbers = Quantiles(arrays.take(values), arrays.take(weights), error)
    if "distinct" in said:
        distinct = Distinct(arrays.take(said["distinct"]))
    if "frequent" in said:
        values, counts, error = said["frequent"]
        frequent = Frequent(dict(zip(plain(values), arrays.take(counts).tolist(), strict=True)), error)
    few = (said["rows"], said["nulls"], said["nans"], said["infinities"])
    return ColumnProfile(*few, measure, low, high, moments, numbers, distinct, frequent)


class _Arrays:
    """The arrays behind the head, one after another."""

    def __init__(self, body: bytes, at: int) -> None:
        self._body, self._at = body, at

    def take(self, said: list[Any]) -> Any:
        dtype, count = said
        if dtype not in _DTYPES:
            raise ValueError("an array is of an unknown type")
        found = np.frombuffer(self._body, dtype, count, self._at)
        self._at += found.nbytes
        return found.astype(found.dtype.newbyteorder("="), copy=False)


def _dyadic(value: Fraction) -> tuple[str, int]:
    """A fraction over a power of two."""
    return hex(value.numerator), value.denominator.bit_length() - 1


def _fraction(numerator: str, power: int) -> Fraction:
    if power > 1 << 14:
        raise ValueError("a sum is of an impossible size")
    return Fraction(int(numerator, 16), 1 << power)
