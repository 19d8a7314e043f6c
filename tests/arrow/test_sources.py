"""Parquet, Arrow IPC and byte streams as sources; which file is which; what is wrong with files."""

from __future__ import annotations

import contextlib
import datetime as dt
import gzip
import io
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dpkg.arrow.readers import ColumnRule, ReadOptions, Restart, format_of, open_source, open_stream, stream
from dpkg.errors import DpkgError, Format, NotFound, Storage, Usage

TABLE = pa.table(
    {
        "i": pa.array([1, None, 3], pa.int32()),
        "s": pa.array(["1.5", None, "x"]),
        "d": pa.array([dt.date(2020, 1, 1), None, dt.date(2020, 1, 2)]),
        "c": pa.array(["a", "b", "a"]).dictionary_encode(),
        "l": pa.array([[1, 2], None, []], pa.large_list(pa.int64())),
        "z": pa.array([0, 1, None], pa.timestamp("ns", "Europe/Berlin")),
    }
)


def write(table: pa.Table, path: Path, how: str) -> Path:
    if how == "parquet":
        pq.write_table(table, path, row_group_size=2)
    elif how == "feather":
        pyarrow.feather.write_feather(table, str(path), compression="zstd")
    else:
        opened = pa.ipc.new_file if how == "file" else pa.ipc.new_stream
        with pa.OSFile(str(path), "wb") as out, opened(out, table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
    return path


def read(path: Path | str, format: str, **rules: ColumnRule) -> pa.Table:
    source = open_source(str(path), format, ReadOptions(schema=rules))
    try:
        return stream(source, lambda schema, batches: pa.Table.from_batches(batches, schema))
    finally:
        source.close()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.csv", ("csv", "a")),
        ("A.B.CSV", ("csv", "A.B")),
        ("d/a.tsv.gz", ("tsv", "d/a")),
        ("a.csv.zst", ("csv", "a")),
        ("a.pq", ("parquet", "a")),
        ("a.parquet", ("parquet", "a")),
        ("a.ndjson.gz", ("jsonl", "a")),
        ("a.jsonl", ("jsonl", "a")),
        ("a.feather", ("arrow", "a")),
        ("a.arrow", ("arrow", "a")),
        ("a.ipc", ("arrow", "a")),
        ("a.csv.bz2", None),
        ("a.parquet.gz", None),
        ("a.txt", None),
        ("csv", None),
        (".csv", None),
        ("d/.csv", None),
        ("a.gz", None),
    ],
)
def test_format_of(name: str, expected: tuple[str, str] | None) -> None:
    assert format_of(name) == expected


@pytest.mark.parametrize("how", ["parquet", "file", "stream", "feather"])
def test_tables_come_back(how: str, tmp_path: Path) -> None:
    path = write(TABLE, tmp_path / "t", how)
    assert read(path, "parquet" if how == "parquet" else "arrow").to_pylist() == TABLE.to_pylist()


@pytest.mark.parametrize("how", ["parquet", "file", "stream"])
def test_declared_types_are_safe_casts(how: str, tmp_path: Path) -> None:
    path, format = write(TABLE, tmp_path / "t", how), "parquet" if how == "parquet" else "arrow"
    found = read(
        path,
        format,
        i=ColumnRule("n", pa.int8()),
        c=ColumnRule(type=pa.string()),
        d=ColumnRule(type=pa.timestamp("ms")),
    )
    assert found.column_names == ["n", "s", "d", "c", "l", "z"]
    assert [found.schema.field(n).type for n in ("n", "d", "c")] == [pa.int8(), pa.timestamp("ms"), pa.string()]
    assert found["c"].to_pylist() == ["a", "b", "a"]
    with pytest.raises(Format) as e:
        read(path, format, s=ColumnRule(type=pa.float64()))
    assert e.value.message == f"{path}, row 3, column 's': 'x' is not float64"
    with pytest.raises(Usage, match="column 'd' is date, which cannot be read as bool"):
        read(path, format, d=ColumnRule(type=pa.bool_()))
    with pytest.raises(Usage, match="has no column 'x'"):
        read(path, format, x=ColumnRule())


