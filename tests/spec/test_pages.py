"""The tables and numbers on the spec's pages are those in the code."""

from __future__ import annotations

import re
import struct
from fractions import Fraction
from pathlib import Path

import pytest

from dpkg.arrow import boundaries, mix, stats, types, values
from dpkg.index.builder import splits
from dpkg.maintenance import gclog
from dpkg.objects import canonical_json, frame, node
from dpkg.odb import layout
from dpkg.oid import context, digest
from dpkg.refs import entry

SPEC = Path(__file__).parents[2] / "spec"


def page(name: str) -> str:
    return (SPEC / f"{name}.md").read_text("utf-8")


def rows(name: str, *header: str) -> list[list[str]]:
    """The rows of the one table of a page that has this header."""
    lines = page(name).splitlines()
    starts = [i for i, line in enumerate(lines) if cells(line)[: len(header)] == list(header)]
    assert len(starts) == 1, (name, header)
    found = []
    for line in lines[starts[0] + 2 :]:
        if not line.startswith("|"):
            break
        found.append(cells(line))
    return found


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []


def number(text: str) -> int:
    """A number as the pages write it: 65,536, 2^20, 3.5 MiB."""
    out = Fraction(1)
    for factor in text.replace(",", "").replace(" MiB", "*2^20").split("*"):
        base, _, power = factor.partition("^")
        out *= Fraction(base) ** int(power or "1")
    assert out.denominator == 1
    return int(out)


# -------------------------------------------------------------------------------------------------------------- oids.md


@pytest.mark.spec("OID-3")
def test_contexts() -> None:
    table = rows("oids", "kind", "context string", "material")
    assert [kind for kind, _, _ in table] == ["schema", "column", "fragment", "table", "node", "commit", "ref"]
    for kind, written, _ in table:
        assert written == f"`{context(kind)}`"
        assert digest(kind, b"") != digest("blob", b"")
    assert {kind for kind in frame.CODES if kind != "blob"} <= {kind for kind, _, _ in table}


@pytest.mark.spec("JSON-3", "JSON-5")
def test_limits_of_canonical_json() -> None:
    text = page("oids")
    deep, size = re.search(r"nest at most (\d+) deep .* at most (\d+ MiB)", text).groups()  # type: ignore[union-attr]
    assert (int(deep), number(size)) == (canonical_json.MAX_DEPTH, canonical_json.MAX_BYTES)
    assert "from -(2^53-1) to 2^53-1" in text
    assert canonical_json.MAX_INT == 2**53 - 1


# ------------------------------------------------------------------------------------------------- types.md, values.md


@pytest.mark.spec("TYPE-1")
def test_types() -> None:
    first = [row[0] for row in rows("types", "written in canonical JSON", "Arrow type returned")]
    simple = [name for cell in first for name in re.findall(r'`"(\w+)"`', cell) if "{" not in cell]
    assert sorted(simple) == sorted(types.SIMPLE)
    made = [name for cell in first for name in re.findall(r'`\{"(\w+)":', cell)]
    assert set(made) == set(types._PLAIN)
    (deep,) = re.findall(r"Types nest at most (\d+) deep below the outermost", page("types"))
    assert int(deep) == types.MAX_DEPTH


@pytest.mark.spec("VAL-1")
def test_values() -> None:
    table = {row[0]: row[1] for row in rows("values", "T", "then")}
    nans = re.findall(r"0x[0-9a-f]+", table["floats"])
    assert [int(nan, 16) for nan in nans] == [values.NANS[width][2] for width in (2, 4, 8)]
    for names, then in table.items():
        for name in names.split(", "):
            widths = re.findall(r"m values of (\d) bytes", then)
            assert not widths or values.WIDTH[name] == int(widths[0])
    for kind in table["decimal"], page("rows"):
        assert re.search(r"16 (bytes to p = 38, else|or) 32", kind)
    assert [values.width_of(types.Type("decimal", (p, 0))) for p in (1, 38, 39, 76)] == [16, 16, 32, 32]


# -------------------------------------------------------------------------------------------------------------- rows.md


@pytest.mark.spec("ROW-2", "ROW-3")
def test_constants_of_mixes() -> None:
    text = page("rows")
    (seed, null, k) = re.search(r"SEED = (0x\w+), NULL = (0x\w+), K = (0x\w+)\.", text).groups()  # type: ignore[union-attr]
    assert (int(mix.SEED), int(mix.NULL), int(mix.K)) == (int(seed, 16), int(null, 16), int(k, 16))
    factors = {int(s): int(c, 16) for s, c in re.findall(r"C\((\d+)\) = (0x[0-9A-F]{16})", text)}
    assert factors == {s: int(c) for s, c in mix.WINDOW.items()}
    assert list(mix.WINDOW) == [int(s) for s in re.search(r"For s = ([\d, ]+) with", text)[1].split(",")]  # type: ignore[index]
    assert sum(factors) == mix.REACH


