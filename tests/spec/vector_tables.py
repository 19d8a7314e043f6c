"""The declared inputs of the vectors: boundaries, index, objects, commits, refs, frames."""

from __future__ import annotations

from typing import Any

from reader import encode, encode_frame, ends_node, oid, part_name, ref_digest, seal_frame
from vector_inputs import COLUMNS, Case

MIB = 2**20


def text(count: int, seed: int, length: int, **more: Any) -> Any:
    return {"gen": "text", "count": count, "seed": seed, "length": length, **more}


def random(count: int, seed: int, **more: Any) -> Any:
    return {"gen": "random", "count": count, "seed": seed, **more}


def sequence(count: int, start: int = 0, step: int = 1, **more: Any) -> Any:
    return {"gen": "sequence", "count": count, "start": start, "step": step, **more}


def runs(*parts: Any) -> Any:
    return {"gen": "runs", "count": sum(times for _, times in parts), "runs": list(parts)}


def table(schema: Any, columns: Any, *key: str) -> Any:
    return {"schema": schema, "columns": columns, "key": list(key)}


# ---------------------------------------------------------------------------------------------------------- boundaries


def boundaries() -> list[Case]:
    return small_tables() + plain_tables() + odd_tables() + keyed_tables() + byte_tables()


def small_tables() -> list[Case]:
    pair = [["a", "int64"], ["b", "utf8"]]
    strings = [["s", "utf8"]]
    cases: list[Case] = [
        ("no rows", table(pair, [[], []])),
        ("no rows, a key", table(pair, [[], []], "b")),
        ("one row", table(pair, [[7], ["seven"]])),
        ("one row, a key", table(pair, [[7], ["seven"]], "a", "b")),
        ("one null", table([["n", "null"]], [[None]])),
        ("2 bools: target_rows at most 2^20", table([["b", "bool"]], [[True, None]])),
        ("1,000 nulls", table([["n", "null"]], [[None] * 1000])),
        ("10 rows", table(pair, [list(range(10)), list("abcdefghij")])),
        ("all types, 9 rows", table([[f"c{i}", t] for i, (t, _) in enumerate(COLUMNS)],
                                    [(values * 9)[:9] for _, values in COLUMNS])),
        ("equal keys", table(pair, [[1, 2, 1], ["x", "y", "z"]], "a")),
        ("a key of no column", table(pair, [[1], ["x"]], "c")),
        ("a key of a list", table([["l", {"list": "int8"}]], [[[1]]], "l")),
        ("ROW-7: a key of one column twice", table(pair, [[1, 2], ["x", "y"]], "a", "a")),
    ]  # fmt: skip
    # 3 rows of 1,792 bytes together: q = 6,144, as near to 4,096 as to 8,192
    for last in (376, 377, 378):
        rows = [{"repeat": ["x", 700]}, {"repeat": ["y", 700]}, {"repeat": ["z", last]}]
        cases.append((f"3 rows of {last + 1415} bytes", table(strings, [rows])))
    return cases


def plain_tables() -> list[Case]:
    numbers = [["i", "int64"], ["f", "float64"], ["s", "utf8"]]
    nested = [
        ["l", {"list": "int64"}],
        ["p", {"struct": [["x", "float32"], ["y", {"list": "utf8"}]]}],
        ["d", {"decimal": [12, 2]}],
        ["b", "bool"],
        ["t", "date"],
        ["s", "binary"],
    ]
    n = 5000
    parts = [
        {"gen": "list", "count": n, "seed": 30, "max": 5, "nulls": 7, "item": {"gen": "random", "seed": 31}},
        {"gen": "struct", "count": n, "seed": 40, "nulls": 9, "fields": [
            {"gen": "random", "seed": 32},
            {"gen": "list", "seed": 33, "max": 3, "item": {"gen": "text", "seed": 34, "length": 0, "spread": 90}}]},
        random(n, 35),
        random(n, 36, nulls=5),
        random(n, 37, mod=20000),
        text(n, 38, 2000),
    ]  # fmt: skip
    return [
        ("20,000 rows", table(numbers, [random(20_000, 1), random(20_000, 2), text(20_000, 3, 1000, spread=500)])),
        ("4,000 rows of 16 KB", table(numbers, [random(4000, 4), random(4000, 5, nulls=3), text(4000, 6, 16_000)])),
        ("nested columns", table(nested, parts)),
        ("1,000 rows of 30 KB", table([["s", "binary"]], [text(1000, 7, 30_000, spread=3000)])),
    ]


