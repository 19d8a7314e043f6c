"""From plain columns of fragments to their profiles (dpkg.sketches): what occurs, and how often, counted once for all sketches."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from decimal import Context, Decimal
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from blake3 import blake3

from dpkg.arrow.hashes import text_hashes
from dpkg.arrow.normal import drop_null, unnest
from dpkg.arrow.schema import Schema
from dpkg.arrow.stats import StatsRow, stats_row
from dpkg.arrow.types import Type
from dpkg.arrow.values import FLOATS, WIDTH, slots, string_offsets, width_of
from dpkg.objects.node import FragmentEntry
from dpkg.sketches.column import ColumnProfile, Gathering, Measure, bounds
from dpkg.sketches.distinct import Distinct
from dpkg.sketches.frequent import MOST, Frequent, Value
from dpkg.sketches.moments import Moments
from dpkg.sketches.quantiles import Quantiles, points_of, spaced
from dpkg.sketches.select import select

_SHOWN = 128  # bytes of a frequent text that are kept
_MANY = 4096  # values from which on it is worth not to sort them all
_SAMPLE = 1024
_BUCKET = np.uint64(50)  # hashes by their first 14 bits
_DENSE = 1 << 16  # integers in a range of this are counted rather than sorted
_PLAIN_DECIMAL = 18  # digits of a decimal that fit an int64
GROUP_ROWS = 1 << 16
_LISTS = ("list", "fixed_list", "map")


class Part(NamedTuple):
    """A fragment: its name and size, its plain columns, their statistics."""

    entry: FragmentEntry
    columns: list[pa.Array]
    stats: StatsRow


def profile(parts: Sequence[Part], schema: Schema) -> list[ColumnProfile]:
    """The profiles of the columns of some fragments, as of one."""
    out, points = [], points_of(len(schema.types))
    for i, t in enumerate(schema.types):
        arrays = [part.columns[i] for part in parts]
        array = pa.concat_arrays(arrays) if len(arrays) > 1 else arrays[0]
        out.append(_profile(array, t.storage, [part.stats[i] for part in parts], points))
    return out


def of_batches(batches: Iterable[list[pa.Array]], schema: Schema) -> list[ColumnProfile]:
    """The profiles of the columns of a table that is not stored, from batches of its plain columns."""
    gathering, points = Gathering(), points_of(len(schema.types))
    for columns in _grouped(batches):
        typed = zip(columns, schema.types, stats_row(columns, schema), strict=True)
        gathering.add([_profile(array, t.storage, [stats], points) for array, t, stats in typed])
    return gathering.finish() or [ColumnProfile(0, 0) for _ in schema.names]


def _grouped(batches: Iterable[list[pa.Array]]) -> Iterator[list[pa.Array]]:
    """Batches of at least 65,536 rows, but the last: few, as each profile that is merged adds an error."""
    held: list[list[pa.Array]] = []
    for columns in batches:
        held += [columns] if columns and len(columns[0]) else []
        if sum(len(c[0]) for c in held) >= GROUP_ROWS:
            yield [pa.concat_arrays(arrays) for arrays in zip(*held, strict=True)]
            held = []
    if held:
        yield [pa.concat_arrays(arrays) for arrays in zip(*held, strict=True)]


def _profile(array: pa.Array, t: Type, stats: Sequence[dict[str, Any]], points: int) -> ColumnProfile:
    rows = len(array)
    if t.kind == "null":
        return ColumnProfile(rows, rows)
    present = drop_null(array) if array.null_count else array
    if t.kind in ("utf8", "binary", "fixed_binary"):
        return _texts(present, t, rows, stats, points)
    if t.kind in _LISTS:
        lengths = unnest(present, t)[0]
        values, counts = counted(np.asarray(lengths, np.int64))
        return ColumnProfile(rows, array.null_count, measure="items", **_numbers(values, counts, points))
    if t.items:
        return ColumnProfile(rows, array.null_count)
    return _values(numbers(present, t), rows, array.null_count, np.dtype(dtype_of(t)), points)


def _values(found: Any, rows: int, nulls: int, dtype: Any, points: int) -> ColumnProfile:
    """The profile of numbers, or of what is counted in a unit."""
    nans = infinities = 0
    if found.dtype.kind == "f" and len(found):
        bad = np.isnan(found)
        nans = int(np.count_nonzero(bad))
        found = found[~bad] if nans else found
        found = found + found.dtype.type(0) if (found == 0).any() else found  # which makes -0.0 a zero
    few = _spread(found, dtype, points) or _counted(found, dtype, points)
    if few["moments"] is None:
        finite = found[np.isfinite(found)]
        infinities = len(found) - len(finite)
        few["moments"] = Moments.of(finite)
    return ColumnProfile(rows, nulls, nans, infinities, "values", **few)


def _finite(low: Any, high: Any) -> bool:
    return math.isfinite(low) and math.isfinite(high)


def _spread(found: Any, dtype: Any, points: int) -> dict[str, Any] | None:
    """The sketches of many numbers, most of them distinct and in no order; None for others."""
    n = len(found)
    if n < _MANY or (found[1:] >= found[:-1]).all() or _is_dense(found) or _recur(found):
        return None
    ranks, widths = spaced(n, points)
    often = _often(n)
    picked = select(found, ranks, often)
    if picked is None:
        return None
    wide = found.astype(dtype, copy=False)
    order = np.argsort(-picked.counts, kind="stable")
    pairs = zip(picked.frequent[order].tolist(), picked.counts[order].tolist(), strict=True)
    return {
        "moments": Moments.of(found) if _finite(picked.low, picked.high) else None,
        "numbers": Quantiles.at(picked.values.astype(dtype), widths),
        "distinct": Distinct.of_words(wide.view(np.uint64)),
        "frequent": Frequent(dict(pairs), often - 1),
        "low": picked.low.item(),
        "high": picked.high.item(),
    }


def _counted(found: Any, dtype: Any, points: int) -> dict[str, Any]:
    """The sketches of numbers whose distinct values are counted; no moments where some are infinite."""
    values, counts = counted(found)
    values = values.astype(dtype, copy=False)
    return {
        "moments": Moments.of(values, counts) if not len(values) or _finite(values[0], values[-1]) else None,
        "numbers": Quantiles.of(values, counts, points),
        "distinct": Distinct.of_words(values.view(np.uint64)),
        "frequent": _frequent(values, counts),
        "low": values[0].item() if len(values) else None,
        "high": values[-1].item() if len(values) else None,
    }


def _numbers(values: Any, counts: Any, points: int) -> dict[str, Any]:
    return {"moments": Moments.of(values, counts), "numbers": Quantiles.of(values, counts, points)}


def _texts(array: pa.Array, t: Type, rows: int, stats: Sequence[dict[str, Any]], points: int) -> ColumnProfile:
    """The profile of texts or binary values, and of their lengths."""
    texts = array.cast(pa.binary()) if t.kind == "fixed_binary" else array
    few = _many_texts(texts, points) if _are_many(texts) else _few_texts(texts, points)
    measure: Measure = "characters" if t.kind == "utf8" else "bytes"
    low, high = bounds((s.get("min"), s.get("max")) for s in stats)
    return ColumnProfile(rows, rows - len(array), measure=measure, low=low, high=high, **few)


def _are_many(texts: pa.Array) -> bool:
    """Whether most of the texts occur once or twice, as far as a sample tells."""
    n = len(texts)
    return n >= _MANY and bool(2 * pc.count_distinct(texts.slice(n // 2, _SAMPLE)).as_py() > _SAMPLE)


def _few_texts(texts: pa.Array, points: int) -> dict[str, Any]:
    """The sketches of texts, counted each."""
    found = pc.value_counts(texts)
    values, counts = found.field(0), found.field(1).to_numpy()
    return {
        "distinct": Distinct.of(text_hashes(values)),
        "frequent": _frequent_texts(values, counts),
        **_numbers(*_weighted(_lengths(values), counts), points),
    }


def _many_texts(texts: pa.Array, points: int) -> dict[str, Any]:
    """The sketches of texts by their hashes: those are counted that share a bucket with so many that they may be frequent."""
    hashes = text_hashes(texts)
    places = (hashes >> _BUCKET).astype(np.intp)
    buckets = np.bincount(places, minlength=1 << 14)
    often = _often(len(texts))
    full = buckets >= often
    counts: dict[Value, int] = {}
    if full.any():
        found = pc.value_counts(texts.take(pa.array(np.flatnonzero(full[places]))))
        runs = found.field(1).to_numpy()
        at = np.flatnonzero(runs >= often)
        counts = _by_count(found.field(0).take(pa.array(at)), runs[at])
    return {
        "distinct": Distinct.of(hashes),
        "frequent": Frequent(counts, often - 1),
        **_numbers(*counted(_lengths(texts)), points),
    }


def _lengths(texts: pa.Array) -> Any:
    """Characters of texts, bytes of binary values."""
    offsets = string_offsets(texts)
    data = texts.buffers()[2]
    raw = np.frombuffer(data, np.uint8)[offsets[0] : offsets[-1]] if data is not None else offsets[:0]
    if pa.types.is_string(texts.type) and len(raw) and int(raw.max()) > 127:
        return pc.utf8_length(texts).to_numpy().astype(np.int64)
    return np.diff(offsets).astype(np.int64)


def _is_dense(found: Any) -> bool:
    """Whether there are integers of so small a range that counting each is quicker than sorting."""
    return found.dtype.kind in "iu" and int(found.max()) - int(found.min()) < max(_DENSE, len(found))


def _recur(found: Any) -> bool:
    """Whether values of many are mostly the same few, as far as a sample tells."""
    some = found[len(found) // 2 :][:_SAMPLE]
    return len(found) >= _MANY and 2 * len(np.unique(some)) <= len(some)


def counted(found: Any) -> tuple[Any, Any]:
    """The distinct values of an array without NaN in ascending order, and how often each occurs (None: once)."""
    n = len(found)
    if not n:
        return found, None
    ascending = (found[1:] >= found[:-1]).all()
    if not ascending and _is_dense(found):
        low = int(found.min())
        wide = found if found.dtype == np.uint64 else found.astype(np.int64)
        counts = np.bincount((wide - wide.dtype.type(low)).astype(np.int64, copy=False))
        at = np.flatnonzero(counts)
        return at.astype(wide.dtype) + wide.dtype.type(low), counts[at]
    if not ascending and _recur(found):
        table = pc.value_counts(pa.array(found))
        values, often = table.field(0).to_numpy(), table.field(1).to_numpy()
        order = np.argsort(values)
        return values[order], often[order]
    ordered = found if ascending else np.sort(found)
    new = np.empty(n, bool)
    new[0] = True
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    if new.all():
        return ordered, None
    starts = np.flatnonzero(new)
    return ordered[starts], np.diff(starts, append=n)


def _weighted(values: Any, counts: Any) -> tuple[Any, Any]:
    """As `counted`, of values that occur so often each."""
    if not len(values):
        return values, None
    order = np.argsort(values, kind="stable")
    values, counts = values[order], counts[order]
    starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    return values[starts], np.add.reduceat(counts, starts)


def _frequent(values: Any, counts: Any) -> Frequent:
    """The most frequent of distinct values in ascending order."""
    if counts is None and len(values) > MOST:
        return Frequent({}, 1)
    if counts is None:
        counts = np.ones(len(values), np.int64)
    places, error = _most(counts)
    order = places[np.argsort(-counts[places], kind="stable")]
    return Frequent(dict(zip(values[order].tolist(), counts[order].tolist(), strict=True)), error)


def _frequent_texts(texts: pa.Array, counts: Any) -> Frequent:
    places, error = _most(counts)
    return Frequent(_by_count(texts.take(pa.array(places)), counts[places]), error)


def _by_count(texts: pa.Array, counts: Any) -> dict[Value, int]:
    found = [(_shown(v), c) for v, c in zip(texts.to_pylist(), counts.tolist(), strict=True)]
    return dict(sorted(sorted(found), key=lambda item: -item[1]))


def _often(total: int) -> int:
    """How often a value must occur among many to be kept."""
    return max(2, -(-total // MOST))


def _most(counts: Any) -> tuple[Any, int]:
    """The places of all values where they are few, else of those that are frequent; and how often another occurs at most."""
    if len(counts) <= MOST:
        return np.arange(len(counts)), 0
    kept = counts >= _often(int(counts.sum()))
    return np.flatnonzero(kept), 0 if kept.all() else int(counts[~kept].max())


def _shown(value: str | bytes) -> Value:
    """A value as it is kept: a long one by its start and its BLAKE3, so that two stay two."""
    data = value.encode() if isinstance(value, str) else value
    if len(data) <= _SHOWN:
        return value
    digest = blake3(data).hexdigest(8)
    if isinstance(value, str):
        return f"{data[:_SHOWN].decode(errors='ignore')}… {digest}"
    return data[:_SHOWN] + bytes.fromhex(digest)


def dtype_of(t: Type) -> str:
    """In what the numbers of a type are: int64 where they fit, uint64, or float64. Decimals are counted in their last digit."""
    t = t.storage
    if t.kind in FLOATS or (t.kind == "decimal" and t.params[0] > _PLAIN_DECIMAL):
        return "f8"
    return "u8" if t.kind == "uint64" else "i8"


def numbers(array: pa.Array, t: Type) -> Any:
    """A plain array without nulls as numbers, in a type that may be narrower than `dtype_of`."""
    if not len(array):
        return np.zeros(0, dtype_of(t))
    if t.kind == "bool":
        return array.to_numpy(zero_copy_only=False).view(np.uint8)
    if t.kind == "decimal":
        return _decimals(array, t)
    if t.kind in FLOATS:
        return slots(array, f"f{WIDTH[t.kind]}")
    return slots(array, f"{'u' if t.kind.startswith('uint') else 'i'}{WIDTH[t.kind]}")


def _decimals(array: pa.Array, t: Type) -> Any:
    """Decimals without their point, as integers where these fit, else as the nearest numbers by words."""
    many = width_of(t) // 8
    words = slots(array, np.uint64, many).reshape(-1, many)
    low, high = (0, many - 1) if sys.byteorder == "little" else (many - 1, 0)
    signed = np.ascontiguousarray(words[:, high]).view(np.int64) < 0
    if t.params[0] <= _PLAIN_DECIMAL:
        return np.ascontiguousarray(words[:, low]).view(np.int64)
    places = range(many) if low == 0 else range(many - 1, -1, -1)
    out = np.zeros(len(array))
    carry = signed  # of two's complement: invert, and add one
    for i, place in enumerate(places):
        word = np.where(signed, ~words[:, place], words[:, place]) + carry
        carry = carry & (word == 0)
        out += word.astype(np.float64) * 2.0 ** (64 * i)
    return np.where(signed, -out, out)


def to_array(found: Any, t: Type) -> pa.Array:
    """Numbers of a profile as a plain array of the column's type."""
    t = t.storage
    if t.kind == "bool":
        return pa.array(np.asarray(found) != 0)
    if t.kind == "decimal":
        return pa.array([_decimal(v, t) for v in np.asarray(found).tolist()], t.plain)
    made = pa.array(np.asarray(found))
    if t.kind in ("date", "time_ms"):
        return made.cast(pa.int32()).view(t.plain)
    if t.kind in ("time_us", "time_ns", "timestamp", "duration"):
        return made.view(t.plain)
    return made.cast(t.plain, safe=False)


def _decimal(value: float, t: Type) -> Decimal:
    digits, scale = t.params
    exact = Decimal(round(value)).scaleb(-scale, Context(prec=100))
    most = Decimal(10**digits - 1).scaleb(-scale, Context(prec=100))
    return max(-most, min(most, exact))
