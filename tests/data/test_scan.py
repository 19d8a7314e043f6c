"""What is read: nothing by an import, of a scan only the columns and fragments that it needs.

Proven by counting reads.
"""

from __future__ import annotations

import os
from typing import Any

import pyarrow as pa
import pytest

import dpkg
from dpkg import tables
from dpkg.arrow import fragment
from dpkg.errors import Corrupt
from dpkg.store.local import LocalBackend

ROWS = 1200


class Reads:
    """What was read since the last `clear`: keys of the store, and columns of fragments."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.columns: list[tuple[str, str]] = []  # (fragment, column)

    def clear(self) -> None:
        self.keys.clear()
        self.columns.clear()

    @property
    def fragments(self) -> set[str]:
        return {oid for oid, _ in self.columns}

    def names(self, fragments: list[Any]) -> set[str]:
        """Columns of some fragments: those of statistics have the same names."""
        return {name for oid, name in self.columns if oid in {f.oid for f in fragments}}


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    seen = Reads()
    for method in ("get", "get_range"):
        original = getattr(LocalBackend, method)

        def get(self: Any, key: str, *args: Any, _original: Any = original) -> bytes:
            seen.keys.append(key)
            return _original(self, key, *args)

        monkeypatch.setattr(LocalBackend, method, get)
    source, read = tables.fragment_source, fragment.Reader.read

    def fragment_source(odb: Any, oid: Any, *more: Any) -> Any:
        seen.keys.append(f"fragments/{oid}")
        return source(odb, oid, *more)

    def reader_read(self: Any, columns: Any = None, *args: Any, **more: Any) -> Any:
        wanted = range(len(self.schema.names)) if columns is None else columns
        seen.columns += [(self.entry.oid, self.schema.names[i]) for i in wanted]
        return read(self, columns, *args, **more)

    monkeypatch.setattr(tables, "fragment_source", fragment_source)
    monkeypatch.setattr(fragment.Reader, "read", reader_read)
    return seen


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory, make_store: Any) -> Any:
    """acme/big: a table of many fragments, ordered by `n`; `even` has nulls; `text` is long."""
    made = make_store(str(tmp_path_factory.mktemp("big")))
    text = [os.urandom(8_000).hex() for _ in range(ROWS)]
    even = pa.array([n if n % 2 == 0 else None for n in range(ROWS)])
    half = pa.array([n / 2 for n in range(ROWS)])
    made.commit(
        "acme/big",
        {"table": pa.table({"n": list(range(ROWS)), "even": even, "half": half, "text": text}), "blob": b"x" * 100},
    )
    return made


@pytest.fixture
def table(big: Any) -> Any:
    return dpkg.load("acme/big", store=big.url).table


def stored(big: Any) -> list[Any]:
    return list(dpkg.plumbing.ls_fragments("acme/big/table", store=big.url))


def test_there_are_many_fragments(big: Any) -> None:
    assert len(stored(big)) >= 4


def test_importing_and_listing_read_no_data(big: Any, reads: Reads, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DPK_STORE", big.url)
    from dpkg.data.acme import big as tree

    kinds = {key.split("/")[0] for key in reads.keys}
    assert kinds <= {"format", "refs", "objects"}
    assert len(reads.keys) <= 16  # format, ref, commit, root node, for each of the steps that Python takes
    assert tree.table.shape == (ROWS, 4)
    for listed in (repr(tree), repr(tree.table), tree._repr_html_(), dir(tree), tree.table.schema):
        assert listed
    assert len(tree.table) == ROWS
    assert not reads.columns
    blob = tree.blob.oid
    assert f"objects/{blob[:2]}/{blob[2:]}" not in reads.keys
    assert not any(key.startswith("fragments") for key in reads.keys)


def test_all_of_it(table: Any, big: Any, reads: Reads) -> None:
    assert table.arrow().column("n").to_pylist() == list(range(ROWS))
    assert reads.fragments == {f.oid for f in stored(big)}
    assert len(reads.columns) == 4 * len(stored(big))


def test_only_the_columns_that_are_asked_for(table: Any, big: Any, reads: Reads) -> None:
    assert table.arrow(columns=["half", "n"]).schema.names == ["half", "n"]
    assert reads.names(stored(big)) == {"half", "n"}
    assert len(reads.columns) == 2 * len(stored(big))


def test_only_the_columns_that_the_filter_needs(table: Any, big: Any, reads: Reads) -> None:
    assert table.arrow(columns=["half"], filter=("n", ">", 1000)).num_rows == ROWS - 1001
    assert reads.names(stored(big)) == {"half", "n"}


@pytest.mark.parametrize(
    ("condition", "rows"),
    [
        (("n", "==", 700), [700]),
        (("n", "<", 3), [0, 1, 2]),
        ([("n", ">", 5), ("n", "<=", 8)], [6, 7, 8]),
        (("half", "==", 599.5), [1199]),
        (("even", "==", 10), [10]),
        (("n", "in", [1, 2]), [1, 2]),
        (("n", ">", ROWS), []),
    ],
)
def test_only_the_fragments_that_can_match(table: Any, big: Any, reads: Reads, condition: Any, rows: list[int]) -> None:
    assert table.arrow(columns=["n"], filter=condition).column("n").to_pylist() == rows
    data = reads.fragments & {f.oid for f in stored(big)}
    assert len(data) == min(1, len(rows))


def test_scan_is_lazy(table: Any, big: Any, reads: Reads) -> None:
    batches = table.scan(columns=["n"])
    assert not reads.columns
    first = next(batches)
    assert first.column("n")[0].as_py() == 0
    batches.close()
    assert len(reads.fragments) <= tables.WORKERS + 1


def test_head_reads_one_fragment(table: Any, big: Any, reads: Reads) -> None:
    assert list(table.head(3)["n"]) == [0, 1, 2]
    assert reads.fragments == {stored(big)[0].oid}


def test_a_scan_gives_a_batch_for_each_fragment(table: Any, big: Any) -> None:
    assert [b.num_rows for b in table.scan()] == [f.rows for f in stored(big)]


def test_damage_is_found_where_it_is_read(big: Any, tmp_path: Any, make_store: Any) -> None:
    """A damaged column does not hurt reading another one; reading it is an error."""
    import shutil

    import pyarrow.parquet as pq

    shutil.copytree(big.url, tmp_path / "copy")
    copied = make_store(str(tmp_path / "copy"))
    (path, *_) = [f.path for f in dpkg.plumbing.ls_fragments("acme/big/table", paths=True, store=copied.url)]
    column = pq.ParquetFile(path).metadata.row_group(0).column(3)
    with open(path, "r+b") as f:
        f.seek(column.data_page_offset + column.total_compressed_size // 2)
        f.write(b"damage")
    opened = dpkg.load("acme/big/table", store=copied.url)
    assert opened.arrow(["n"]).num_rows == ROWS
    with pytest.raises(Corrupt):
        opened.arrow(["text"])
