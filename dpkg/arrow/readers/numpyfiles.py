"""NumPy's .npy and .npz as `Source`s. Arrays are mapped, those of an .npz from a temporary file; pickles are never loaded."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from dpkg.arrow.options import ReadOptions
from dpkg.arrow.readers.columnar import ColumnarSource, damaged
from dpkg.arrow.readers.files import failed, open_file
from dpkg.errors import Format, Usage

NPY, NPZ = "NumPy array", "NumPy archive (.npz)"
_BYTES = 4 << 20  # of a batch, about
_BROKEN = (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError)
_VALUE = "value"  # the column of an array without names
_MAGIC = b"\x93NUMPY"
_UNITS = ("s", "ms", "us", "ns")


def npy(path: str, options: ReadOptions) -> ColumnarSource:
    """An array: a structured one's fields are columns; of another the rows are the first dimension."""
    with open_file(path) as file:
        if not file.read(len(_MAGIC)).startswith((_MAGIC, b"PK")):
            raise damaged(path, NPY, ValueError(f"it does not begin with {_MAGIC!r}"))
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except _BROKEN as e:
        raise _no_array(path, e) from None
    if not isinstance(array, np.ndarray):
        array.close()
        raise Format(f"{path} is an archive of arrays", "say 'transform: npz'")
    return _source(path, _columns(array, path, options), options, NPY)


def npz(path: str, options: ReadOptions) -> ColumnarSource:
    """An archive of arrays of one length: a column each."""
    open_file(path).close()
    columns: dict[str, Any] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                name = member.removesuffix(".npy")
                where = f"{path}, array '{name}'"
                columns.update(_one(name, _mapped(archive, member, where), where))
    except _BROKEN as e:
        raise damaged(path, NPZ, e) from None
    if not columns:
        raise Format(f"{path} holds no arrays", "an .npz holds one array for each column")
    first = next(iter(columns))
    for name, array in columns.items():
        if len(array) != len(columns[first]):
            message = f"{path}: the arrays '{first}' and '{name}' have {len(columns[first]):,} and {len(array):,} rows"
            raise Format(message, "a table's columns are of one length; write other arrays to another file")
    return _source(path, columns, options, NPZ)


def _mapped(archive: zipfile.ZipFile, member: str, where: str) -> Any:
    """An array of an archive, mapped from a file that is gone when the array is."""
    with archive.open(member) as source, tempfile.NamedTemporaryFile(prefix="dpkg-", suffix=".npy") as copy:
        try:
            shutil.copyfileobj(source, copy, 1 << 20)
            copy.flush()
        except OSError as e:
            raise failed(f"{where}, on its way to {copy.name},", e) from None
        try:
            return np.load(copy.name, mmap_mode="r", allow_pickle=False)
        except ValueError as e:
            raise _no_array(where, e) from None


def _no_array(where: str, e: BaseException) -> Format:
    if "pickle" in str(e) or "Python objects" in str(e):
        hint = "save it with a type of its own: array.astype(float), or .astype(str)"
        return Format(f"{where} holds Python objects, which are not loaded: they could run code", hint)
    return damaged(where, NPY, e)


def _columns(array: Any, path: str, options: ReadOptions) -> dict[str, Any]:
    names = options.column_names
    if not names:
        return _one(_VALUE, array, path)
    if array.dtype.names or array.ndim != 2 or array.shape[1] != len(names):
        shape = "×".join(map(str, array.shape))
        raise Usage(f"{path}: {len(names)} names in 'column_names', for an array of {shape}", "name each column")
    return {name: array[:, i] for i, name in enumerate(names)}


def _one(name: str, array: Any, where: str) -> dict[str, Any]:
    """An array as columns. Raises Format."""
    if not array.ndim:
        raise Format(f"{where} is a single value, not an array of rows", "save it as an array of one row")
    fields = array.dtype.names
    if fields and array.ndim > 1:
        raise Format(f"{where} is structured and has {array.ndim} dimensions", "save it with one")
    found = {field: array[field] for field in fields} if fields else {name: array}
    for column, values in found.items():
        _type(values.dtype, values.shape[1:], f"{where}, column '{column}'")
    return found


def _type(dtype: Any, shape: tuple[int, ...], where: str) -> Any:
    """The column's type. Raises Format for what has none."""
    if 0 in shape:
        raise Format(f"{where}: its rows hold no values", "a table's row has at least one")
    if shape:
        return pa.list_(_type(dtype, shape[1:], where), shape[0])
    if dtype.kind == "U":
        return pa.string()
    if dtype.kind == "S":
        return pa.binary()
    if dtype.kind in "Mm":
        unit, step = np.datetime_data(dtype)
        if dtype.kind == "M" and (unit, step) == ("D", 1):
            return pa.date32()
        if unit not in _UNITS or step != 1:
            raise Format(f"{where}: {dtype} has no column type", "save it in days, s, ms, us or ns: .astype('M8[s]')")
        return pa.timestamp(unit) if dtype.kind == "M" else pa.duration(unit)
    if dtype.kind in "biu" or (dtype.kind == "f" and dtype.itemsize <= 8):
        return pa.from_numpy_dtype(dtype.newbyteorder("="))
    raise Format(f"{where}: {dtype} has no column type", "save it as another type; complex numbers as two columns")


def _source(path: str, columns: dict[str, Any], options: ReadOptions, what: str) -> ColumnarSource:
    types = {name: _type(a.dtype, a.shape[1:], f"{path}, column '{name}'") for name, a in columns.items()}
    schema = pa.schema(list(types.items()))
    rows = len(next(iter(columns.values())))
    width = sum(a.dtype.itemsize * int(np.prod(a.shape[1:])) for a in columns.values())
    step = max(1, min(1 << 16, _BYTES // max(1, width)))

    def read() -> Iterator[pa.RecordBatch]:
        for start in range(0, rows, step):
            arrays = [_array(a[start : start + step], types[name]) for name, a in columns.items()]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    return ColumnarSource(path, schema, read, options, what, rows)


def _array(values: Any, kind: Any) -> pa.Array:
    """Some rows as an Arrow array."""
    if pa.types.is_fixed_size_list(kind):
        flat = values.reshape((values.shape[0] * values.shape[1], *values.shape[2:]))
        return pa.FixedSizeListArray.from_arrays(_array(flat, kind.value_type), type=kind)
    if values.dtype.kind in "US":
        return pa.array(values.tolist(), kind)
    return pa.array(np.ascontiguousarray(values, values.dtype.newbyteorder("=")), kind)
