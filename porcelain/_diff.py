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
        Opt("--html", "write a page with everything, and histograms", str, "FILE", completes="file"),
        Opt("--markdown", "as a comment for a pull request"),
        Opt("-o --output", "write what --format or --markdown gives to a file", str, "FILE", completes="file"),
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
    "Drift is measured by profiles, which builds leave: no row is read for it. Where there is none, and with stores far away, it is "
    "measured unasked only if at most 64 MB of rows have to be read; --drift, --html, --markdown, --fail-on moderate and major always do. "
    "A column's verdict is none, moderate or major by thresholds of PSI, Jensen-Shannon distance, Kolmogorov-Smirnov statistic, rates of "
    "nulls and others (spec/diff.md), which a 'drift' check in build.yml may set.\n"
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
        (
            "A page for a review, and stop if data drifted:",
            "dpk diff acme/shop@v1..v2 --html review.html --fail-on major",
        ),
        ("Print the paths that changed:", "dpk diff acme/shop --name-only"),
    ),
    see=("log", "review", "diff-tree", "apply-diff"),
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
class Wanted:
    """What was asked of a diff besides its sides."""

    form: str = ""  # stat, names, markdown, a format of rows; else all for people
    key: tuple[str, ...] = ()  # by which rows are paired, if not by the tables' own
    drift: bool = False
    fail_on: str | None = None
    html: str | None = None
    output: str | None = None

    @property
    def measures(self) -> bool:
        """Whether drift is measured whatever it costs."""
        return self.drift or self.form == "markdown" or self.html is not None or self.fail_on in ("moderate", "major")


@dataclass(frozen=True)
class Diff:
    """What differs between two sides; empty `changes` where they are equal."""

    old: Side
    new: Side
    changes: tuple[Change, ...]
    verdict: PackageVerdict | None = None  # on the drift of its tables
    written: Written | None = None
    reports: tuple[str, ...] = ()  # files
    sides: Sides | None = field(default=None, repr=False, compare=False)
    wanted: Wanted = field(default_factory=Wanted, repr=False)
    chunks: Iterator[bytes] | None = field(default=None, repr=False, compare=False)

    @property
    def tables(self) -> Tables:
        """The row diffs of the tables that changed, by path: `batches()` of each are all rows that differ."""
        from dpkg.diffing.review import Tables

        assert self.sides is not None
        return Tables(self.sides.old.odb, self.sides.new.odb, self.changes, self.wanted.key)

    @property
    def exit_code(self) -> int:
        from dpkg.diffing.review import reaches

        said, level = self.verdict.verdict if self.verdict else "none", self.wanted.fail_on
        return DIFFERS if level and reaches(self.changes, level, said) else 0


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
    html: str | None = None,
    markdown: bool = False,
    output: str | None = None,
    from_: str | None = None,
    to: str | None = None,
    fail_on: str | None = None,
    store: str | None = None,
) -> Diff:
    """Compare two sides: `A@v1..v2`, two expressions, an expression and files, or a package's last two commits.

    `rows`, a number or `"all"`, says how many rows of each table and lines of each text are in the result; None: what is cheap.
    With `format` all rows of one table that differ are written to `output`, or are the result's `chunks`; `html` is the file of a
    page, `output` with `markdown` that of a comment.
    Raises NotFound, Usage, and for files what `build` raises.
    """
    from dpkg.diffing.review import review
    from dpkg.diffing.sides import open_sides

    forms = {"stat": stat, "names": name_only, "markdown": markdown, format or "": format is not None}
    wanted = _wanted(forms, (key,) if isinstance(key, str) else tuple(key), drift, fail_on, html, output)
    most = _most(rows)
    sides = open_sides(Repository(store), a, b, paths, from_, to)
    found, verdict = sides.changes(), None
    if wanted.form in ("", "stat", "markdown") or html is not None:
        found = review(sides.old.odb, sides.new.odb, found, most, rows is not None, wanted.key)
    if wanted.measures or wanted.form in ("", "stat"):
        found, verdict = _drift(sides, found, wanted.measures)
    result = Diff(sides.old.side, sides.new.side, tuple(found), verdict, sides=sides, wanted=wanted)
    return _reported(result if format is None else _rows(result, format, output))