@pytest.mark.spec("ROW-4", "ROW-5")
def test_constants_of_boundaries() -> None:
    text = " ".join(page("rows").split())
    sample_rows, sample = re.search(r"with at least ([\d,]+) rows or at least (\d+ MiB) of row bytes", text).groups()  # type: ignore[union-attr]
    assert (number(sample_rows), number(sample)) == (boundaries.SAMPLE_ROWS, boundaries.SAMPLE_BYTES)
    (mean,) = re.findall(r"q = max\(1, floor\(([\d.]+ MiB) \* n / b\)\)", text)
    assert number(mean) == boundaries.TARGET_BYTES
    least, most = re.search(r"at least (\d+) and at most (\d+\^\d+)\. A table without", text).groups()  # type: ignore[union-attr]
    assert (number(least), number(most)) == (boundaries.MIN_TARGET, boundaries.MAX_TARGET)
    assert f"A table without rows has target_rows {most}." in text
    assert boundaries.target_rows(0, 0) == number(most)
    (limit,) = re.findall(r"bytes with row i would exceed (\d+ MiB)", text)
    assert number(limit) == boundaries.FRAGMENT_BYTES


# ------------------------------------------------------------------------------------------------------------- index.md


@pytest.mark.spec("IDX-1", "IDX-3", "IDX-4", "IDX-8")
def test_limits_of_nodes() -> None:
    text = " ".join(page("index").split())
    (name,) = re.findall(r"valid UTF-8 of 1 to ([\d,]+) bytes", text)
    (entries,) = re.findall(r"or if it then holds ([\d,]+) entries", text)
    (size,) = re.findall(r"plus one for each, above (\d+ MiB)", text)
    (levels,) = re.findall(r"At most (\d+) levels", text)
    limits = node.MAX_NAME, node.MAX_ENTRIES, node.MAX_BYTES, node.MAX_LEVELS
    assert limits == tuple(map(number, (name, entries, size, levels)))
    (below,) = re.findall(r"are below (2\^\d+);", text)
    ends = sum(splits(0, str(i).encode()) for i in range(20_000))
    assert abs(ends / 20_000 - number(below) / 2**32) < 0.001
    (cut,) = re.findall(r"bounds of at most (\d+) bytes", text)
    assert int(cut) == stats.CUT


# ----------------------------------------------------------------------------------------------------------- storage.md


@pytest.mark.spec("STO-2", "STO-3")
def test_frame() -> None:
    table = rows("storage", "offset", "bytes", "what")
    offset = 0
    for at, size, _ in table[:-1]:
        assert int(at) == offset
        offset += int(size)
    assert offset == frame.HEADER.size == int(table[-1][0])
    assert table[-1][1] == "stored length"
    # the places of the fields: one field after the other is filled with ones
    sizes = [int(size) for _, size, _ in table[:-1]]
    codes = {1: "B", 8: "Q"}
    layout_of_page = "<" + "".join("8s" if i == 0 else codes.get(n, f"{n}s") for i, n in enumerate(sizes))
    assert struct.Struct(layout_of_page).format == frame.HEADER.format
    what = [text for _, _, text in table]
    assert re.search(r"`(\w+)` and a zero byte", what[0])[1].encode() + b"\0" == frame.MAGIC  # type: ignore[index]
    assert what[1] == f"frame version, {frame.VERSION}"
    kinds = re.findall(r"(\d) (\w+)", what[2])
    assert {kind: int(code) for code, kind in kinds} == frame.CODES
    assert what[3].startswith(f"codec: {frame.NONE} none, {frame.ZSTD} zstd")
    header = frame.Header("node", frame.ZSTD, 5, 7, b"\xff" * 32).pack()
    assert header[16:32] == (5).to_bytes(8, "little") + (7).to_bytes(8, "little")
    assert header[32:] == b"\xff" * 32
    assert header[11:16] == bytes(5)


@pytest.mark.spec("STO-1")
def test_layout() -> None:
    text = page("storage")
    assert f'{{"format":"{layout.FORMAT}","requires":[]}}' in text
    assert sorted(layout.REQUIRES) == []
    oid = digest("blob", b"")
    assert layout.object_key(oid) == f"objects/{oid[:2]}/{oid[2:]}"
    assert layout.fragment_key(oid) == f"fragments/{oid[:2]}/{oid[2:]}.parquet"
    for line in ("objects/ab/cdef…  ", "fragments/ab/cdef….parquet  "):
        assert f"\n{line}" in text


@pytest.mark.spec("STO-6")
@pytest.mark.spec("STO-20")
def test_events_of_logs() -> None:
    of_refs, of_gc = re.findall(r"e is (`.*?`);", page("storage"))
    assert set(re.findall(r"`(\w+)`", of_refs)) == entry.EVENTS
    assert set(re.findall(r"`(\w+)`", of_gc)) == gclog.EVENTS
