"""Spark reads fragment files in place, whatever encodings were chosen. Long; needs Java and the extra `spark` (`make test-long`)."""

from __future__ import annotations

import os
import shutil
import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dpkg import tables
from dpkg.index import fragment_entries
from dpkg.odb import Odb, create_store
from dpkg.store import open_backend

pytestmark = [pytest.mark.long, pytest.mark.skipif(not shutil.which("java"), reason="Spark needs Java")]


def _table(rows: int) -> pa.Table:
    """Columns that call for each encoding: dictionary, delta, byte stream split, plain, delta length."""
    random = np.random.default_rng(7)
    number = np.arange(rows)
    return pa.table(
        {
            "few": pa.array(random.choice(["a", "b", "c"], rows)),
            "sorted": pa.array(number),
            "wide": pa.array(random.integers(0, 2**31, rows), pa.int32()),
            "real": pa.array(random.normal(size=rows)),
            "price": pa.array(random.integers(0, 10**6, rows) / 100),
            "text": pa.array([f"row {n} {n * 7919 % 100003}" for n in number]),
            "day": pa.array((number % 9999).astype("datetime64[D]")),
            "money": pa.array([Decimal(int(n)) / 100 for n in random.integers(0, 10**9, rows)], pa.decimal128(12, 2)),
            "nested": pa.array([[int(n), None] if n % 3 else None for n in number], pa.list_(pa.int64())),
        }
    )


def test_spark_reads_fragments(tmp_path: Path) -> None:
    pyspark = pytest.importorskip("pyspark.sql")
    backend = open_backend(str(tmp_path / "store"))
    create_store(backend)
    odb = Odb(backend)
    source = _table(200_000)
    _, table = tables.write_table(odb, source.to_batches(), source.schema)
    paths = [odb.fragment_path(e.oid) for e in fragment_entries(odb, table.fragments)]
    assert len(paths) > 2
    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = pyspark.SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    spark = (
        builder.config("spark.driver.host", "127.0.0.1").config("spark.driver.bindAddress", "127.0.0.1").getOrCreate()
    )
    try:
        rows = spark.read.parquet(*paths).orderBy("sorted").collect()
    finally:
        spark.stop()
    assert [r.asDict() for r in rows] == source.to_pylist()
