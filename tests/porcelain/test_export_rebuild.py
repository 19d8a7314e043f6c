"""Building an exported package gives its tophash again."""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packages import listing, tophash

import dpkg
from dpkg import tables
from dpkg.errors import Format
from dpkg.index import build_tree
from dpkg.objects.node import TreeEntry
from dpkg.repository import Repository

sys.path.insert(0, str(Path(__file__).parents[1] / "property"))
import forms
import strategies

PKG = "acme/x"


def put(
    repository: Repository, path: str, plain: Any, rng: random.Random, key: tuple[str, ...], meta: Any
) -> TreeEntry:
    """A table of plain values, as the entry of a tree."""
    import rfc8785

    schema, batches = forms.batches(rng, plain)
    oid, table = tables.write_table(repository.odb, batches, schema, key)
    stored = repository.odb.write("blob", rfc8785.dumps(meta)) if meta is not None else None
    return TreeEntry(path, "table", oid, table.bytes, table.rows, meta=stored)


TEXT = st.characters(exclude_categories=["Cs"])
ODD = ["a", "A.csv", "build", "build.yml", "null", "1.5", "no", " x ", "- y", "k: v", "#c", "'q\"", "=", "é", "e\u0301"]
NAME = st.one_of(
    st.sampled_from([*ODD, "\x7f\x85"]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=6),
).filter(lambda name: name not in (".", "..") and len(name.encode()) < 200)
NUMBER = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
YAMLISH = st.sampled_from(["2020-01-01", "1e3", "~", "yes", "0x1", "1_000", "12:30:00", "=", "<<"])
JSON = st.recursive(
    st.none() | st.booleans() | NUMBER | st.text(TEXT, max_size=8) | YAMLISH,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(TEXT, max_size=4), inner, max_size=3),
    max_leaves=5,
)


def null_fixed_list(values: list[Any], t: Any) -> bool:
    """Whether one is among values of a type, at any depth; also in a struct that is null."""
    t = strategies.storage(t)
    kind = strategies.kind(t)
    if kind == "struct":
        columns = [[None if v is None else v[i] for v in values] for i in range(len(t["struct"]))]
        return any(null_fixed_list(c, item) for c, (_, item) in zip(columns, t["struct"], strict=True))
    if kind == "fixed_list" and None in values:
        return True
    inner = [x for v in values if v is not None for x in v] if kind in ("list", "fixed_list", "map") else []
    if kind == "map":
        return any(null_fixed_list([x[i] for x in inner], t["map"][i]) for i in (0, 1))
    return bool(inner) and null_fixed_list(inner, t["list"] if kind == "list" else t["fixed_list"][1])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    plain=strategies.tables(),
    rng=strategies.randoms(),
    names=st.lists(NAME, min_size=4, max_size=4, unique=True),
    meta=st.lists(JSON, min_size=3, max_size=3),
    keyed=st.booleans(),
    format=st.sampled_from(["parquet", "arrow"]),
)
def test_building_an_exported_package_gives_its_tophash(
    plain: Any, rng: random.Random, names: list[str], meta: list[Any], keyed: bool, format: str
) -> None:
    import rfc8785

    with tempfile.TemporaryDirectory() as folder:
        store = f"memory://{folder}"
        repository = Repository(store, create=True)
        odb = repository.odb
        key: tuple[str, ...] = ()
        if keyed:
            free = next(n for n in "klmnop" if n not in [name for name, _ in plain.schema])
            plain = strategies.Plain(
                [[free, "int64"], *plain.schema], [rng.sample(range(1000), plain.rows), *plain.columns]
            )
            key = (free,)
        blob = odb.write("blob", b"blob")
        inner = build_tree(
            [put(repository, names[0], plain, rng, (), meta[0]), TreeEntry(names[1], "blob", blob, 4)],
            lambda data: odb.write("node", data),
        )
        about = odb.write("blob", rfc8785.dumps(meta[1])) if meta[1] is not None else None
        entries = [
            TreeEntry(names[0], "tree", inner.oid, inner.bytes, inner.rows, inner.entries, about),
            put(repository, names[1], plain, rng, key, None),
            TreeEntry(
                names[2],
                "blob",
                blob,
                4,
                meta=odb.write("blob", rfc8785.dumps(meta[2])) if meta[2] is not None else None,
            ),
            put(repository, names[3], plain.slice(0, 0), rng, (), None),
        ]
        root = build_tree(entries, lambda data: odb.write("node", data)).oid
        repository.move(PKG, repository.make_commit(root, (), ""), None, "")
        if format == "parquet" and any(map(null_fixed_list, plain.columns, [t for _, t in plain.schema])):
            with pytest.raises(Format, match="has fixed-size lists that are null, which Parquet cannot hold"):
                dpkg.export(PKG, f"{folder}/out", format=format, store=store)
            return
        dpkg.export(PKG, f"{folder}/out", format=format, store=store)
        built = dpkg.build(PKG, f"{folder}/out", store=f"{store}/other")
        assert built.tophash == root


def test_without_keys_and_metadata_no_build_yml_is_needed(store: Any, out: Path) -> None:
    store.commit(PKG, {"t": {"a": [1]}, "d": {"u": {"a": [1]}, "x.txt": b"x"}})
    dpkg.export(PKG, str(out))
    assert "build.yml" not in listing(out)
    dpkg.build("acme/y", str(out))
    assert tophash("acme/y") == tophash(PKG)


def test_a_large_table_comes_back(store: Any, tmp_path: Path) -> None:
    """Several fragments and row groups; the key's order is that of the rows."""
    rng = random.Random(3)
    n = 150_000
    table = pa.table(
        {
            "id": rng.sample(range(10 * n), n),
            "x": [rng.random() for _ in range(n)],
            "s": [f"{i % 97:x}" * 9 for i in range(n)],
        }
    )
    store.commit(PKG, {"t": (table, {"key": ["id"]}), "u": table})
    for format in ("parquet", "arrow"):
        dpkg.export(PKG, str(tmp_path / format), format=format)
        dpkg.build("acme/y", str(tmp_path / format))
        assert tophash("acme/y") == tophash(PKG)