def odd_tables() -> list[Case]:
    def wide(count: int, length: int) -> Any:
        return runs([{"repeat": ["x", length]}, count])

    pair = [["a", "int32"], ["s", "utf8"]]
    return [
        ("all rows identical", table(pair, [runs([5, 20_000]), wide(20_000, 1000)])),
        ("all rows null", table(pair, [runs([None, 3000]), {"gen": "runs", "count": 3000, "runs": [[None, 3000]]}])),
        ("three values", table(pair, [random(6000, 8, mod=3), wide(6000, 4000)])),
        ("two values, mostly one", table(pair, [random(12_000, 9, nulls=50, mod=1), wide(12_000, 4000)])),
        ("period 16", table(pair, [sequence(9000, mod=16), wide(9000, 4000)])),
        ("period 100", table(pair, [sequence(9000, mod=100), wide(9000, 4000)])),
        ("counting up", table(pair, [sequence(9000), wide(9000, 4000)])),
        ("a run in the middle", table(pair, [random(9000, 10), runs(["a", 2000], [{"repeat": ["b", 8000]}, 7000])])),
    ]


def keyed_tables() -> list[Case]:
    ids = [["id", "uint32"], ["s", "utf8"]]
    shuffled = [sequence(60_000, step=48_271, mod=65_537), text(60_000, 11, 200)]
    two = [["payload", "utf8"], ["group", "utf8"], ["n", "int64"]]
    rows = [text(8000, 12, 4000), text(8000, 13, 16, mod=5, nulls=6), sequence(8000, start=9, step=-5003, mod=8009)]
    floats = [["f", "float64"], ["s", "binary"]]
    return [
        ("60,000 shuffled rows, a key", table(ids, shuffled, "id")),
        ("60,000 shuffled rows, no key", table(ids, shuffled)),
        ("a key of two columns", table(two, rows, "group", "n")),
        ("a key of the same two columns, turned", table(two, rows, "n", "group")),
        ("a column more beside the key", table([*two, ["more", "int64"]], [*rows, random(8000, 14)], "group", "n")),
        ("a key of random floats", table(floats, [random(3000, 15), text(3000, 16, 12_000)], "f", "s")),
    ]


