"""`dpk for-each-ref`: print what is asked of each branch and tag."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from dpkg.command import STORE, Arg, Command, Opt, clean, when
from dpkg.errors import Usage, did_you_mean
from dpkg.listing import NULL, records
from dpkg.oid import Oid
from dpkg.refs.patterns import PATTERNS, each_ref
from dpkg.repository import Repository

if TYPE_CHECKING:
    from dpkg.command import Shown
    from dpkg.refs.patterns import Named

_DEFAULT = "%(objectname) %(refname)"
_NUMBERS = ("n", "time", "logtime")
_PLACE = re.compile(r"%(?:%|\(([^()]*)\)|([0-9a-fA-F]{2}))")


@dataclass(frozen=True)
class Ref:
    """A branch or tag, its commit, and the newest entry of its log. Times are seconds since 1970-01-01 UTC."""

    refname: str
    objectname: Oid
    package: str
    kind: str  # heads or tags
    name: str
    tophash: Oid
    author: str
    time: int
    subject: str
    n: int
    event: str
    who: str
    why: str
    logtime: int


def _member(name: str) -> Callable[[Ref], str]:
    return lambda ref: str(getattr(ref, name))


_FIELDS: dict[str, Callable[[Ref], str]] = {
    **{name: _member(name) for name in Ref.__dataclass_fields__},
    "refname:short": lambda ref: f"{ref.package}@{ref.name}",
    "objectname:short": lambda ref: ref.objectname.short,
    "tophash:short": lambda ref: ref.tophash.short,
    "time:iso": lambda ref: when(ref.time),
    "logtime:iso": lambda ref: when(ref.logtime),
}

COMMAND = Command(
    "for-each-ref",
    "Print a line for each branch and tag, of fields that are asked for.",
    (
        Arg("patterns", "the refs to print (default: all)", "PATTERN", many=True, optional=True, completes="package"),
        Opt("--format", f"the line (default: '{_DEFAULT}')", str, "FORMAT", view=True),
        Opt("--sort", "a field to sort by, from high to low with '-' before it; more may be given", str, "KEY", many=True),
        Opt("--count", "at most so many", int, "N"),
        NULL,
        STORE,
    ),
    epilog=f"""{PATTERNS}
FORMAT is text with %(FIELD), %% for %, and %XX for the byte of that hexadecimal number, as %09 for a tab.
Fields of a ref: refname, refname:short (package@name), package, kind (heads or tags), name. Of its commit: objectname, tophash, author, \
time, time:iso, subject; objectname:short, tophash:short. Of the newest entry of its log: n, event, who, why, logtime, logtime:iso.
Control characters in values are shown as escapes, but with -z they are printed as they are.""",
    output="A line for each ref, in the order of their names, or by --sort.",
    examples=(
        ("The tags of a package, the newest first:", "dpk for-each-ref --sort -time --format '%(name)' acme/sales/tags"),
    ),
    see=("show-ref", "ls-remote", "rev-list"),
)  # fmt: skip


def for_each_ref(
    patterns: Sequence[str] = (),
    *,
    sort: Sequence[str] = (),
    count: int | None = None,
    store: str | None = None,
) -> Iterator[Ref]:
    """The refs, sorted by their full names if nothing else is asked for. Raises Usage for a field that there is not."""
    keys = [sort] if isinstance(sort, str) else list(sort)
    for key in keys:
        _field(key.removeprefix("-"))
    if count is not None and count < 0:
        raise Usage(f"--count {count} is less than nothing", "give 0 or more")
    given = [patterns] if isinstance(patterns, str) else list(patterns)
    repository = Repository(store)
    found = (_ref(repository, named) for named in each_ref(repository.refs, given))
    if not keys:  # each_ref gives packages in order, and of each the branches, then the tags
        return islice(found, count)
    refs = sorted(found, key=lambda ref: ref.refname)
    for key in reversed(keys):
        name = key.removeprefix("-")
        refs.sort(key=lambda ref, name=name: _sortable(ref, name), reverse=key.startswith("-"))  # type: ignore[misc]
    return iter(refs[:count])


def _ref(repository: Repository, named: Named) -> Ref:
    commit, entry = repository.commit(named.oid), named.entry
    return Ref(
        named.refname,
        named.oid,
        named.package,
        named.kind,
        named.name,
        commit.tree,
        commit.author,
        commit.time,
        next(iter(commit.message.splitlines()), ""),
        entry.n,
        entry.event,
        entry.who,
        entry.why,
        entry.time,
    )


def _sortable(ref: Ref, name: str) -> tuple[int, str]:
    base = name.removesuffix(":iso")
    return (getattr(ref, base), "") if base in _NUMBERS else (0, _FIELDS[name](ref))


def _field(name: str) -> Callable[[Ref], str]:
    if name not in _FIELDS:
        raise Usage(f"'{name}' is not a field", did_you_mean(name, _FIELDS, f"fields: {', '.join(_FIELDS)}"))
    return _FIELDS[name]


def _parts(format: str) -> list[str | Callable[[Ref], str]]:
    """Texts and fields of a format. Raises Usage."""
    out: list[str | Callable[[Ref], str]] = []
    at, raw = 0, b""  # bytes of %XX: several may make one character
    while at < len(format):
        found = _PLACE.match(format, at)
        if format[at] == "%" and not found:
            raise Usage(f"'{format[at : at + 20]}' in the format means nothing", "%(FIELD), %XX or %%")
        name, code = found.groups() if found else (None, None)
        if code:
            raw += bytes([int(code, 16)])
        elif name is None:
            raw += b"%" if found else format[at].encode(errors="surrogateescape")
        else:
            out += [raw.decode(errors="surrogateescape"), _field(name)]
            raw = b""
        at = found.end() if found else at + 1
    return [*out, raw.decode(errors="surrogateescape")]


def render(result: Iterator[Ref], format: str = _DEFAULT, null: bool = False) -> Iterator[Shown]:
    parts = _parts(format)

    def line(ref: Ref) -> str:
        return "".join(p if isinstance(p, str) else p(ref) if null else clean(p(ref)) for p in parts)

    yield from records(map(line, result), null)
