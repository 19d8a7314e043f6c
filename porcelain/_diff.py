"""`dpk diff`: what changed between two revisions, or would be by a build."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dpkg.command import STORE, Arg, Command, Opt, grid
from dpkg.errors import Usage
from dpkg.repository import Repository
from dpkg.rowstream import refuse_terminal, write_whole

if TYPE_CHECKING:
    from dpkg.command import Shown
    from dpkg.comparing import Change
    from dpkg.diffing.review import Tables
    from dpkg.diffing.sides import Side, Sides
    from dpkg.drift.verdicts import PackageVerdict

DIFFERS = 11  # the exit code of --fail-on (spec/cli.md)


COMMAND = Command(
    "diff",
    "Show what changed: entries added, removed, changed, renamed; lines of texts, schemas and rows of tables.",
    (
        Arg(
            "a",
            "owner/name (its last two commits), owner/name[@revision][/path], or owner/name@v1..v2",
            metavar="OLD",
            completes="expr",
        ),
        Arg(
            "b",
            "owner/name[@revision][/path], or files that have not been built: ./src",
            metavar="NEW",
            optional=True,
            completes="expr",
        ),
        Arg("paths", "only what is at or below these", metavar="PATH", optional=True, many=True),
        Opt("-n --rows", "changed rows of each table and lines of each text; counts all rows", str, "N|all"),
        Opt(
            "--key",
            "pair rows by this column, not by the table's key; may be given more than once",
            str,
            "COLUMN",
            many=True,
        ),
        Opt(
            "--drift",
            "what became of every column; profiles that are not stored are made, however large the tables are",
        ),
        Opt("--stat", "a line for each change"),
        Opt("--name-only", "only the paths"),
        Opt(
            "--format",
            "all rows of one table that differ: for other tools as csv, json (lines) or daff, for 'dpk apply-diff' as arrow or parquet",
            str,
            "FORMAT",
            ("csv", "json", "arrow", "parquet", "daff"),
        ),
        Opt("-o --output", "write them to a file", str, "FILE", completes="file"),
        Opt("--from", "the remote that OLD is read from, without installing it", str, "REMOTE", completes="remote"),
        Opt("--to", "the remote that NEW is read from", str, "REMOTE", completes="remote"),
        Opt(
            "--fail-on",
            "end with 11 if there is such a change: moderate or major drift, schema (a table gone, or with other columns or key), any",
            str,
            "WHAT",
            ("moderate", "major", "schema", "any"),
        ),
        STORE,
    ),
    epilog="After a range every argument is a PATH. NEW is files where it begins with ./, ../, / or ~, or is a name without a slash\n"
    "that is there; they are compiled as 'dpk build' would do it, and nothing is published or kept.",
    details="Entries and schemas come from indexes alone, in proportion to what changed. A rename is an entry gone and one new of the "
    "same oid; a column seems renamed where one came and one went of the same type whose first values are nearly the same.\n"
    "Rows are compared unasked where the fragments that changed have at most 64 MB of rows, all tables together, the smallest first, and "
    "the stores are folders: then 5 rows of each table are shown, else what --rows asks for. Tables with a key are compared by it, and "
    "changed cells are shown old → new; without one a changed row is one removed and one added.\n"
    "Of texts of up to 1 MB there is a unified diff, of which 40 lines are shown unasked.\n"
    "The rows of --format come as they are found, in little memory: _change is added, removed or changed, _old_row and _new_row count from "
    "0, _cells names the columns that changed, and old.X and new.X are a column before and after (spec/cli.md). They are an edit script: "
    "'dpk apply-diff' makes the new table of the old one, to the last bit.",
    examples=(
        ("Show what the newest commit changed:", "dpk diff acme/shop"),
        ("Between two tags, one table, every row that differs:", "dpk diff acme/shop@v1..v2 sales --rows all"),
        ("What a build would change:", "dpk diff acme/shop ./src"),
        ("What installing would bring:", "dpk diff acme/shop --to origin"),
        ("All cells that changed, for a spreadsheet:", "dpk diff acme/shop@v1..v2 sales --format csv -o changes.csv"),
        ("Stop a pipeline if columns changed:", "dpk diff acme/shop ./src --stat --fail-on schema"),
        ("Print the paths that changed:", "dpk diff acme/shop --name-only"),
    ),
    see=("log", "diff-tree", "apply-diff"),
    json=2,
)


@dataclass(frozen=True)
class Written:
    """A file with all rows of a table that differ."""

    file: str
    format: str
    path: str  # the table
    removed: int
    added: int
    changed: int


@dataclass(frozen=True)
class Diff:
    """What differs between two sides; empty `changes` where they are equal."""

    old: Side
    new: Side
    changes: tuple[Change, ...]
    verdict: PackageVerdict | None = None  # on the drift of its tables
    written: Written | None = None
    sides: Sides | None = field(default=None, repr=False, compare=False)
    form: str = field(default="", repr=False)
    drift: bool = field(default=False, repr=False)  # whether it was asked for
    key: tuple[str, ...] = field(default=(), repr=False)  # by which rows are paired, if not by the tables' own
    chunks: Iterator[bytes] | None = field(default=None, repr=False, compare=False)
    fail_on: str | None = field(default=None, repr=False)

    @property
    def tables(self) -> Tables:
        """The row diffs of the tables that changed, by path: `batches()` of each are all rows that differ."""
        from dpkg.diffing.review import Tables

        assert self.sides is not None
        return Tables(self.sides.old.odb, self.sides.new.odb, self.changes, self.key)

    @property
    def exit_code(self) -> int:
        from dpkg.diffing.review import reaches

        said = self.verdict.verdict if self.verdict else "none"
        return DIFFERS if self.fail_on and reaches(self.changes, self.fail_on, said) else 0


def diff(
    a: str,
    b: str | None = None,
    paths: Sequence[str] = (),
    *,
    rows: str | None = None,
    key: Sequence[str] = (),
    drift: bool = False,
    stat: bool = False,
    name_only: bool = False,
    format: str | None = None,
    output: str | None = None,
    from_: str | None = None,
    to: str | None = None,
    fail_on: str | None = None,
    store: str | None = None,
) -> Diff:
    """Compare two sides: `A@v1..v2`, two expressions, an expression and files, or a package's last two commits.

    `rows`, a number or `"all"`, says how many rows of each table and lines of each text are in the result; None: what is cheap.
    With `format` all rows of one table that differ are written to `output`, or are the result's `chunks`.
    Raises NotFound, Usage, and for files what `build` raises.
    """
    from dpkg.diffing.review import LEVELS, review
    from dpkg.diffing.sides import open_sides

    most = _most(rows)
    if fail_on is not None and fail_on not in LEVELS:
        raise Usage(f"'{fail_on}' is nothing that a diff can fail on", f"one of: {', '.join(LEVELS)}")
    if bool(stat) + bool(name_only) + bool(format) > 1:
        raise Usage("--stat, --name-only and --format are forms of one thing", "give one of them")
    if output is not None and format is None:
        raise Usage("--output is for the rows of --format", "give --format csv, json, daff, arrow or parquet")
    key = (key,) if isinstance(key, str) else tuple(key)
    if key and format in ("arrow", "parquet"):
        raise Usage(
            f"rows that --key pairs are no edit script, and {format} is for one", "give --format csv, json or daff"
        )
    sides = open_sides(Repository(store), a, b, paths, from_, to)
    found = sides.changes()
    form = format or ("stat" if stat else "names" if name_only else "")
    if form in ("", "stat"):
        found = review(sides.old.odb, sides.new.odb, found, most, rows is not None, key)
    asked = drift or fail_on in ("moderate", "major")
    made = _drift(sides, found, asked) if asked or form in ("", "stat") else None
    found, judged = made if made else (found, None)
    result = Diff(sides.old.side, sides.new.side, tuple(found), judged, None, sides, form, drift, key, None, fail_on)
    return result if format is None else _rows(result, format, output)


def _drift(sides: Sides, found: list[Change], asked: bool) -> tuple[list[Change], PackageVerdict | None] | None:
    """Changes with their drift, and the verdict on it. Unasked only what is cheap."""
    from dpkg.diffing.review import CHEAP, is_near

    if not asked and not is_near(sides.old.odb, sides.new.odb):
        return None
    from dpkg.diffing import drifted
    from dpkg.profiles import Budget

    found = drifted.with_drift(sides.old.odb, sides.new.odb, found, sides.thresholds, Budget(None if asked else CHEAP))
    return found, drifted.verdict(found)


def _most(rows: str | None) -> int | None:
    """How many rows; None: all, or it was not asked."""
    if rows in (None, "all"):
        return None
    try:
        most = int(str(rows))
    except ValueError:
        most = -1
    if most < 0:
        raise Usage(f"'{rows}' is no number of rows", "give a number, or 'all'")
    return most


def _rows(result: Diff, format: str, output: str | None) -> Diff:
    """The diff of one table's rows, on its way to a file."""
    from dpkg.diffing import patch
    from dpkg.diffing.review import one_table

    if format not in patch.FORMATS:
        raise Usage(f"'{format}' is not a format", f"formats: {', '.join(patch.FORMATS)}")
    sides = result.sides
    assert sides is not None
    path, old, new = one_table(sides, result.changes)
    head, made = patch.make(sides.old.odb, old, sides.new.odb, new, result.key)
    chunks = patch.chunks(head, made, format)
    if output is None:
        return replace(result, chunks=chunks)
    write_whole(output, chunks)
    s = made.summary
    return replace(result, written=Written(output, format, path, s.removed, s.added, s.changed))


def render(result: Diff) -> Iterator[Shown]:
    from dpkg.diffing import shown
    from dpkg.diffing.shown_drift import judged

    if result.chunks is not None:
        refuse_terminal(result.form)
        yield from result.chunks
        return
    if w := result.written:
        counts = ", ".join(
            f"{n:,} {what}" for n, what in ((w.added, "added"), (w.removed, "removed"), (w.changed, "changed"))
        )
        yield f"wrote the rows of {w.path} that differ to {w.file}: {counts}"
        return
    if result.form == "names":
        yield from shown.names(result.changes)
        return
    yield from grid(
        [
            (sign, ("bold", str(s)), s.commit[:12] if s.commit else "not built")
            for sign, s in (("from", result.old), ("to", result.new))
        ],
        give="1",
    )
    yield ""
    if not result.changes:
        yield "no difference" + (": the tophashes are equal" if result.old.tophash == result.new.tophash else "")
    elif result.form == "stat":
        yield from shown.stat(result.changes)
    else:
        yield from shown.shown(result.changes, result.drift)
    if result.changes:
        yield from judged(result.verdict, result.changes)
