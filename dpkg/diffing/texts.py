"""Two versions of a file: of text a unified diff, of anything else its type."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dpkg.comparing import BlobChange

if TYPE_CHECKING:
    from dpkg.odb import Odb
    from dpkg.oid import Oid

MOST = 1 << 20  # bytes of a file that is compared
CONTEXT = 3  # lines around those that differ
WIDTH = 2000  # characters of a line that are kept
Rows = list[tuple[int, int]]  # places of lines on both sides; -1 where there is none


def diff_blobs(odb_a: Odb, a: Oid, odb_b: Odb, b: Oid, path: str, most: int | None) -> BlobChange:
    """How two blobs differ; of text at most `most` lines of the diff (None: all). Files that are large are not read."""
    from mimetypes import guess_type

    media = guess_type(path)[0]
    if max(odb_a.size(a), odb_b.size(b)) > MOST:
        return BlobChange("large", media)
    old, new = _lines(odb_a.read(a, "blob")), _lines(odb_b.read(b, "blob"))
    if old is None or new is None:
        return BlobChange("binary", media)
    lines, removed, added = [], 0, 0
    for line in unified(old, new):
        removed += line[0] == "-"
        added += line[0] == "+"
        lines.append(line[:WIDTH])
    kept = lines if most is None else lines[:most]
    return BlobChange("text", media, removed, added, tuple(kept), len(lines) - len(kept))


def _lines(data: bytes) -> list[str] | None:
    """The lines of a text, without their ends; None if it is none."""
    if b"\0" in data:
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    lines = text.split("\n")
    if lines[-1]:
        lines[-1] += "\n"  # a last line without an end is not that line with one
    else:
        lines.pop()
    return lines


def unified(old: list[str], new: list[str]) -> Iterator[str]:
    """The lines of a unified diff, without the names of files: `@@ -1,3 +1,4 @@`, then ` `, `-` or `+` and a line."""
    for first, second, hunk in _hunks(_side_by_side(old, new)):
        a, b = (sum(p[k] >= 0 for p in hunk) for k in (0, 1))
        yield f"@@ -{_range(first, a)} +{_range(second, b)} @@"
        for x, y in hunk:
            sign, line = (" ", old[x]) if x >= 0 and y >= 0 else ("-", old[x]) if x >= 0 else ("+", new[y])
            yield sign + line.removesuffix("\n")
            if line.endswith("\n"):
                yield "\\ No newline at end of file"


def _range(before: int, count: int) -> str:
    """Lines are counted from 1; of none the one before them is named."""
    start = before + 1 if count else before
    return str(start) if count == 1 else f"{start},{count}"


def _side_by_side(old: list[str], new: list[str]) -> Rows:
    """Every line of both, in order."""
    from dpkg.diffing.align import align_items

    i, j = align_items(old, new)
    out: Rows = []
    at_a = at_b = 0
    for x, y in [*zip(i.tolist(), j.tolist(), strict=True), (len(old), len(new))]:
        out += [(k, -1) for k in range(at_a, x)]
        out += [(-1, k) for k in range(at_b, y)]
        if x < len(old):
            out.append((x, y))
        at_a, at_b = x + 1, y + 1
    return out


def _hunks(rows: Rows) -> Iterator[tuple[int, int, Rows]]:
    """Runs of lines around those that differ, each with how many lines of the old and the new are before it."""
    unlike = [n for n, row in enumerate(rows) if -1 in row]
    runs: list[list[int]] = []
    for n in unlike:
        start, stop = max(0, n - CONTEXT), min(len(rows), n + CONTEXT + 1)
        if runs and start <= runs[-1][1]:
            runs[-1][1] = stop
        else:
            runs.append([start, stop])
    at = a = b = 0
    for start, stop in runs:
        a += sum(x >= 0 for x, _ in rows[at:start])
        b += sum(y >= 0 for _, y in rows[at:start])
        yield a, b, rows[start:stop]
        a += sum(x >= 0 for x, _ in rows[start:stop])
        b += sum(y >= 0 for _, y in rows[start:stop])
        at = stop
