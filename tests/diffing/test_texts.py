"""Unified diffs of texts: applied to the old text they give the new one, as `patch` has it too."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpkg.diffing.texts import _lines, unified

TEXTS = st.lists(st.sampled_from(["a\n", "b\n", "\n", "c", "d\r\n"]), max_size=30).map("".join)


def applied(old: list[str], diff: list[str]) -> list[str]:
    """By the numbers of the hunks and their lines alone."""
    out, at = list[str](), 0
    for line, after in zip(diff, [*diff, ""][1:], strict=True):
        if found := re.fullmatch(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@", line):
            start = int(found[1]) - (found[2] != "0")
            out += old[at:start]
            at = start
            assert len(out) == int(found[3]) - (found[4] != "0")
            continue
        text = line[1:] + ("\n" if after.startswith("\\") else "")
        if line[0] in " -":
            assert old[at] == text
            at += 1
        if line[0] in " +":
            out.append(text)
    return out + old[at:]


@given(TEXTS, TEXTS)
@settings(max_examples=60)
def test_applied_to_the_old_it_gives_the_new(old: str, new: str) -> None:
    a, b = _lines(old.encode()), _lines(new.encode())
    assert a is not None
    assert b is not None
    diff = list(unified(a, b))
    assert (diff == []) == (old == new)
    assert applied(a, diff) == b


@pytest.mark.skipif(shutil.which("patch") is None, reason="no patch here")
def test_patch_takes_it(tmp_path: Path) -> None:
    old = "".join(f"line {i}\n" for i in range(40))
    new = "first\n" + old.replace("line 20\n", "").replace("line 39\n", "the end")
    a, b = _lines(old.encode()), _lines(new.encode())
    assert a
    assert b
    (tmp_path / "x").write_text(old)
    said = "--- x\n+++ x\n" + "".join(f"{line}\n" for line in unified(a, b))
    subprocess.run(["patch", "-s", "x"], input=said, text=True, cwd=tmp_path, check=True)
    assert (tmp_path / "x").read_text() == new
