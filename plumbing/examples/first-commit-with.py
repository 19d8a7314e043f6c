#!/usr/bin/env python3
"""Find the commit in which a value first appeared in a column of a table, by halving the history.

Prints the commit, its time and the first line of its message. Right where a value that once appeared has stayed.
VALUE is a text, or a number, true, false or null as JSON spells it.
"""

from __future__ import annotations

import json
import subprocess
import sys

USAGE = f"usage: {sys.argv[0].rpartition('/')[2]} OWNER/NAME[@REVISION]/TABLE COLUMN VALUE"
WRONG_CALL, NOT_FOUND = 2, 3  # exit codes of dpk


def dpk(*args: str) -> str:
    """What a command prints. An error of its own ends this script as it ended the command."""
    done = subprocess.run(["dpk", *args], stdout=subprocess.PIPE, text=True, encoding="utf-8", check=False)
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout


def has(table: str, column: str, value: str, *, must_be: bool = False) -> bool:
    """Whether the value is in the table, of which no more is read than need be.

    An error ends this script; that there is no such table or column is none, unless it must be there.
    """
    command = ["dpk", "read-table", "--format=json", f"--columns={column}", "--", table]
    errors = None if must_be else subprocess.DEVNULL
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, encoding="utf-8") as running:
        assert running.stdout
        cells = (next(iter(json.loads(line).values())) for line in running.stdout)
        if any(cell == value if isinstance(cell, str) else json.dumps(cell) == value for cell in cells):
            running.stdout.close()  # dpk ends when nobody takes what it prints
            return True
        code = running.wait()
    if code and (must_be or code not in (WRONG_CALL, NOT_FOUND)):
        sys.exit(code)
    return False


def main(expr: str, column: str, value: str) -> None:
    parts = json.loads(dpk("check-ref-format", "--kind=expr", "--json", "--", expr))
    package, revision, path = parts["package"], parts["revision"] or "latest", parts["path"]
    if path is None:
        print(USAGE, file=sys.stderr)
        sys.exit(WRONG_CALL)
    if not has(f"{package}@{revision}/{path}", column, value, must_be=True):
        print(f"'{value}' is not in column '{column}' of {expr}", file=sys.stderr)
        sys.exit(NOT_FOUND)
    history = dpk("rev-list", "--first-parent", "--reverse", "--", f"{package}@{revision}").split()
    first, last = 0, len(history) - 1  # it is there at last
    while first < last:
        middle = (first + last) // 2
        if has(f"{package}@{history[middle]}/{path}", column, value):
            last = middle
        else:
            first = middle + 1
    commit = json.loads(dpk("cat-object", history[first]))
    print(history[first], commit["time"], next(iter(commit["message"].splitlines()), ""))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        print(USAGE, file=sys.stderr)
        sys.exit(WRONG_CALL)
    main(*sys.argv[1:])
