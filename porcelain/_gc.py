"""`dpk gc`: remove what no branch or tag reaches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpkg.command import STORE, Arg, Command, Opt, count, shorten
from dpkg.errors import Usage
from dpkg.repository import Repository

if TYPE_CHECKING:
    from dpkg.command import Shown

COMMAND = Command(
    "gc",
    "Remove what no branch or tag reaches. Packages can be pushed, built and read meanwhile.",
    (
        Arg(
            "packages",
            "owner/name: whose history is cut (default: all)",
            "PACKAGE",
            many=True,
            optional=True,
            completes="package",
        ),
        Opt("-n --dry-run", "only say what would go; nothing is written"),
        Opt("--keep-last", "cut each branch's history: keep its newest N commits", int, "N"),
        Opt("--keep-within", "cut it: keep commits of this age: 12h, 30d, 12w, 1y", str, "AGE"),
        Opt("--resume", "go on in the place of a gc that died; without this, after an hour"),
        STORE,
    ),
    details="Without --keep-last and --keep-within no history is cut: what goes is what was removed by 'dpk rm', replaced by force, or "
    "left by a run that was stopped. With both, a commit stays if either keeps it. "
    "The newest commit of a branch always stays, and a tag's own commit. "
    "Logs of refs tell who cut a history and when; 'dpk log' shows where it ends now. A gc that is stopped loses nothing.\n"
    "A gc that looks dead and is not (a machine that slept for an hour) must not be resumed: see 'gc' in spec/storage.md.",
    examples=(
        ("See what could go:", "dpk gc --dry-run"),
        ("Keep the last ten commits of each branch of a package:", "dpk gc acme/shop --keep-last 10"),
        ("Keep what is younger than twelve weeks, of all packages:", "dpk gc --keep-within 12w"),
    ),
    see=("rm", "verify", "count-objects", "log"),
    prose=True,
)


@dataclass(frozen=True)
class Kind:
    """Files of one kind that went, or would go: objects, fragments, packs, derived, temporary."""

    kind: str
    files: int
    bytes: int


@dataclass(frozen=True)
class Cut:
    """A package whose history was, or would be, cut: the commits that stay and go, and the bytes that only those that go hold."""

    package: str
    kept: int
    dropped: int
    bytes: int


@dataclass(frozen=True)
class Collected:
    """What a collection removed, or with --dry-run would remove. `resumed` says whose collection it ended first, and when that began."""

    store: str
    dry_run: bool
    files: int
    bytes: int
    kinds: tuple[Kind, ...]
    cuts: tuple[Cut, ...]
    resumed: str | None


def gc(
    packages: Sequence[str] = (),
    *,
    dry_run: bool = False,
    keep_last: int | None = None,
    keep_within: str | None = None,
    resume: bool = False,
    store: str | None = None,
) -> Collected:
    """Remove what no ref reaches.

    Raises Conflict while another collection runs, Corrupt where a package is not whole: nothing is removed then.
    """
    from dpkg.maintenance import retention
    from dpkg.maintenance.collecting import Collector

    if keep_last is not None and keep_last < 1:
        raise Usage(f"--keep-last {keep_last} keeps nothing", "a branch keeps its newest commit: give 1 or more")
    rule = retention.Rule(keep_last, None if keep_within is None else retention.age(keep_within))
    given = [packages] if isinstance(packages, str) else list(packages)
    cuts_any = rule != retention.Rule(None, None)
    if given and not cuts_any:
        raise Usage("packages are named, but not what to keep of them", "give --keep-last N or --keep-within AGE")
    repository = Repository(store)
    for package in given:
        repository.require(package)
    names = (given or list(repository.refs.packages())) if cuts_any else []
    if not dry_run:
        Collector(repository).check(resume=resume)
    cuts = [(retention.plan if dry_run else retention.cut)(repository, package, rule) for package in names]
    collector = Collector(repository, cuts)
    if dry_run:
        collector.look()
    else:
        collector.run(resume=resume)
    done = [Cut(c.package, c.kept, len(c.dropped), cost) for c, cost in zip(cuts, collector.costs, strict=True)]
    kinds = tuple(Kind(kind, *freed) for kind, freed in sorted(collector.freed.items()))
    who = str(collector.resumed) if collector.resumed else None
    files, size = sum(k.files for k in kinds), sum(k.bytes for k in kinds)
    return Collected(repository.url, dry_run, files, size, kinds, tuple(done), who)


def render(result: Collected) -> Iterator[Shown]:
    if result.resumed:
        yield f"ended the gc that was begun by {result.resumed}"
    for cut in result.cuts:
        said = "would lose" if result.dry_run else "lost"
        what = f"{count(cut.dropped, 'commit')} ({shorten(cut.bytes)})" if cut.dropped else "nothing"
        yield (("bold", cut.package), f" {said} {what}, and keeps {count(cut.kept, 'commit')}")
    for kind in result.kinds:
        yield f"  {kind.kind:<10} {count(kind.files, 'file'):>14}  {shorten(kind.bytes):>9}"
    if not result.files:
        yield f"nothing to remove in {result.store}"
        return
    what = f"{count(result.files, 'file')}, {shorten(result.bytes)}"
    yield (("green", "would remove " if result.dry_run else "removed "), f"{what} in {result.store}")
