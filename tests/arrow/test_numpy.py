"""NumPy arrays as tables; ORC."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.orc
import pytest

from dpkg.arrow.readers import ColumnRule, ReadOptions, open_source
from dpkg.errors import DpkgError, Format, Usage


def read(path: Path, format: str, options: ReadOptions | None = None) -> pa.Table:
    source = open_source(str(path), format, options)
    table = pa.Table.from_batches(list(source.batches()), source.schema)
    table.validate(full=True)
    return table


@pytest.mark.parametrize(
    ("array", "kind", "values"),
    [
        (np.array([1, -2], ">i4"), pa.int32(), [1, -2]),
        (np.array([1.5, np.nan], "f2"), pa.float16(), None),
        (np.array([True, False]), pa.bool_(), [True, False]),
        (np.array(["a", "é" * 9]), pa.string(), ["a", "é" * 9]),
        (np.array([b"a", b""]), pa.binary(), [b"a", b""]),
        (np.array(["2020-01-02", "NaT"], "M8[D]"), pa.date32(), [dt.date(2020, 1, 2), None]),
        (np.array(["2020-01-02T03", "NaT"], "M8[us]"), pa.timestamp("us"), [dt.datetime(2020, 1, 2, 3), None]),
        (np.array([5], "m8[s]"), pa.duration("s"), [dt.timedelta(seconds=5)]),
        (np.array([], "i8"), pa.int64(), []),
        (np.asfortranarray(np.arange(6.0).reshape(3, 2)), pa.list_(pa.float64(), 2), [[0, 1], [2, 3], [4, 5]]),
        (np.arange(8).reshape(2, 2, 2), pa.list_(pa.list_(pa.int64(), 2), 2), [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]),
    ],
    ids=str,
)
def test_an_array(tmp_path: Path, array: Any, kind: pa.DataType, values: Any) -> None:
    np.save(tmp_path / "a.npy", array)
    found = read(tmp_path / "a.npy", "npy")
    assert found.schema == pa.schema([("value", kind)])
    assert values is None or found["value"].to_pylist() == values
    np.savez(tmp_path / "a.npz", x=array)
    np.savez_compressed(tmp_path / "b.npz", x=array)
    for name in "ab":
        assert read(tmp_path / f"{name}.npz", "npz").rename_columns(["value"]).to_pydict().keys() == {"value"}
        assert read(tmp_path / f"{name}.npz", "npz")["x"].equals(found["value"]) or values is None


def test_large_arrays_come_in_batches(tmp_path: Path) -> None:
    array = np.arange(3_000_000, dtype="f4").reshape(-1, 3)
    np.save(tmp_path / "a.npy", array)
    source = open_source(str(tmp_path / "a.npy"), "npy", ReadOptions(column_names=("x", "y", "z")))
    sizes = [batch.num_rows for batch in source.batches()]
    assert sum(sizes) == 1_000_000
    assert max(sizes) <= 1 << 16
    assert source.schema.names == ["x", "y", "z"]


def test_columns_of_structured_arrays_and_archives(tmp_path: Path) -> None:
    np.save(tmp_path / "s.npy", np.array([(1, "a"), (2, "b")], [("n", "i2"), ("t", "U3")]))
    assert read(tmp_path / "s.npy", "npy").to_pydict() == {"n": [1, 2], "t": ["a", "b"]}
    np.savez(tmp_path / "z.npz", a=np.arange(3), b=np.array(list("xyz")))
    rules = {"a": ColumnRule("A", pa.float64())}
    found = read(tmp_path / "z.npz", "npz", ReadOptions(schema=rules))
    assert found.to_pydict() == {"A": [0.0, 1.0, 2.0], "b": ["x", "y", "z"]}


def test_what_is_no_table(tmp_path: Path) -> None:
    path = tmp_path / "x"

    def refused(save: Any, format: str, said: str, error: type[DpkgError] = Format, **options: Any) -> None:
        with path.open("wb") as out:
            save(out)
        with pytest.raises(error) as caught:
            read(path, format, ReadOptions(**options))
        assert said in caught.value.message
        assert str(path) in caught.value.message

    refused(lambda f: np.save(f, np.array([{}])), "npy", "Python objects, which are not loaded")
    refused(lambda f: np.savez(f, o=np.array([{}])), "npz", "array 'o' holds Python objects")
    refused(lambda f: np.save(f, np.array([1j])), "npy", "complex128 has no column type")
    refused(lambda f: np.save(f, np.array(["2020"], "M8[Y]")), "npy", "datetime64[Y] has no column type")
    refused(lambda f: np.save(f, np.array(1)), "npy", "a single value")
    refused(lambda f: np.savez(f, a=np.arange(2)), "npy", "an archive of arrays")
    refused(lambda f: np.savez(f, a=np.arange(2), b=np.arange(3)), "npz", "'a' and 'b' have 2 and 3 rows")
    refused(lambda f: np.savez(f), "npz", "holds no arrays")
    refused(lambda f: f.write(b"PK\3\4 no"), "npz", "is no readable NumPy archive")
    refused(lambda f: f.write(b""), "npy", "is no readable NumPy array")
    refused(lambda f: f.write(b"\x93NUMPY\1\0"), "npy", "is no readable NumPy array")
    refused(lambda f: np.save(f, np.zeros((2, 3))), "npy", "2 names", Usage, column_names=("a", "b"))
    refused(lambda f: np.save(f, np.zeros((2, 0))), "npy", "its rows hold no values")
    refused(lambda f: np.save(f, np.arange(3)), "npy", "no column 'x'", Usage, schema={"x": ColumnRule()})


def test_orc(tmp_path: Path) -> None:
    table = pa.table(
        {"n": [1, None, 3], "t": ["a", "b", None], "l": [[1], None, []], "d": pa.array([1, 2, 3], pa.date32())}
    )
    pyarrow.orc.write_table(table, tmp_path / "a.orc")
    assert read(tmp_path / "a.orc", "orc").to_pylist() == table.to_pylist()
    rules = {"n": ColumnRule("N", pa.int16())}
    assert read(tmp_path / "a.orc", "orc", ReadOptions(schema=rules, columns=("t", "N"))).schema.names == ["t", "N"]
    for data in (b"", b"ORC", (tmp_path / "a.orc").read_bytes()[:-9]):
        (tmp_path / "b.orc").write_bytes(data)
        with pytest.raises(Format, match=r"b\.orc is no readable ORC file"):
            read(tmp_path / "b.orc", "orc")
