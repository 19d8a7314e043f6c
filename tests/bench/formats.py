"""Builds of each format against the quickest plain reader of it with a Parquet write, in turn."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from measure import Figure, Ran, build, fresh, median, pairs, run

_MAKE = """
import sys, duckdb, pyarrow as pa, pyarrow.parquet as pq, pyarrow.orc as orc, pyarrow.feather as feather, numpy as np
from duckdb_extensions import import_extension
from pathlib import Path
out, scale = Path(sys.argv[1]), float(sys.argv[2])
connection = duckdb.connect()
import_extension("tpch", con=connection)
connection.execute("LOAD tpch")
connection.execute(f"CALL dbgen(sf={scale})")
connection.execute(f"COPY lineitem TO '{out}/lineitem.jsonl' (FORMAT json)")
connection.execute(f"COPY lineitem TO '{out}/lineitem.json' (FORMAT json, ARRAY true)")
connection.execute(f"COPY lineitem TO '{out}/lineitem.tsv' (DELIMITER '\\t', HEADER)")
connection.execute(f"COPY lineitem TO '{out}/lineitem.csv.gz' (HEADER)")
table = connection.execute("FROM lineitem").to_arrow_table()
pq.write_table(table, out / "lineitem.parquet", compression="zstd")
feather.write_feather(table, out / "lineitem.arrow", compression="zstd")
orc.write_table(table, str(out / "lineitem.orc"), compression="zstd")
np.save(out / "doubles.npy", np.random.default_rng(0).normal(size=(len(table), 8)))
import openpyxl
book = openpyxl.Workbook(write_only=True)
sheet = book.create_sheet("lineitem")
sheet.append(table.column_names)
for row in zip(*(c.to_pylist() for c in table.slice(0, 20_000).columns)):
    sheet.append([float(v) if type(v).__name__ == "Decimal" else v for v in row])
book.save(out / "lineitem.xlsx")
"""
_WRITE = """
import sys, pyarrow as pa, pyarrow.parquet as pq
def write(schema, batches):
    with pq.ParquetWriter(sys.argv[2], schema, compression="zstd", compression_level=1) as writer:
        for batch in batches:
            writer.write(pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch)
"""
_READERS = {
    "lineitem.tsv": "import pyarrow.csv as c; r = c.open_csv(sys.argv[1], parse_options=c.ParseOptions(delimiter='\\t')); "
    "write(r.schema, r)",
    "lineitem.csv.gz": "import pyarrow.csv as c; r = c.open_csv(sys.argv[1]); write(r.schema, r)",
    "lineitem.jsonl": "import pyarrow.json as j; t = j.read_json(sys.argv[1]); write(t.schema, [t])",
    "lineitem.json": "import duckdb; t = duckdb.sql(f\"FROM read_json('{sys.argv[1]}')\").to_arrow_table(); write(t.schema, [t])",
    "lineitem.parquet": "f = pq.ParquetFile(sys.argv[1]); write(f.schema_arrow, f.iter_batches())",
    "lineitem.arrow": "r = pa.ipc.open_file(pa.memory_map(sys.argv[1])); "
    "write(r.schema, (r.get_batch(i) for i in range(r.num_record_batches)))",
    "lineitem.orc": "import pyarrow.orc as o; f = o.ORCFile(sys.argv[1]); write(f.schema, (f.read_stripe(i) for i in range(f.nstripes)))",
    "lineitem.xlsx": "import python_calamine as p; rows = p.CalamineWorkbook.from_path(sys.argv[1]).get_sheet_by_index(0).to_python(); "
    "t = pa.table({n: list(c) for n, c in zip(rows[0], zip(*rows[1:]))}); write(t.schema, [t])",
    "doubles.npy": "import numpy as np; a = np.load(sys.argv[1], mmap_mode='r'); "
    "t = pa.table({'a': pa.FixedSizeListArray.from_arrays(pa.array(a.ravel()), a.shape[1])}); write(t.schema, [t])",
}


_TRANSFORMS = {".json": "json", ".xlsx": "excel", ".npy": "npy"}  # else a file's name says what it is


def _plan(folder: Path, name: str) -> Path:
    """A build.yml that makes a table of the file."""
    made = folder / f"{name}-plan" / "build.yml"
    made.parent.mkdir()
    how = _TRANSFORMS.get(Path(name).suffix)
    made.write_text(f"contents: {{t: {{file: ../{name}, as: table{f', transform: {how}' if how else ''}}}}}\n")
    return made


def bench_formats(work: Path, repeats: int) -> list[Figure]:
    """TPC-H lineitem at scale factor 0.1: 600,000 rows; 20,000 of them as a workbook; as many rows of 8 doubles."""
    folder = work / "formats"
    folder.mkdir()
    subprocess.run([sys.executable, "-c", _MAKE, str(folder), "0.1"], check=True)
    store, out = work / "store-formats", work / "formats.parquet"
    found = []
    for name, reader in _READERS.items():
        source, plan = folder / name, _plan(folder, name)

        def ours(plan: Path = plan) -> Ran:
            fresh(store)
            return build(store, plan)

        def plain(source: Path = source, reader: str = reader) -> Ran:
            return run(sys.executable, "-c", _WRITE + reader, str(source), str(out))

        ratio, a, b = pairs(repeats, ours, plain)
        detail = f"{median(a):.2f} s / {median(b):.2f} s, {max(r.megabytes for r in a):.0f} MB"
        found.append(Figure(f"build / plain reader and Parquet, {name}", ratio, 3, detail))
    return found