def test_text_in_parquet_by_a_format(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"d": pa.array(["1.2.2020", None], pa.large_string())}), path)
    found = read(path, "parquet", d=ColumnRule(type=pa.date32(), format="%d.%m.%Y"))
    assert found["d"].to_pylist() == [dt.date(2020, 2, 1), None]


def test_bytes_under_nulls_do_not_count(tmp_path: Path) -> None:
    cells = pa.StringArray.from_buffers(
        2, pa.py_buffer(b"\0\0\0\0\x03\0\0\0\x05\0\0\0"), pa.py_buffer(b"xyz17"), pa.py_buffer(b"\x02")
    )
    path = write(pa.table({"a": cells}), tmp_path / "t", "file")
    assert read(path, "arrow", a=ColumnRule(type=pa.int64()))["a"].to_pylist() == [None, 17]


def test_two_columns_of_one_name(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"])
    with pytest.raises(Format, match="two columns are named 'a'"):
        read(write(table, tmp_path / "t", "file"), "arrow")


def test_what_is_not_such_a_file(tmp_path: Path) -> None:
    path = tmp_path / "t"
    for content, format, message in [
        (b"a,b\n1,2\n", "parquet", "is no Parquet file: it starts with b'a,b"),
        (b"", "parquet", "is no Parquet file"),
        (b"PAR1" + b"x" * 20, "parquet", "cut short"),
        (b"PAR1\0\0\0\0PAR1", "parquet", "no readable Parquet file"),
        (b"a,b\n1,2\n", "arrow", "is no Arrow file or stream"),
        (b"", "arrow", "is no Arrow file or stream"),
        (b"ARROW1\0\0junkjunk", "arrow", "no readable Arrow data"),
        (b"FEA1\0\0\0\0", "arrow", "Feather 1"),
    ]:
        path.write_bytes(content)
        with pytest.raises(Format) as e:
            read(path, format)
        assert message in e.value.message
        assert str(path) in e.value.message
    for format in ("csv", "tsv", "jsonl", "parquet", "arrow"):
        with pytest.raises(NotFound):
            read(tmp_path / "none", format)
        with pytest.raises(Format, match="is a directory"):
            read(tmp_path, format)
    with pytest.raises(Usage, match="'parqet' is no format") as u:
        read(path, "parqet")
    assert u.value.hint == "did you mean 'parquet'?"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a\n1\n")
    path.chmod(0)
    with pytest.raises(Storage, match="permission denied"):
        read(path, "csv")


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("valid")
    found = {how: write(TABLE, folder / how, how).read_bytes() for how in ("parquet", "file", "stream", "feather")}
    found["csv"] = b'a,b\n1,"x\ny"\n2,z\n' * 20
    found["csv.gz"] = gzip.compress(found["csv"])
    found["jsonl"] = b'{"a":1,"b":[{"c":"x"}]}\n' * 20
    return found


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(["parquet", "file", "stream", "feather", "csv", "csv.gz", "jsonl"]),
    st.randoms(use_true_random=False),
)
def test_damaged_bytes_raise_only_our_errors(valid: dict[str, bytes], how: str, rnd: random.Random) -> None:
    data = bytearray(valid[how])
    for _ in range(rnd.choice([1, 1, 2, 8])):
        data[rnd.randrange(len(data))] = rnd.randrange(256)
    if rnd.random() < 0.3:
        del data[rnd.randrange(len(data)) :]
    format = {"file": "arrow", "stream": "arrow", "feather": "arrow", "csv.gz": "csv"}.get(how, how)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"t.{how}"
        path.write_bytes(data)
        with contextlib.suppress(DpkgError):
            read(path, format)
        with open(path, "rb") as handle, contextlib.suppress(DpkgError):
            stream(open_stream(handle), lambda schema, batches: sum(1 for _ in batches))


