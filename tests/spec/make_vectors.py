"""Writes spec/vectors/*.json from the declared inputs, with the second reader alone.

.venv/bin/python tests/spec/make_vectors.py [NAME ...]
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import reader
import vector_chunks
import vector_inputs
import vector_packs
import vector_tables
from vector_inputs import Case

INPUTS: dict[str, Callable[[], list[Case]]] = {
    "oids": vector_inputs.oids,
    "canonical_json": vector_inputs.canonical_json,
    "types": vector_inputs.types,
    "columns": vector_inputs.columns,
    "fragments": vector_inputs.fragments,
    "sorting": vector_inputs.sorting,
    "statistics": vector_inputs.statistics,
    "boundaries": vector_tables.boundaries,
    "index": vector_tables.index,
    "objects": vector_tables.objects,
    "commits": vector_tables.commits,
    "refs": vector_tables.refs,
    "parts": vector_tables.parts,
    "frames": vector_tables.frames,
    "packs": vector_packs.packs,
    "chunks": vector_chunks.chunks,
}


def check_rule(name: str, expected: object) -> None:
    """A name that begins with a rule, behind "decode: " and the like, promises that the rule is broken."""
    for word in name.split()[:2]:
        rule = word.rstrip(":")
        if word.endswith(":") and rule[-1].isdigit() and "-" in rule and rule.split("-")[0].isupper():
            assert isinstance(expected, dict), name
            assert expected.get("refused") == rule, (name, expected)


def write(name: str) -> None:
    """One vector file, one line for each case."""
    start = time.monotonic()
    lines = []
    names = set()
    for case, form in INPUTS[name]():
        expected = reader.compute(name, form)
        check_rule(case, expected)
        assert case not in names, case
        names.add(case)
        lines.append(json.dumps({"name": case, "input": form, "expected": expected}, separators=(",", ":")))
    text = '{"format":"v1","cases":[\n' + ",\n".join(lines) + "\n]}\n"
    (reader.VECTORS / f"{name}.json").write_text(text, "utf-8")
    print(f"{name}: {len(lines)} cases, {len(text) / 1000:.0f} KB, {time.monotonic() - start:.1f} s")


if __name__ == "__main__":
    assert set(INPUTS) == set(reader.NAMES)
    for wanted in sys.argv[1:] or list(INPUTS):
        write(wanted)
