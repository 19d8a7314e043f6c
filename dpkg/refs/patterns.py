"""Refs by their full names, `owner/name/heads/branch` and `owner/name/tags/tag`, and patterns of these."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from dpkg.refs import HEADS, TAGS

if TYPE_CHECKING:
    from dpkg.oid import Oid
    from dpkg.refs import RefEntry, Refs

PATTERNS = (
    "A pattern is a ref's full name or the beginning of one up to a '/', in which * ? [a-z] stand for what they do in a"
    " shell: acme, acme/sales, '*/*/tags', 'acme/*/heads/main'. * does not stand for '/'."
)


class Named(NamedTuple):
    """A live ref: its commit, and the newest entry of its log."""

    package: str
    kind: str  # heads or tags
    name: str
    oid: Oid
    entry: RefEntry

    @property
    def refname(self) -> str:
        """Its full name."""
        return f"{self.package}/{self.kind}/{self.name}"


def matches(refname: str, patterns: Sequence[str]) -> bool:
    """Whether a ref's full name, or a beginning of it, fits one of the patterns; with no patterns all do."""
    return not patterns or any(_fits(refname.split("/"), pattern.strip("/").split("/")) for pattern in patterns)


def _fits(parts: list[str], pattern: list[str]) -> bool:
    """Whether the first parts fit, one by one."""
    return len(pattern) <= len(parts) and all(map(fnmatchcase, parts, pattern))


def each_ref(refs: Refs, patterns: Sequence[str] = ()) -> Iterator[Named]:
    """Branches, then tags, of each package, packages and names in order."""
    for package in refs.packages():
        yield from refs_of(refs, package, patterns)


def refs_of(refs: Refs, package: str, patterns: Sequence[str] = ()) -> Iterator[Named]:
    """The branches and tags of a package. Nothing is read of a package that no pattern can fit."""
    owner_name = package.split("/")
    if patterns and not any(all(map(fnmatchcase, owner_name, p.strip("/").split("/"))) for p in patterns):
        return
    for kind, found in ((HEADS, refs.heads(package)), (TAGS, refs.tags(package))):
        for name, entry in found.items():
            if matches(f"{package}/{kind}/{name}", patterns):
                value = entry.oid or refs.value(package, kind, name)
                if value is not None:
                    yield Named(package, kind, name, value, entry)
