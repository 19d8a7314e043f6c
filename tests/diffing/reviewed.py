"""Changes as `dpk diff` finds them, for reports: one of everything, and names that nobody should have."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
from drifting import profile

from dpkg.arrow.schema import Schema
from dpkg.comparing import BlobChange, Change, RowChange, RowChanges, TableChange
from dpkg.diffing.sides import Side
from dpkg.drift.columns import ColumnDrift, TableDrift, table_drift
from dpkg.drift.verdicts import PackageVerdict, judge, judge_package
from dpkg.objects.schemadiff import ColumnChange
from dpkg.oid import Oid

OLD, NEW = (Side("acme/sales", v, None, "", Oid(d * 64), Oid(d * 64)) for v, d in (("v1", "1"), ("v2", "2")))
EVIL = (
    "<script>alert(1)</script>",
    "\"' onmouseover=x `a` ``b`` | \\| c",
    "\u202eabc\u2066\x1b[31m\x00\ud800\r\n# no heading",
    "@everyone #12 www.example.org https://example.org/x a@example.org",
    "&lt;b&gt; </details></style> ]]> --> *no* _no_ ~~no~~ [a](b) ![c](d) $x$",
    "שלום " + "x" * 3000,
)


@cache
def columns() -> tuple[pa.Table, pa.Table]:
    """Both versions of a table with columns of every kind, most of which drifted."""
    r, n = np.random.default_rng(4), 600
    amount = r.lognormal(3, 1, n)
    kinds = np.array(["a", "b", "c"])[r.integers(0, 3, n)]
    start = datetime(2026, 1, 1)
    old: dict[str, Any] = {
        "amount": amount,
        "kind": kinds,
        "few": r.integers(1, 5, n),
        "flag": r.random(n) < 0.2,
        "at": [start + timedelta(hours=i) for i in range(n)],
        "day": [date(2026, 1, 1) + timedelta(days=i) for i in range(n)],
        "price": pa.array([Decimal(i).scaleb(-2) for i in range(n)], pa.decimal128(9, 2)),
        "note": pa.array([None if i % 3 else "word " * (i % 40) for i in range(n)]),
        "items": pa.array([list(range(i % 7)) for i in range(n)]),
        "took": pa.array([i * 1000 for i in range(n)], pa.duration("ms")),
        "nothing": pa.nulls(n),
        "other": pa.array(range(n)),
        "gone": kinds,
        "same": amount,
    }
    new = {
        **old,
        "amount": np.where(r.random(n) < 0.1, np.nan, amount * 2),
        "kind": np.where(r.random(n) < 0.3, "d <b>", kinds),
        "few": r.integers(3, 9, n),
        "flag": r.random(n) < 0.6,
        "at": [start + timedelta(days=40, hours=i) for i in range(n)],
        "day": [date(2027, 1, 1) + timedelta(days=i) for i in range(n)],
        "price": pa.array([float(i) for i in range(n)]),
        "note": pa.array([None if i % 2 else "word " * (i % 90) for i in range(n)]),
        "items": pa.array([list(range(i % 30)) for i in range(n)]),
        "took": pa.array([i * 5000 for i in range(n)], pa.duration("ms")),
        "other": pa.array([str(i) for i in range(n)]),
        "came": r.normal(size=n),
    }
    del new["gone"]
    return pa.table(old), pa.table(new)


def drifted(old: pa.Table, new: pa.Table) -> TableDrift:
    """The drift of a table."""
    sides: list[Any] = []
    for table in (old, new):
        sides += [Schema.from_arrow(table.schema), [profile(c.combine_chunks()) for c in table.columns]]
    return table_drift(*sides)


def named(drift: TableDrift, names: dict[str, str]) -> TableDrift:
    """With other names of columns."""

    def other(c: ColumnDrift) -> ColumnDrift:
        to = names.get(c.column, c.column)
        return replace(c, column=to, old=c.old and replace(c.old, column=to), new=c.new and replace(c.new, column=to))

    return replace(drift, columns=tuple(map(other, drift.columns)))


def table(
    path: str, drift: TableDrift | None, rows: RowChanges | None, schema: tuple[ColumnChange, ...] = ()
) -> Change:
    """A table that changed."""
    change = TableChange(schema, 3, 2, 1, 700, 600, 5000, 4000)
    verdict = judge(drift, schema) if drift else None
    oids = Oid("3" * 64), Oid("4" * 64)
    return Change(
        "changed", path, None, "table", "table", *oids, 600, 700, 4000, 5000, True, change, rows, None, drift, verdict
    )


def blob(path: str, what: str = "changed", lines: tuple[str, ...] = (), **more: Any) -> Change:
    """A file."""
    found = BlobChange("text", "text/plain", 1, 2, lines, 3) if lines else None
    oid = Oid("5" * 64)
    return Change(what, path, more.get("old_path"), "blob", "blob", oid, oid, 0, 0, 10, 1234, False, None, None, found)


def everything() -> list[Change]:
    """One change of each sort."""
    rows = RowChanges(
        1,
        2,
        3,
        1,
        {"amount": 3, "kind": 1},
        (
            RowChange("added", None, 5, (), None, {"id": 7, "amount": 1.5, "kind": None}),
            RowChange("removed", 4, None, (), {"id": 6, "amount": 2.5, "kind": "a"}, None),
            RowChange("changed", 1, 1, ("amount", "kind"), {"id": 1, "amount": 1.5, "kind": "a"}, {"id": 1, "amount": None, "kind": "b"}),
        ),
    )  # fmt: skip
    schema = (
        ColumnChange("removed", "gone", "utf8"),
        ColumnChange("retyped", "price", "decimal[9, 2]", "float64"),
        ColumnChange("added", "came", "", "float64"),
        ColumnChange("renamed", "b", "a", "b"),
        ColumnChange("moved", "few", "3", "1"),
        ColumnChange("key", "", "id", ""),
    )
    return [
        blob(
            "README.md", lines=("@@ -1,2 +1,3 @@", " same", "-old", "+new ```", "+more", "\\ No newline at end of file")
        ),
        blob("added.png", "added"),
        blob("gone.bin", "removed"),
        blob("new/name.txt", "renamed", old_path="old/name.txt"),
        table("sales", drifted(*columns()), rows, schema),
        table("quiet", drifted(columns()[0].select(["same"]), columns()[0].select(["same"])), None),
        table("unknown", None, RowChanges(0, 0, 0, 0, {})),
    ]


def hostile() -> list[Change]:
    """Names, cells, lines and reasons of EVIL."""
    names = dict(zip(columns()[0].column_names, EVIL, strict=False))
    drift = named(drifted(*columns()), names)
    cells = dict(zip(EVIL, (*EVIL[1:], "<i>" * 3_500_000), strict=True))
    whole = RowChange("added", None, 5, (), None, cells)
    other = RowChange("changed", 1, 1, EVIL[1:], cells, {**cells, EVIL[2]: EVIL[0], EVIL[3]: [EVIL[0]], EVIL[4]: None})
    rows = RowChanges(1, 1, 1, 0, dict.fromkeys(EVIL, 2), (whole, other))
    schema = tuple(
        ColumnChange(what, EVIL[i], EVIL[0], EVIL[i]) for i, what in enumerate(("renamed", "retyped", "key"))
    )
    found = [table(name, drift, rows, schema) for name in EVIL]
    return [*found, *(blob(name, lines=tuple("+" + line for line in EVIL)) for name in EVIL)]


def verdict(changes: list[Change]) -> PackageVerdict:
    """On all of them."""
    return judge_package({c.path: c.verdict for c in changes if c.verdict})
