"""The declared inputs of the vectors: oids, canonical JSON, types, columns, fragments, sorting, statistics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Case = tuple[str, Any]  # name, input
NAN64 = "7ff8000000000001"


def text_pieces(text: str) -> list[Any]:
    """The pieces form of a UTF-8 text."""
    return [[text.encode().hex(), 1]]


def oids() -> list[Case]:
    kinds = ("blob", "schema", "column", "fragment", "table", "node", "commit", "ref")
    cases: list[Case] = [(f"{kind}: nothing", {"kind": kind, "pieces": []}) for kind in kinds]
    cases += [(f"{kind}: hello", {"kind": kind, "pieces": [["68656c6c6f", 1]]}) for kind in kinds]
    cases += [(f"{kind}: {n} bytes", {"kind": kind, "pieces": [["00ff55", n // 3]]})
              for kind in ("blob", "node") for n in (1023, 1026, 3_000_000)]  # fmt: skip
    return cases


# ------------------------------------------------------------------------------------------------------ canonical JSON


def nested(depth: int) -> Any:
    value: Any = 0
    for i in range(depth):
        value = [value] if i % 2 else {"a": value}
    return value


def canonical_json() -> list[Case]:
    values: list[Case] = [
        ("scalars", [None, True, False, 0, -1, 1, 9007199254740991, -9007199254740991]),
        ("empty", [[], {}, "", {"": {}}, [[]]]),
        ("top-level null", None),
        ("top-level string", "é"),
        ("top-level integer", -7),
        ("every control character", "".join(map(chr, range(0x21)))),
        ("escapes", '"\\/\b\t\n\f\r\x00\x01\x1f\x7f\x80\u2028\u2029'),
        ("unicode", ["é", "e\u0301", "日本", "😀", "\ufeff", "\uffff", "\U0010ffff", "\ud7ff\ue000"]),
        ("keys", {"b": 1, "a": 2, "": 3, "aa": 4, "B": 5, "é": 6, "~": 7, "\n": 8, '"': 9, "\\": 10}),
        ("keys by UTF-8, not UTF-16", {"\ufb33": 1, "😀": 2, "\uffff": 3, "\U00010000": 4}),
        ("nested", {"a": [{"b": [1, {"c": None}]}, []], "A": {"z": {"y": {"x": "w"}}}}),
        ("128 deep", nested(128)),
        ("129 deep", nested(129)),
        ("2^53", 2**53),
        ("-2^53", -(2**53)),
        ("fraction", 1.5),
        ("whole float", 1.0),
        ("lone high surrogate", "a\ud800"),
        ("lone low surrogate", "\udc00a"),
        ("lone surrogate in a key", {"\ud800": 1}),
    ]
    cases: list[Case] = [(f"encode: {name}", {"value": value}) for name, value in values]
    cases += [(f"decode: {name}", {"pieces": text_pieces(text)}) for name, text in JSON_TEXTS]
    raw = [
        ("accept: 128 deep", [["5b", 128], ["5d", 128]]),
        ("JSON-5: 129 deep", [["5b", 129], ["5d", 129]]),
        ("accept: 16 MiB", [["22", 1], ["61", 2**24 - 2], ["22", 1]]),
        ("JSON-5: 16 MiB and a byte", [["22", 1], ["61", 2**24 - 1], ["22", 1]]),
        ("JSON-1: byte order mark", [["efbbbf31", 1]]),
        ("JSON-1: Latin-1", [["22e922", 1]]),
        ("JSON-1: overlong", [["22c0af22", 1]]),
        ("JSON-1: surrogate in UTF-8", [["22eda08022", 1]]),
        ("JSON-1: UTF-16", [["fffe3100", 1]]),
        ("JSON-1: above U+10FFFF", [["22f490808022", 1]]),
        ("JSON-4: raw NUL", [["220022", 1]]),
        ("JSON-4: raw line feed", [["220a22", 1]]),
    ]
    return cases + [(f"decode: {name}", {"pieces": pieces}) for name, pieces in raw]


JSON_TEXTS: list[tuple[str, str]] = [
    ("accept: empty array", "[]"),
    ("accept: object", '{"a":1,"b":[true,false,null]}'),
    ("accept: key order", '{"":0,"A":1,"a":2,"é":3,"😀":4}'),
    ("accept: integers", "[0,-1,9007199254740991,-9007199254740991]"),
    ("accept: escapes", r'"\"\\\b\t\n\f\r\u0000\u001f/"'),
    ("accept: U+007F", '"\x7f"'),
    ("JSON-1: space after", "1 "),
    ("JSON-1: space before", " 1"),
    ("JSON-1: space after a comma", "[1, 2]"),
    ("JSON-1: space after a colon", '{"a": 1}'),
    ("JSON-1: line feed at the end", "{}\n"),
    ("JSON-1: tab", "[\t]"),
    ("JSON-2: unsorted", '{"b":1,"a":2}'),
    ("JSON-2: duplicate", '{"a":1,"a":1}'),
    ("JSON-2: prefix after", '{"aa":1,"a":2}'),
    ("JSON-2: UTF-16 order", '{"😀":1,"\ufb33":2}'),
    ("JSON-2: unsorted deep below", '[{"a":{"y":1,"x":2}}]'),
    ("JSON-3: minus zero", "-0"),
    ("JSON-3: plus", "+1"),
    ("JSON-3: leading zero", "01"),
    ("JSON-3: negative with a leading zero", "-01"),
    ("JSON-3: fraction", "1.5"),
    ("JSON-3: fraction of zeros", "1.0"),
    ("JSON-3: exponent", "1e3"),
    ("JSON-3: capital exponent", "1E3"),
    ("JSON-3: 2^53", "9007199254740992"),
    ("JSON-3: -2^53", "[-9007199254740992]"),
    ("JSON-3: very long", "1" + "0" * 400),
    ("JSON-4: escaped slash", r'"\/"'),
    ("JSON-4: escaped letter", r'"\u0061"'),
    ("JSON-4: capital digits", r'"\u001F"'),
    ("JSON-4: long form of a short escape", r'"\u000a"'),
    ("JSON-4: long form of a quote", r'"\u0022"'),
    ("JSON-4: escaped U+007F", r'"\u007f"'),
    ("JSON-4: escaped pair", r'"\ud83d\ude00"'),
    ("JSON-4: lone surrogate", r'"\ud800"'),
    ("JSON-4: unknown escape", r'"\x41"'),
    ("JSON-4: long form in a key", r'{"\u0061":1}'),
    ("JSON-6: nothing", ""),
    ("JSON-6: two values", "1,2"),
    ("JSON-6: more brackets", "[]]"),
    ("JSON-6: unclosed array", "[1"),
    ("JSON-6: unclosed object", '{"a":1'),
    ("JSON-6: unclosed string", '"abc'),
    ("JSON-6: comma at the end of an array", "[1,]"),
    ("JSON-6: comma at the end of an object", '{"a":1,}'),
    ("JSON-6: comma at the start", "[,1]"),
    ("JSON-6: no colon", '{"a"}'),
    ("JSON-6: bare key", "{a:1}"),
    ("JSON-6: integer key", "{1:1}"),
    ("JSON-6: True", "True"),
    ("JSON-6: NaN", "NaN"),
    ("JSON-6: single quotes", "'a'"),
    ("JSON-6: comment", "[]//"),
]


# --------------------------------------------------------------------------------------------------------------- types


def types() -> list[Case]:
    accepted = [t for t, _ in COLUMNS]
    schemas: list[tuple[str, Any]] = [
        ("one column", [["a", "int64"]]),
        ("a dot and a struct", [["a.b", "int8"], ["a", {"struct": [["b", "int8"]]}]]),
        ("odd names", [["", "int8"], [" ", "int8"], ["é", "int8"], ["e\u0301", "int8"], ["a\u0000\n\"", "int8"]]),
        ("capitals differ", [["a", "int8"], ["A", "int8"]]),
        ("all types", [[f"c{i}", t] for i, t in enumerate(accepted)]),
        ("32 below a column's type", [["a", deep(33)]]),
        ("TYPE-1: 33 below a column's type", [["a", deep(34)]]),
        ("TYPE-5: no columns", []),
        ("TYPE-5: duplicate names", [["a", "int8"], ["b", "int8"], ["a", "utf8"]]),
    ]  # fmt: skip
    cases: list[Case] = [(f"accept {i}", {"type": t}) for i, t in enumerate([*accepted, deep(20)])]
    cases += [(f"32 below the outermost, {name}", {"type": deep(33, wrap)}) for name, wrap in WRAPS.items()]
    cases += [(f"TYPE-1: 33 below the outermost, {name}", {"type": deep(34, wrap)}) for name, wrap in WRAPS.items()]
    cases += [(name, {"type": t}) for name, t in refused_types()]
    return cases + [(f"schema: {name}", {"schema": schema}) for name, schema in schemas]


def refused_types() -> list[tuple[str, Any]]:
    return [
        ("TYPE-1: unknown name", "int128"),
        ("TYPE-1: Arrow's name", "string"),
        ("TYPE-1: capital", "Int64"),
        ("TYPE-1: number", 1),
        ("TYPE-1: null", None),
        ("TYPE-1: array", ["list", "int64"]),
        ("TYPE-1: no member", {}),
        ("TYPE-1: two members", {"list": "int64", "map": ["utf8", "int64"]}),
        ("TYPE-1: unknown member", {"union": ["int64", "utf8"]}),
        ("TYPE-1: bare timestamp", "timestamp"),
        ("TYPE-1: timestamp as a string", {"timestamp": "us"}),
        ("TYPE-1: timestamp in seconds", {"timestamp": ["s"]}),
        ("TYPE-1: timestamp with a null zone", {"timestamp": ["us", None]}),
        ("TYPE-1: timestamp with an empty zone", {"timestamp": ["us", ""]}),
        ("TYPE-1: duration in an array", {"duration": ["us"]}),
        ("TYPE-1: duration in seconds", {"duration": "s"}),
        ("TYPE-1: decimal of precision 0", {"decimal": [0, 0]}),
        ("TYPE-1: decimal of precision 77", {"decimal": [77, 0]}),
        ("TYPE-1: decimal without a scale", {"decimal": [5]}),
        ("TYPE-1: decimal of a bool", {"decimal": [True, False]}),
        ("TYPE-5: negative scale", {"decimal": [5, -1]}),
        ("TYPE-5: scale above the precision", {"decimal": [5, 6]}),
        ("TYPE-5: zero-width binary", {"fixed_binary": 0}),
        ("TYPE-5: zero-width list", {"fixed_list": [0, "int8"]}),
        ("TYPE-5: struct without fields", {"struct": []}),
        ("TYPE-5: duplicate field names", {"struct": [["a", "int8"], ["a", "int16"]]}),
        ("TYPE-5: an extension of an extension", {"extension": ["x", "", {"extension": ["y", "", "int8"]}]}),
        ("TYPE-5: pickled extension", {"extension": ["arrow.py_extension_type", "", "int8"]}),
        ("TYPE-1: metadata that is not base64", {"extension": ["x", "a b=", "int8"]}),
        ("TYPE-1: metadata without padding", {"extension": ["x", "YQ", "int8"]}),
        ("TYPE-1: metadata with stray bits", {"extension": ["x", "YR==", "int8"]}),
        ("TYPE-1: metadata in the URL alphabet", {"extension": ["x", "_w==", "int8"]}),
        ("TYPE-1: list of two", {"list": ["int8", "int8"]}),
        ("TYPE-1: map of one", {"map": ["utf8"]}),
        ("TYPE-1: far too deep", deep(60)),
    ]


WRAPS: dict[str, Callable[[Any], Any]] = {
    "lists": lambda t: {"list": t},
    "fixed lists": lambda t: {"fixed_list": [1, t]},
    "structs": lambda t: {"struct": [["a", t]]},
    "maps": lambda t: {"map": ["utf8", t]},
    "maps of keys": lambda t: {"map": [t, "utf8"]},
    "extensions and lists": lambda t: {"list": t} if "extension" in t else {"extension": ["x", "", t]},
}


def deep(depth: int, wrap: Callable[[Any], Any] = WRAPS["lists"]) -> Any:
    """A type of `depth` types, each in the one before."""
    t: Any = "int8"
    for _ in range(depth - 1):
        t = wrap(t)
    return t


# ------------------------------------------------------------------------------------------------------------- columns


def integers(bits: int, signed: bool) -> list[Any]:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    values = [0, 1, None, low, high, low + 1, 42, None, 100]
    return [str(v) if v is not None and abs(v) > 2**53 - 1 else v for v in values]


FLOATS16 = ["0000", "8000", "3c00", "bc00", "7c00", "fc00", "7e00", "7e01", "fe00", "7c01", "0001", "7bff", None]
FLOATS32 = ["00000000", "80000000", "3f800000", "7f800000", "ff800000", "7fc00000", "ffc00001", "7f800001",
            "00000001", "7f7fffff", None]  # fmt: skip
FLOATS64 = ["0000000000000000", "8000000000000000", "3ff0000000000000", "7ff0000000000000", "fff0000000000000",
            "7ff8000000000000", NAN64, "fff8000000000000", "7ff0000000000001", "0000000000000001",
            "7fefffffffffffff", None]  # fmt: skip
STRINGS = ["", "a", None, "é", "e\u0301", "日本", "😀", "a\u0000b", "12345678", "123456789", "\n", "null"]
BINARIES = ["", "00", None, "0000", "ff" * 8, "0102030405060708" * 2, "00ff00ff00ff00ff00", "61"]
MOMENTS = [0, 1, -1, None, 1_700_000_000_000, "9223372036854775807", "-9223372036854775808"]
POINT = {"struct": [["x", "int32"], ["y", "utf8"]]}

# type, values; each type is also tried empty and all null
COLUMNS: list[tuple[Any, list[Any]]] = [
    ("null", [None, None, None]),
    ("bool", [True, False, None, True, True, False, False, True, True, None]),
    *((f"int{bits}", integers(bits, True)) for bits in (8, 16, 32, 64)),
    *((f"uint{bits}", integers(bits, False)) for bits in (8, 16, 32, 64)),
    ("float16", FLOATS16),
    ("float32", FLOATS32),
    ("float64", FLOATS64),
    ("utf8", STRINGS),
    ("binary", BINARIES),
    ({"fixed_binary": 1}, ["00", None, "ff"]),
    ({"fixed_binary": 5}, ["0102030405", "0000000000", None]),
    ({"fixed_binary": 16}, ["00112233445566778899aabbccddeeff", None]),
    ({"fixed_binary": 70}, ["ab" * 70, {"repeat": ["0123456789", 14]}, None]),
    ({"decimal": [1, 0]}, ["0", "9", "-9", None]),
    ({"decimal": [5, 2]}, ["12345", "-12345", "0", None, "1"]),
    ({"decimal": [38, 38]}, ["9" * 38, "-" + "9" * 38, "1", "-1", None]),
    ({"decimal": [39, 0]}, ["9" * 39, "-" + "9" * 39, "1", "-1", None]),
    ({"decimal": [76, 10]}, ["9" * 76, "-" + "9" * 76, "0", None]),
    ("date", [0, 1, -1, None, 20000, 2147483647, -2147483648]),
    ("time_ms", [0, 1, None, 86_399_999]),
    ("time_us", [0, 1, None, 86_399_999_999]),
    ("time_ns", [0, 1, None, 86_399_999_999_999]),
    *(({"timestamp": [unit]}, MOMENTS) for unit in ("ms", "us", "ns")),
    ({"timestamp": ["us", "UTC"]}, MOMENTS),
    ({"timestamp": ["ns", "Europe/Berlin"]}, MOMENTS),
    ({"timestamp": ["ms", "+02:00"]}, MOMENTS),
    *(({"duration": unit}, MOMENTS) for unit in ("ms", "us", "ns")),
    ({"list": "int64"}, [[1, 2, 3], [], None, [None], [4, None, 5], [3, 2, 1]]),
    ({"list": "utf8"}, [["a", "bc", ""], None, [], [None, "d"]]),
    ({"list": "bool"}, [[True] * 9, [False, None], []]),
    ({"list": "null"}, [[None, None], [], None, [None]]),
    ({"list": {"list": "int8"}}, [[[1], [], None, [2, 3]], [], None, [[None]], [None]]),
    ({"list": POINT}, [[[1, "a"], None, [None, "b"]], [], None, [[2, None]]]),
    ({"fixed_list": [2, "int32"]}, [[1, 2], None, [None, 3], [None, None]]),
    ({"fixed_list": [3, "utf8"]}, [["a", "", "ccc"], None, [None, "x", None]]),
    ({"fixed_list": [1, {"list": "int8"}]}, [[[1, 2]], [None], None, [[]]]),
    ({"struct": [["a", "int64"]]}, [[1], None, [None], [2]]),
    (POINT, [[1, "a"], [None, "b"], None, [3, None], [None, None]]),
    ({"struct": [["", "bool"], ["a.b", POINT], ["l", {"list": "date"}]]},
     [[True, [1, "x"], [0, None]], [None, None, None], None, [False, [None, None], []]]),
    ({"struct": [["n", "null"]]}, [[None], None]),
    ({"map": ["utf8", "int64"]}, [[["b", 1], ["a", 2], ["b", 3]], [], None, [["", None]]]),
    ({"map": ["int32", {"list": "utf8"}]}, [[[1, ["a", None]], [2, None]], None, [], [[-1, []]]]),
    ({"map": [POINT, {"map": ["utf8", "float64"]}]}, [[[[1, None], [["k", NAN64]]]], None, [[[None, "a"], []]]]),
    ({"extension": ["arrow.uuid", "", {"fixed_binary": 16}]}, ["00112233445566778899aabbccddeeff", None]),
    ({"extension": ["arrow.json", "", "utf8"]}, ['{"a": 1}', None, "[]"]),
    ({"extension": ["dpkg.test", "AAECAw==", {"list": "int16"}]}, [[1, None], None, []]),
    ({"extension": ["outer", "", {"list": {"extension": ["inner", "aW5uZXI=", "float64"]}}]}, [[NAN64, None], None]),
    ({"extension": ["dpkg.nothing", "", "null"]}, [None, None]),
    ({"list": {"extension": ["dpkg.test", "", "int8"]}}, [[1, None], None, []]),
]  # fmt: skip


def columns() -> list[Case]:
    cases: list[Case] = []
    for i, (t, values) in enumerate(COLUMNS):
        cases.append((f"{i} values", {"type": t, "values": values}))
        cases.append((f"{i} no nulls", {"type": t, "values": [v for v in values if v is not None]}))
        cases.append((f"{i} empty", {"type": t, "values": []}))
        cases.append((f"{i} all null", {"type": t, "values": [None] * 9}))
    lengths = [0, 1, 7, 8, 9, 15, 16, 17, 63, 64, 65, 66, 71, 72, 73, 79, 80, 81, 88, 135, 136, 137, 200, 1000, 4099]
    strings = [("0123456789abcdefghijklmnopqrstuvwxyz" * (n // 36 + 1))[:n] for n in lengths]
    cases.append(("utf8 of many lengths", {"type": "utf8", "values": strings}))
    blobs = [{"repeat": ["00010203040506070809fafbfcfdfeff7f", n]} for n in range(1, 40)]
    cases.append(("binary of many lengths", {"type": "binary", "values": blobs}))
    cases += [(f"list of {n}", {"type": {"list": "int8"}, "values": [[i % 100 for i in range(n)]]}) for n in (1, 300)]
    cases += [(f"{n} deep", {"type": deep(n), "values": [wrapped(n - 1), None, []]}) for n in (20, 33)]
    big = {"gen": "random", "count": 1000, "seed": 7, "nulls": 9}
    cases += [(f"random {t}", {"type": t, "values": big}) for t in ("int64", "float32", "bool")]
    return cases


def wrapped(depth: int) -> Any:
    value: Any = 5
    for _ in range(depth):
        value = [value]
    return value


# ----------------------------------------------------------------------------------------------------------- fragments


def fragments() -> list[Case]:
    one: Any = {"schema": [["a", "int64"], ["b", "utf8"]], "columns": [[1, 2, None], ["x", None, ""]]}
    a, b = one["schema"], one["columns"]
    cases: list[Case] = [
        ("two columns", one),
        ("a name changed", {"schema": [["A", "int64"], a[1]], "columns": b}),
        ("a type changed", {"schema": [["a", "int32"], a[1]], "columns": b}),
        ("a value changed", {"schema": a, "columns": [[1, 3, None], b[1]]}),
        ("a null changed", {"schema": a, "columns": [[1, 2, 0], b[1]]}),
        ("rows in another order", {"schema": a, "columns": [[2, 1, None], [None, "x", ""]]}),
        ("columns in another order", {"schema": [a[1], a[0]], "columns": [b[1], b[0]]}),
        ("one row less", {"schema": a, "columns": [[1, 2], ["x", None]]}),
        ("no rows", {"schema": a, "columns": [[], []]}),
        ("only a null column", {"schema": [["n", "null"]], "columns": [[None] * 5]}),
        ("the same column twice", {"schema": [["a", "int8"], ["b", "int8"]], "columns": [[1, 2], [1, 2]]}),
    ]
    schema = [[f"c{i}", t] for i, (t, _) in enumerate(COLUMNS)]
    rows = [(values * 9)[:9] for _, values in COLUMNS]
    cases.append(("all types", {"schema": schema, "columns": rows}))
    generated = [
        {"gen": "random", "count": 5000, "seed": 1},
        {"gen": "text", "count": 5000, "seed": 2, "length": 3, "spread": 100, "nulls": 10},
        {"gen": "list", "count": 5000, "seed": 3, "max": 4, "nulls": 11, "item": {"gen": "random", "seed": 4}},
    ]
    names = [["id", "uint64"], ["text", "utf8"], ["parts", {"list": "float32"}]]
    cases.append(("5,000 rows", {"schema": names, "columns": generated}))
    return cases


# ------------------------------------------------------------------------------------------------------------- sorting


def sorting() -> list[Case]:
    def one(t: Any, values: list[Any]) -> Any:
        return {"schema": [["k", t], ["v", "int8"]], "columns": [values, [0] * len(values)], "key": ["k"]}

    cases: list[Case] = [
        ("int64", one("int64", [3, None, -1, "9223372036854775807", "-9223372036854775808", 0])),
        ("uint64", one("uint64", ["18446744073709551615", 0, None, "9223372036854775808"])),
        ("bool", one("bool", [True, None, False])),
        ("float16", one("float16", ["7e01", "0000", "8000", "7c00", "fc00", None, "3c00", "bc00", "0001", "8001"])),
        ("float32", one("float32", ["ffc00000", "00000000", "80000000", "7f800000", "ff800000", None, "bf800000"])),
        ("float64", one("float64", [NAN64, "0000000000000000", "8000000000000000", "7ff0000000000000",
                                    "fff0000000000000", None, "c000000000000000", "bff0000000000000"])),
        ("utf8 bytewise", one("utf8", ["b", "a", "", None, "B", "aa", "é", "\uffff", "😀", "a\u0000", "z"])),
        ("binary", one("binary", ["ff", "00", "", None, "0000", "7f", "80"])),
        ("fixed_binary", one({"fixed_binary": 2}, ["ff00", "00ff", None, "8000", "7fff"])),
        ("decimal", one({"decimal": [40, 2]}, ["5", "-5", None, "0", "9" * 40, "-" + "9" * 40])),
        ("date", one("date", [5, -5, None, 0])),
        ("time_us", one("time_us", [5, 1, None, 0])),
        ("timestamp", one({"timestamp": ["ns", "UTC"]}, [5, -5, None, 0])),
        ("duration", one({"duration": "ms"}, [5, -5, None, 0])),
        ("equal nulls", one("int8", [1, None, 2, None])),
        ("equal NaN", one("float64", [NAN64, "0000000000000000", "fff8000000000000"])),
        ("equal strings, the first is named", one("utf8", ["z", "b", "a", "b", "z"])),
        ("zeros of two signs differ", one("float64", ["0000000000000000", "8000000000000000"])),
    ]  # fmt: skip
    return cases + sorting_more(one)


def sorting_more(one: Callable[[Any, list[Any]], Any]) -> list[Case]:
    two = [["a", "utf8"], ["b", "int64"]]
    rows = [["x", "y", "x", None, "y", None], [2, 1, None, 5, 0, None]]
    cases: list[Case] = [
        ("two columns", {"schema": two, "columns": rows, "key": ["a", "b"]}),
        ("two columns, the second first", {"schema": two, "columns": rows, "key": ["b", "a"]}),
        ("one of two columns is not enough", {"schema": two, "columns": rows, "key": ["a"]}),
        ("no rows", {"schema": two, "columns": [[], []], "key": ["b"]}),
        ("ROW-7: a column twice", {"schema": two, "columns": [[], []], "key": ["a", "b", "a"]}),
    ]
    shuffled = {"gen": "sequence", "count": 100, "start": 50, "step": 37, "mod": 101}
    cases.append(("shuffled", {"schema": [["k", "int32"]], "columns": [shuffled], "key": ["k"]}))
    bad = (
        "null",
        {"list": "int8"},
        {"struct": [["a", "int8"]]},
        {"map": ["utf8", "int8"]},
        {"fixed_list": [1, "int8"]},
        {"extension": ["x", "", "int8"]},
    )
    return cases + [(f"ROW-7: no key type {i}", one(t, [])) for i, t in enumerate(bad)]


# ---------------------------------------------------------------------------------------------------------- statistics


def statistics() -> list[Case]:
    cases: list[Case] = []
    for i, (t, values) in enumerate(COLUMNS):
        cases.append((f"{i} values", {"type": t, "values": values}))
        cases.append((f"{i} empty", {"type": t, "values": []}))
        cases.append((f"{i} all null", {"type": t, "values": [None] * 3}))
    cases += [(f"float: {name}", {"type": t, "values": values}) for name, t, values in STATISTICS_FLOATS]
    cases += [(f"utf8 {i}", {"type": "utf8", "values": values}) for i, values in enumerate(STATISTICS_STRINGS)]
    cases += [(f"binary {i}", {"type": "binary", "values": values}) for i, values in enumerate(STATISTICS_BINARIES)]
    fixed = {"fixed_binary": 40}
    cases += [
        ("fixed_binary above 32 bytes", {"type": fixed, "values": ["61" * 40, "62" * 40]}),
        ("fixed_binary of ff", {"type": fixed, "values": ["ff" * 40]}),
    ]
    schema = [["k", "int64"], ["", "utf8"], ["f", "float32"], ["x", {"list": "int8"}], ["b", {"fixed_binary": 2}]]
    parts = [
        [[1, 2], ["b", "a" * 40], ["7fc00000", "80000000"], [[1], None], ["0001", None]],
        [[None], [None], [None], [None], [None]],
        [[-5], ["é" * 20], ["7f800000"], [[]], ["ffff"]],
    ]
    cases += [(f"{n} fragments", {"schema": schema, "fragments": parts[:n]}) for n in (1, 2, 3)]
    every = [[f"c{i}", t] for i, (t, _) in enumerate(COLUMNS)]
    rows = [(values * 5)[:5] for _, values in COLUMNS]
    return [*cases, ("all types", {"schema": every, "fragments": [rows, rows]})]


STATISTICS_FLOATS: list[tuple[str, str, list[Any]]] = [
    ("only 0.0", "float64", ["0000000000000000"]),
    ("only -0.0", "float64", ["8000000000000000"]),
    ("0.0 least", "float32", ["00000000", "3f800000"]),
    ("-0.0 greatest", "float32", ["80000000", "bf800000"]),
    ("only NaN", "float16", ["7e01", "fe00"]),
    ("NaN and null", "float64", [NAN64, None]),
    ("NaN, null and a value", "float64", [NAN64, None, "c000000000000000"]),
    ("both zeros", "float32", ["00000000", "80000000"]),
    ("NaN between numbers", "float32", ["3f800000", "ffc00001", "bf800000"]),
    ("infinities without NaN", "float64", ["7ff0000000000000", "fff0000000000000"]),
    ("infinities", "float64", ["7ff0000000000000", "fff0000000000000", NAN64]),
    ("negatives", "float16", ["bc00", "c000", "8001"]),
]
STATISTICS_STRINGS: list[list[Any]] = [
    ["a" * 32],
    ["a" * 33],
    ["a" * 31 + "é"],
    ["a" * 30 + "é" + "x"],
    ["a" * 31 + "\x7f" + "x"],
    ["é" * 16, "é" * 17],
    ["日" * 11],
    ["😀" * 9],
    ["\ud7ff" * 11],
    ["a" + "\U0010ffff" * 8],
    ["\U0010ffff" * 8],
    ["\U0010ffff" * 9],
    ["a" * 28 + "\U0010ffff" + "x"],
    ["a" * 29 + "\uffff" + "x"],
    ["a" * 30 + "\u07ff" + "x"],
    ["a" * 31 + "\u0000" + "x"],
    ["\uffff", "😀", "\ue000"],
    ["", "a"],
    [{"repeat": ["z", 100000]}, {"repeat": ["y", 100000]}],
]
STATISTICS_BINARIES: list[list[Any]] = [
    ["00" * 32],
    ["00" * 33],
    ["61" * 31 + "ff" + "00"],
    ["ff" * 32],
    ["ff" * 33],
    ["61" + "ff" * 40],
    ["", "00"],
    ["c3" * 40, "80"],
]