class Pipe(io.RawIOBase):
    """A stream that cannot seek and gives little at a time."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        return self._data.read(min(size, 1000) if size > 0 else size)


def piped(data: bytes, format: str | None = None, options: ReadOptions | None = None) -> pa.Table:
    source = open_stream(Pipe(data), format, options)
    try:
        return stream(source, lambda schema, batches: pa.Table.from_batches(batches, schema))
    finally:
        source.close()


@pytest.mark.parametrize("how", ["parquet", "file", "stream", "feather"])
def test_streams_are_recognised(how: str, valid: dict[str, bytes]) -> None:
    assert piped(valid[how]).to_pylist() == TABLE.to_pylist()


def test_text_streams(valid: dict[str, bytes]) -> None:
    text = b"a,b\n" + b"1,x\n" * 2000 + b"1.5,y\n"
    for data in (text, gzip.compress(text)):
        found = piped(data)
        assert (found.num_rows, found.schema.field("a").type) == (2001, pa.float64())
    assert piped(valid["jsonl"], "jsonl").num_rows == 20
    assert piped(b"a\tb\n1\t2\n", "tsv").to_pylist() == [{"a": 1, "b": 2}]
    assert piped(b"a;b\n1;2\n", None, ReadOptions(delimiter=";")).to_pylist() == [{"a": 1, "b": 2}]


def test_errors_name_the_stream() -> None:
    with pytest.raises(Format) as e:
        piped(b"a,b\n1,2\n3\n")
    assert e.value.message == "standard input, line 3: the row has 1 cell, the header 2"
    with pytest.raises(Format, match="standard input is empty"):
        piped(b"")
    with pytest.raises(Format, match="standard input is no Parquet file"):
        piped(b"a,b\n", "parquet")
    with pytest.raises(Usage, match="no format"):
        piped(b"a,b\n", "xls")


def test_temporary_files_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    source = open_stream(Pipe(b"a\n1\n"))
    assert list(tmp_path.iterdir())
    source.close()
    with pytest.raises(Format):
        open_stream(Pipe(b"a,a\n1,2\n"))
    assert not list(tmp_path.iterdir())


def test_restart_is_raised_once(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a\n" + "1\n" * 1000 + "x\n")
    seen: list[tuple[pa.Schema, int]] = []

    def consume(schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> int:
        seen.append((schema, 0))
        return sum(b.num_rows for b in batches)

    assert stream(open_source(str(path), "csv"), consume) == 1001
    assert [s.field("a").type for s, _ in seen] == [pa.int64(), pa.string()]
    with pytest.raises(Restart):
        list(open_source(str(path), "csv").batches())


PEAK = """
import re, sys
from dpkg.arrow.readers import open_source, stream
rows = stream(open_source(sys.argv[1], sys.argv[2]), lambda schema, batches: sum(b.num_rows for b in batches))
print(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])  # not ru_maxrss, which a child inherits
"""


def peak(path: Path, format: str) -> int:
    root = str(Path(__file__).parents[2])
    out = subprocess.run(
        [sys.executable, "-c", PEAK, str(path), format],
        capture_output=True,
        check=True,
        text=True,
        env={"PYTHONPATH": root},
    )
    return int(out.stdout) >> 10


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("format", "times"), [("csv", 60), ("jsonl", 15), ("parquet", 60), ("arrow", 30)])
def test_memory_does_not_grow_with_the_file(format: str, times: int, tmp_path: Path) -> None:
    batch = pa.table({"a": list(range(20_000)), "b": [f"{i * 7919 % 10007} text number {i}" for i in range(20_000)]})
    rows = batch.to_pylist()
    peaks = []
    for many in (times, times * 4):
        path = tmp_path / f"t{many}"
        if format == "parquet":  # one row group
            pq.write_table(pa.concat_tables([batch] * many).combine_chunks(), path, row_group_size=1 << 30)
        elif format == "arrow":
            pyarrow.feather.write_feather(pa.concat_tables([batch] * many), str(path))
        elif format == "csv":
            path.write_text("a,b\n" + "".join(f"{r['a']},{r['b']}\n" for r in rows) * many)
        else:
            path.write_text("".join(f'{{"a":{r["a"]},"b":"{r["b"]}"}}\n' for r in rows) * many)
        peaks.append(peak(path, format))
    assert peaks[1] < peaks[0] * 1.3 + 60, peaks
    print(peaks)