def _wanted(
    forms: dict[str, bool],
    key: tuple[str, ...],
    drift: bool,
    fail_on: str | None,
    html: str | None,
    output: str | None,
) -> Wanted:
    """Raises Usage for what does not go together, and what is not known."""
    from dpkg.diffing import APPLIED, FORMATS
    from dpkg.diffing.review import LEVELS

    form, *more = [name for name, given in forms.items() if given] or [""]
    if more:
        raise Usage("--stat, --name-only, --markdown and --format are forms of one thing", "give one of them")
    if form not in ("", "stat", "names", "markdown", *FORMATS):
        raise Usage(f"'{form}' is not a format", f"formats: {', '.join(FORMATS)}")
    if fail_on is not None and fail_on not in LEVELS:
        raise Usage(f"'{fail_on}' is nothing that a diff can fail on", f"one of: {', '.join(LEVELS)}")
    if output is not None and form in ("", "stat", "names"):
        raise Usage("--output is for --format and --markdown", f"give --format {', '.join(FORMATS)}; or --html FILE")
    if key and form in APPLIED:
        raise Usage(
            f"rows that --key pairs are no edit script, and {form} is for one", "give --format csv, json or daff"
        )
    return Wanted(form, key, drift, fail_on, html, output)


def _drift(sides: Sides, found: list[Change], asked: bool) -> tuple[list[Change], PackageVerdict | None]:
    """Changes with their drift, and the verdict on it. Unasked only what is cheap."""
    from dpkg.diffing.review import CHEAP, is_near

    if not asked and not is_near(sides.old.odb, sides.new.odb):
        return found, None
    from dpkg.diffing import drifted
    from dpkg.profiles import Budget

    found = drifted.with_drift(sides.old.odb, sides.new.odb, found, sides.thresholds, Budget(None if asked else CHEAP))
    return found, drifted.verdict(found)


def _reported(result: Diff) -> Diff:
    """With the files that were asked for."""
    wanted, told, files = result.wanted, (result.old, result.new, result.changes, result.verdict), []
    if wanted.html is not None:
        from dpkg.diffing.report import html

        write_whole(wanted.html, (text.encode() for text in html.page(*told)))
        files.append(wanted.html)
    if wanted.form == "markdown":
        from dpkg.diffing.report import markdown

        lines = (f"{line}\n".encode() for line in markdown.lines(*told))
        if wanted.output is None:
            return replace(result, chunks=lines, reports=tuple(files))
        write_whole(wanted.output, lines)
        files.append(wanted.output)
    return replace(result, reports=tuple(files))


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

    sides = result.sides
    assert sides is not None
    path, old, new = one_table(sides, result.changes)
    head, made = patch.make(sides.old.odb, old, sides.new.odb, new, result.wanted.key)
    chunks = patch.chunks(head, made, format)
    if output is None:
        return replace(result, chunks=chunks)
    write_whole(output, chunks)
    s = made.summary
    return replace(result, written=Written(output, format, path, s.removed, s.added, s.changed))


def render(result: Diff) -> Iterator[Shown]:
    from dpkg.diffing import shown

    form = result.wanted.form
    if result.chunks is not None:
        refuse_terminal(form)
        yield from result.chunks
        return
    if w := result.written:
        said = ", ".join(
            f"{n:,} {kind}" for n, kind in ((w.added, "added"), (w.removed, "removed"), (w.changed, "changed"))
        )
        yield f"wrote the rows of {w.path} that differ to {w.file}: {said}"
    elif form == "names":
        yield from shown.names(result.changes)
    elif form != "markdown":
        yield from _changes(result)
    for file in result.reports:
        yield f"wrote {file}"


def _changes(result: Diff) -> Iterator[Shown]:
    from dpkg.diffing import shown
    from dpkg.diffing.shown_drift import judged

    sides = (("from", result.old), ("to", result.new))
    rows = [(sign, ("bold", str(s)), s.commit[:12] if s.commit else "not built") for sign, s in sides]
    yield from grid(rows, give="1")
    yield ""
    if not result.changes:
        yield "no difference" + (": the tophashes are equal" if result.old.tophash == result.new.tophash else "")
        return
    if result.wanted.form == "stat":
        yield from shown.stat(result.changes)
    else:
        yield from shown.shown(result.changes, result.wanted.drift)
    yield from judged(result.verdict, result.changes)
