"""A canonical type as people write and read it; dpkg/arrow/typenames.py reads it back."""

from __future__ import annotations


def type_text(t: object) -> str:
    """A type of a table object, as `timestamp[us, UTC]`, `list<int64>`, `list<float32>[3]`, `struct<a: utf8>`."""
    if isinstance(t, str):
        return t
    assert isinstance(t, dict)
    kind, p = next(iter(t.items()))
    if kind == "struct":
        return f"struct<{', '.join(f'{n}: {type_text(i)}' for n, i in p)}>"
    if kind == "list":
        return f"list<{type_text(p)}>"
    if kind == "fixed_list":
        return f"list<{type_text(p[1])}>[{p[0]}]"
    if kind == "map":
        return f"map<{type_text(p[0])}, {type_text(p[1])}>"
    if kind == "extension":
        return f"{p[0]}<{type_text(p[2])}>"
    return f"{kind}[{', '.join(map(str, p)) if isinstance(p, list) else p}]"