def byte_tables() -> list[Case]:
    """The byte limit of a fragment, and the two limits of the sample."""
    lengths = [10 * MIB] * 4 + [33 * MIB, 16 * MIB - 10, 16 * MIB - 10, 1, 12 * MIB, 12 * MIB, 12 * MIB, 1]
    rows = runs(*([{"repeat": [f"{i:02x}", n]}, 1] for i, n in enumerate(lengths)))
    big_first = runs([{"repeat": ["abc", 2**20 // 3]}, 40], ["", 3000])
    wide_last = runs(["", 65_536], [{"repeat": ["w", 1000]}, 4464])
    pair = [["i", "int64"], ["s", "utf8"]]
    return [
        ("few big rows", table([["id", "int32"], ["b", "binary"]], [sequence(12, start=100), rows])),
        ("big rows first: sample of 32 MiB", table(pair, [random(3040, 18), big_first])),
        ("wide rows last: sample of 65,536 rows", table(pair, [random(70_000, 19), wide_last])),
    ]


# --------------------------------------------------------------------------------------------------------------- index


def blob(name: str, **more: Any) -> Any:
    return {"bytes": len(name), "name": name, "oid": oid("blob", name.encode()), "type": "blob", **more}


def index() -> list[Case]:
    table_entry = {**blob("t"), "rows": 9, "type": "table"}
    tree_entry = {**blob("d"), "entries": 3, "rows": 4, "type": "tree", "meta": oid("blob", b"{}")}
    names = [
        "a",
        "B",
        "é",
        "e\u0301",
        "\ufb33",
        "😀",
        "a.b",
        "a b",
        "...",
        '"\\\n\x01',
        "~",
        "\x7f",
        "a-",
        "a/"[:1] + "0",
    ]
    cases: list[Case] = [
        ("one of each", [table_entry, tree_entry, blob("b")]),
        ("odd names", [blob(name) for name in names]),
        ("the longest name", [blob("n" * 1024)]),
        ("the longest name, of three-byte characters", [blob("日" * 341)]),
        ("IDX-1: duplicate name", [blob("a"), blob("b"), blob("a")]),
        *(
            (f"IDX-1: name {name[:3]!r}", [blob(name)])
            for name in ("", ".", "..", "a/b", "a\0", "n" * 1025, "日" * 342)
        ),
    ]
    cases = [(name, {"tree": entries}) for name, entries in cases]
    return cases + generated_indexes()


def generated_indexes() -> list[Case]:
    cases: list[Case] = []
    for count, seed in ((0, 1), (1, 1), (2, 1), (2, 2), (300, 3), (3000, 4), (40_000, 11)):
        form = {"gen": "names", "seed": seed, "count": count}
        cases.append((f"{count} names, seed {seed}", {"tree": form}))
    ending = [blob(name) for name in (f"n{i}" for i in range(10_000)) if ends_node(0, name.encode())]
    cases += [(f"{n} names that each end a node", {"tree": ending[:n]}) for n in (1, 2, 3, 9)]
    escaped = {"gen": "names", "seed": 6, "count": 1000, "prefix": {"repeat": ["\u0001", 1008]}}
    cases.append(("1,000 long names: nodes of 1 MiB", {"tree": escaped}))
    cases += [(f"{n} fragments", {"fragments": random(n, 20)}) for n in (0, 1, 2, 300, 3000)]
    cases.append(("3,000 fragments of 50 values", {"fragments": random(3000, 21, mod=50)}))
    cases += [(f"3,000 times the fragment {n}", {"fragments": runs([n, 3000])}) for n in (0, 1)]
    return cases


# ------------------------------------------------------------------------------------------------------------- objects


def changed(value: Any, **more: Any) -> Any:
    return {**value, **more}


def without(value: Any, name: str) -> Any:
    return {key: member for key, member in value.items() if key != name}


OID = oid("blob", b"an object")
OTHER = oid("blob", b"another")
TABLE = {"bytes": 45, "fragments": OID, "key": ["a"], "rows": 5, "schema": [["a", "int64"]], "target_rows": 1048576}
BLOB = blob("b")
TREE_NODE = {"entries": [BLOB], "kind": "tree", "level": 0}
FRAGMENT = {"bytes": 9, "oid": OID, "rows": 1}
FRAGMENTS_NODE = {"entries": [FRAGMENT, FRAGMENT], "kind": "fragments", "level": 0, "stats": OTHER}
INNER = {"bytes": 9, "entries": 3, "key": "k", "oid": OID, "rows": 1}
INNER_NODE = {"entries": [INNER, changed(INNER, key="l")], "kind": "tree", "level": 1}


def objects() -> list[Case]:
    cases = [(name, {"object": "table", "text": encode(value).decode()}) for name, value in tables()]
    cases += [(name, {"object": "node", "text": encode(value).decode()}) for name, value in nodes()]
    plain = encode(TABLE).decode()
    cases.append(("JSON-1: a table with a space", {"object": "table", "text": plain + " "}))
    cases.append(("JSON-3: a table with a float", {"object": "table", "text": plain.replace("45", "45.0")}))
    return cases


def tables() -> list[Case]:
    return [
        ("table", TABLE),
        ("table without a key", changed(TABLE, key=[])),
        ("table without rows", changed(TABLE, rows=0, bytes=0)),
        *((f"JSON-6: table without {name}", without(TABLE, name)) for name in TABLE),
        ("JSON-6: table with an unknown member", changed(TABLE, name="x")),
        ("JSON-6: table that is an array", [TABLE]),
        ("JSON-6: bytes null", changed(TABLE, bytes=None)),
        ("JSON-6: bytes a string", changed(TABLE, bytes="45")),
        ("JSON-6: rows a bool", changed(TABLE, rows=True)),
        ("JSON-6: rows negative", changed(TABLE, rows=-1)),
        ("JSON-6: key a string", changed(TABLE, key="a")),
        ("JSON-6: key null", changed(TABLE, key=None)),
        ("JSON-6: key of an integer", changed(TABLE, key=[1])),
        ("JSON-6: fragments null", changed(TABLE, fragments=None)),
        ("OID-1: fragments too short", changed(TABLE, fragments=OID[:-1])),
        ("OID-1: fragments in capitals", changed(TABLE, fragments=OID.upper())),
        ("OBJ-1: key of no column", changed(TABLE, key=["b"])),
        ("ROW-7: key of one column twice", changed(TABLE, key=["a", "a"])),
        ("ROW-7: key of a list", changed(TABLE, schema=[["a", {"list": "int8"}]])),
        ("ROW-4: target_rows 2", changed(TABLE, target_rows=2)),
        ("ROW-4: target_rows 2^21", changed(TABLE, target_rows=2**21)),
        ("ROW-4: target_rows 100", changed(TABLE, target_rows=100)),
        ("TYPE-5: no columns", changed(TABLE, schema=[], key=[])),
        ("TYPE-5: duplicate names", changed(TABLE, schema=[["a", "int8"], ["a", "int8"]])),
        ("TYPE-1: unknown type", changed(TABLE, schema=[["a", "string"]])),
    ]


def nodes() -> list[Case]:
    def fragments(**more: Any) -> Any:
        return changed(FRAGMENTS_NODE, **more)

    def tree(*entries: Any) -> Any:
        return changed(TREE_NODE, entries=list(entries))

    return [
        ("tree node", TREE_NODE),
        ("tree node of all three", tree(BLOB, changed(BLOB, name="c", type="table", rows=1, meta=OID),
                                        changed(BLOB, name="d", type="tree", rows=1, entries=2))),
        ("tree node without entries", tree()),
        ("tree node of level 1", INNER_NODE),
        ("fragments node", FRAGMENTS_NODE),
        ("fragments node without entries", fragments(entries=[], stats=None)),
        ("fragments node of level 1", changed(INNER_NODE, kind="fragments", entries=[changed(INNER, key=OTHER)])),
        *((f"JSON-6: node without {name}", without(FRAGMENTS_NODE, name)) for name in FRAGMENTS_NODE),
        ("JSON-6: node with an unknown member", changed(TREE_NODE, x=1)),
        ("JSON-6: tree node with stats", changed(TREE_NODE, stats=OID)),
        ("JSON-6: fragments node of level 1 with stats", fragments(level=1, entries=[changed(INNER, key=OID)])),
        ("JSON-6: unknown kind", changed(TREE_NODE, kind="blob")),
        ("JSON-6: negative level", changed(TREE_NODE, level=-1)),
        ("IDX-4: level 16", changed(INNER_NODE, level=16)),
        ("IDX-6: entries and null stats", fragments(stats=None)),
        ("IDX-6: stats without entries", fragments(entries=[])),
        ("JSON-6: blob with rows", tree(changed(BLOB, rows=1))),
        ("JSON-6: table entry without rows", tree(changed(BLOB, type="table"))),
        ("JSON-6: tree entry without entries", tree(changed(BLOB, type="tree", rows=1))),
        ("JSON-6: entry without a type", tree(without(BLOB, "type"))),
        ("JSON-6: entry of an unknown type", tree(changed(BLOB, type="link"))),
        ("JSON-6: entry null", tree(None)),
        ("JSON-6: null meta", tree(changed(BLOB, meta=None))),
        ("JSON-6: inner entry with a name", changed(INNER_NODE, entries=[changed(INNER, name="k")])),
        ("JSON-6: inner entry at level 0", tree(INNER)),
        ("OID-1: entry's oid", tree(changed(BLOB, oid="x" * 64))),
        ("OID-1: key of fragments", changed(INNER_NODE, kind="fragments")),
        ("IDX-1: name with a slash", tree(changed(BLOB, name="a/b"))),
        ("IDX-1: unsorted names", tree(changed(BLOB, name="b"), changed(BLOB, name="a"))),
        ("IDX-1: the same name twice", tree(BLOB, BLOB)),
        ("IDX-3: 1,025 entries", fragments(entries=[{"bytes": 1, "oid": OID, "rows": 1}] * 1025)),
    ]  # fmt: skip


# ------------------------------------------------------------------------------------------------------------- commits

COMMIT = {
    "author": "Ada <ada@example.org>",
    "checks": [{"name": "rows", "ok": True}],
    "message": "First\n\nWith \"quotes\", a tab\t and 日本\n",
    "parents": [],
    "provenance": {"inputs": [], "tool": {"version": [1, 2]}},
    "time": 1_700_000_000,
    "tree": OID,
}  # fmt: skip


def commits() -> list[Case]:
    cases: list[Case] = [
        ("first", COMMIT),
        ("one parent", changed(COMMIT, parents=[OTHER])),
        ("two parents", changed(COMMIT, parents=[OTHER, OID])),
        ("two parents, turned", changed(COMMIT, parents=[OID, OTHER])),
        ("nothing in it", changed(COMMIT, author="", checks=[], message="", provenance={}, time=0)),
        ("any JSON in the checks", changed(COMMIT, checks=[None, True, -1, "x", [[]], {"": {}}])),
        *((f"JSON-6: without {name}", without(COMMIT, name)) for name in COMMIT),
        ("JSON-6: an unknown member", changed(COMMIT, committer="x")),
        ("JSON-6: author null", changed(COMMIT, author=None)),
        ("JSON-6: checks an object", changed(COMMIT, checks={})),
        ("JSON-6: provenance an array", changed(COMMIT, provenance=[])),
        ("JSON-6: time a string", changed(COMMIT, time="0")),
        ("JSON-6: time a bool", changed(COMMIT, time=False)),
        ("JSON-6: parents null", changed(COMMIT, parents=None)),
        ("JSON-6: parent null", changed(COMMIT, parents=[None])),
        ("OID-1: tree", changed(COMMIT, tree="")),
        ("OID-1: parent", changed(COMMIT, parents=[OID[:12]])),
        ("OBJ-3: duplicate parents", changed(COMMIT, parents=[OID, OID])),
        ("JSON-3: a float in the provenance", changed(COMMIT, provenance={"seconds": 1.5})),
    ]
    return [(name, {"commit": commit}) for name, commit in cases]


# ---------------------------------------------------------------------------------------------------------------- refs


def event(name: str, commit: str | None = None, **more: Any) -> Any:
    base = {
        "event": name,
        "floor": [],
        "oid": commit,
        "push": "0123456789abcdef" * 2,
        "time": 1_700_000_000,
        "who": "ada",
        "why": "",
    }
    return {**base, **more}


def refs() -> list[Case]:
    birth, first = event("birth"), event("commit", OID, why="dpk push")
    logs: list[tuple[str, list[Any]]] = [
        ("only the birth", [birth]),
        ("a tag", [birth, first]),
        ("a branch", [birth, first, event("commit", OTHER, time=1_700_000_001), event("barrier", why="é \"x\"")]),
        ("floor and barrier leave the value", [birth, first, event("floor"), event("barrier")]),
        ("a floor of a commit, carried on", [birth, first, event("floor", floor=[OID]), event("commit", OTHER, floor=[OID])]),
        ("a floor of two commits", [birth, first, event("floor", floor=sorted([OID, OTHER]))]),
        ("deleted and back", [birth, first, event("deleted"), event("barrier"), event("commit", OTHER)]),
        ("twenty commits", [birth, *(event("commit", oid("blob", bytes([i])), time=i) for i in range(20))]),
        ("STO-6: no birth", [first]),
        ("STO-6: two births", [birth, birth]),
        ("JSON-6: unknown event", [birth, event("rename", OID)]),
        ("JSON-6: a commit without an oid", [birth, event("commit")]),
        ("JSON-6: a barrier with an oid", [birth, first, event("barrier", OID)]),
        ("JSON-6: a floor with an oid", [birth, first, event("floor", OID)]),
        ("JSON-6: a floor that is no list", [birth, first, event("floor", floor=OID)]),
        ("JSON-6: a floor out of order", [birth, first, event("floor", floor=sorted([OID, OTHER])[::-1])]),
        ("JSON-6: a commit twice in a floor", [birth, first, event("floor", floor=[OID, OID])]),
        ("OID-1: a floor", [birth, first, event("floor", floor=[OID[:12]])]),
        ("JSON-6: a floor of a number", [birth, first, event("floor", floor=[1])]),
        ("JSON-6: a deleted entry with an oid", [birth, first, event("deleted", OID)]),
        ("JSON-6: a birth with an oid", [event("birth", OID)]),
        ("JSON-6: unknown member", [event("birth", x=1)]),
        ("JSON-6: no member", [without(birth, "who")]),
        ("JSON-6: time a string", [event("birth", time="now")]),
        ("JSON-6: short push", [event("birth", push="0123")]),
        ("OID-1: oid", [birth, event("commit", "latest")]),
    ]  # fmt: skip
    cases: list[Case] = [(name, {"log": log}) for name, log in logs]
    return cases + [(name, {"text": encode(entry).decode()}) for name, entry in ref_entries()]


def part(text: str, **more: Any) -> Any:
    return event("commit", OID, part=text, **more)


def parts() -> list[Case]:
    """Logs of parts, and of what is none."""
    birth, table, tag = event("birth"), "main/orders", "v1.2/raw/übrig .csv"
    logs: list[tuple[str, str, str, list[Any]]] = [
        ("a table", "parts", part_name(table), [birth, part(table)]),
        ("a file of a tag", "parts", part_name(tag), [birth, part(tag), event("barrier")]),
        ("moved on, deleted and back", "parts", part_name(table),
         [birth, part(table), part(table, time=1_700_000_001), event("deleted"), part(table)]),
        ("only the birth", "parts", part_name(table), [birth]),
        ("STO-40: under the name of another", "parts", part_name(tag), [birth, part(table)]),
        ("STO-40: in a branch", "heads", "main", [birth, part(table)]),
        ("STO-40: in a tag", "tags", part_name(table), [birth, part(table)]),
        ("STO-40: a commit that is no part", "parts", part_name(table), [birth, event("commit", OID)]),
        ("STO-40: deleted, with a part", "parts", part_name(table), [birth, event("deleted", part=table)]),
        ("STO-40: no path", "parts", part_name("main/"), [birth, part("main/")]),
        ("STO-40: no revision", "parts", part_name("/orders"), [birth, part("/orders")]),
        ("STO-40: no slash", "parts", part_name("orders"), [birth, part("orders")]),
        ("JSON-6: a part that is null", "parts", part_name(table), [birth, changed(part(table), part=None)]),
    ]  # fmt: skip
    return [(name, {"kind": kind, "name": ref, "log": log}) for name, kind, ref, log in logs]


def ref_entries() -> list[Case]:
    """Single entries, whole: digests that do and do not fit."""
    bare = event("commit", OID, n=7, prev=OTHER)
    whole = changed(bare, digest=ref_digest(bare))
    unlinked = changed(bare, prev=None)
    return [
        ("entry 7", whole),
        ("STO-7: another digest", changed(whole, digest=OTHER)),
        ("STO-7: another message", changed(whole, why="changed")),
        ("STO-7: no prev after the birth", changed(unlinked, digest=ref_digest(unlinked))),
        ("JSON-6: no digest", bare),
        ("JSON-6: digest null", changed(whole, digest=None)),
    ]


# -------------------------------------------------------------------------------------------------------------- frames


def zstd_raw(data: bytes) -> bytes:
    """A zstd frame of one raw block, single segment, content size in one byte (to 255 bytes)."""
    return b"\x28\xb5\x2f\xfd\x20" + bytes([len(data)]) + (1 | len(data) << 3).to_bytes(3, "little") + data


def zstd_run(byte: bytes, blocks: int, size: int) -> bytes:
    """A zstd frame of RLE blocks without a content size; a window of 1 KiB."""
    headers = [(int(i == blocks - 1) | 1 << 1 | size << 3).to_bytes(3, "little") for i in range(blocks)]
    return b"\x28\xb5\x2f\xfd\x00\x00" + b"".join(header + byte for header in headers)


def frames() -> list[Case]:
    """Accepted frames, and each rule broken alone: the digest fits again unless it is the damage."""
    payload = encode(COMMIT)
    good: list[tuple[str, str, bytes, bytes]] = [
        (kind, oid(kind, data), data, encode_frame(kind, data))
        for kind, data in (("blob", b"hello"), ("blob", b""), ("table", encode(TABLE)), ("node", encode(TREE_NODE)),
                           ("commit", payload))
    ]  # fmt: skip
    cases = [(f"{kind} of {len(data)} bytes", frame_case(frame, wanted)) for kind, wanted, data, frame in good]
    packed = zstd_raw(payload[:200])
    run = zstd_run(b"a", 5, 1000)
    wanted, zeros = oid("blob", payload[:200]), oid("blob", b"a" * 5000)
    cases += [
        ("zstd, raw block", frame_case(encode_frame("blob", payload[:200], packed), wanted)),
        ("zstd, run blocks", frame_case(encode_frame("blob", b"a" * 5000, run), zeros)),
        ("zstd, empty", frame_case(encode_frame("blob", b"", zstd_raw(b"")), oid("blob", b""))),
        ("zstd, compressed", frame_case(encode_frame("table", encode(TABLE), bytes.fromhex(ZSTD_TABLE)), good[2][1])),
    ]
    return cases + damaged_plain(good[0][3], good[0][1]) + damaged_zstd(payload[:200], packed, run)


def frame_case(frame: bytes, wanted: str) -> Any:
    return {"pieces": [[frame.hex(), 1]], "oid": wanted}


def damaged_plain(frame: bytes, wanted: str) -> list[Case]:
    def patched(at: int, *data: int) -> bytes:
        return seal_frame(frame[:at] + bytes(data) + frame[at + len(data) :])

    table_oid = oid("table", b"hello")
    damaged: list[tuple[str, bytes, str]] = [
        ("STO-2: nothing", b"", wanted),
        ("STO-2: half a header", frame[:40], wanted),
        ("STO-2: only a header", seal_frame(frame[:64]), wanted),
        ("STO-2: a byte short", seal_frame(frame[:-1]), wanted),
        ("STO-3: a byte more", seal_frame(frame + b"\0"), wanted),
        ("STO-3: a byte more, the old digest", frame + b"\0", wanted),
        ("STO-2: magic", patched(0, 0x44), wanted),
        ("STO-2: magic without the zero", patched(7, 0x20), wanted),
        ("STO-2: version 1", patched(8, 1), wanted),
        ("STO-2: kind 0", patched(9, 0), wanted),
        ("STO-2: kind 5", patched(9, 5), wanted),
        ("STO-2: codec 3", patched(10, 3), wanted),
        ("STO-30: codec 2", patched(10, 2), wanted),
        *((f"STO-2: reserved byte {at}", patched(at, 1), wanted) for at in range(11, 16)),
        ("STO-2: payload length 4", patched(16, 4), wanted),
        ("STO-2: payload length 6", patched(16, 6), wanted),
        ("STO-2: payload length 2^63", patched(23, 0x80), wanted),
        ("STO-3: stored length 4", patched(24, 4), wanted),
        ("STO-2: stored length 6", patched(24, 6), wanted),
        ("STO-2: stored length 2^64-1", patched(24, *[0xFF] * 8), wanted),
        ("STO-2: both lengths 6", seal_frame(patched(16, 6)[:24] + b"\6" + frame[25:]), wanted),
        ("STO-3: digest", frame[:32] + b"\0" * 32 + frame[64:], wanted),
        ("STO-3: payload changed", frame[:64] + b"jello", wanted),
        ("STO-2: payload changed, the digest fits", patched(64, 0x6A), wanted),
        ("STO-2: another oid", frame, OID),
        ("STO-2: another kind", patched(9, 2), wanted),
        ("another kind, its oid", patched(9, 2), table_oid),
        ("STO-2: the kind's other oid", frame, table_oid),
        ("STO-2: plain bytes said to be zstd", patched(10, 1), wanted),
    ]
    return [(name, frame_case(data, wanted)) for name, data, wanted in damaged]


def damaged_zstd(payload: bytes, packed: bytes, run: bytes) -> list[Case]:
    wanted, long = oid("blob", payload), oid("blob", b"a" * 5000)
    skippable = b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd"

    def one(name: str, data: bytes, stored: bytes, oid_: str) -> Case:
        return name, frame_case(encode_frame("blob", data, stored), oid_)

    bomb = zstd_run(b"a", 2000, 1000)
    return [
        one("STO-2: content longer than said", b"a" * 4999, run, long),
        one("STO-2: content shorter than said", b"a" * 5001, run, long),
        one("STO-2: content much longer than said", b"a" * 5, bomb, oid("blob", b"aaaaa")),
        one("STO-2: said empty, is not", b"", run, oid("blob", b"")),
        one("STO-2: two zstd frames", payload * 2, packed * 2, oid("blob", payload * 2)),
        one("STO-2: bytes after the zstd frame", payload, packed + b"\0", wanted),
        one("STO-2: a skippable frame after it", payload, packed + skippable, wanted),
        one("STO-2: a skippable frame before it", payload, skippable + packed, wanted),
        one("STO-2: an empty zstd frame after it", payload, packed + zstd_raw(b""), wanted),
        one("STO-2: cut zstd frame", payload, packed[:-1], wanted),
        one("STO-2: no last block", b"a" * 5000, run[:-4], long),
        one("STO-2: empty stored payload", b"", b"", oid("blob", b"")),
        one("STO-2: zstd magic", payload, b"\x29" + packed[1:], wanted),
        one("STO-2: zstd content changed", payload, packed[:-1] + b"!", wanted),
    ]


# zstandard 0.25.0, level 19, of the table object TABLE
ZSTD_TABLE = (
    "28b52ffd209ffd030052091d1870ab0e10578790faf12ecefeebff17922414b4ec2bfdff425173ecb15ac4a54623efd3309c"
    "db5d9027215e2af498f689c55b87699e86cb0bf10f4d9e0ea9e2b6600df8c16216cdb56ee81cc36680547552c88a411530cf"
    "a07165afeb9a3dbba77b7551f9787b17aa18b2a94f8ce32dbd4f1f0a0200999aa07330a3"
)
