"""Names of packages and refs, and package expressions: owner/name[@revision][/path] (spec/terms.md)."""

from __future__ import annotations

from dataclasses import dataclass

from dpkg.errors import Usage

MAX_NAME = 100  # bytes
MAIN = "main"  # the branch of every package
LATEST = "latest"  # no ref has this name: it is the tip of main

_LOWER = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_PACKAGE = _LOWER | frozenset("._-")
_FIRST = _LOWER | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_REF = _FIRST | frozenset("._-")
_PACKAGE_HINT = "owner/name, each of a-z 0-9 . _ - beginning with a letter or digit, at most 100 bytes: acme/sales"
_NAME_HINT = "letters, digits, . _ - beginning with a letter or digit, at most 100 bytes"
_REF_HINT = f"{_NAME_HINT}, without '..'"
_REVISION_HINT = "'latest', a branch or tag, or the start of a commit or tophash; with ~N the Nth commit before it"


@dataclass(frozen=True, slots=True)
class Expr:
    """A package expression. What is not given is None."""

    package: str
    revision: str | None = None
    path: str | None = None

    def __str__(self) -> str:
        return _spell(self.package, self.revision, self.path)


@dataclass(frozen=True, slots=True)
class Range:
    """owner/name@a..b[/path]: from revision `start` to revision `end`."""

    package: str
    start: str
    end: str
    path: str | None = None

    def __str__(self) -> str:
        return _spell(self.package, f"{self.start}..{self.end}", self.path)


def valid_package(text: str) -> str:
    """`text`, if it is owner/name. Raises Usage."""
    parts = text.split("/")
    if len(parts) != 2 or not all(_is_name(part, _LOWER, _PACKAGE) for part in parts):
        raise Usage(f"'{text[:200]}' is not the name of a package", _PACKAGE_HINT)
    return text


def valid_ref(text: str) -> str:
    """`text`, if a branch or tag may have this name. Raises Usage."""
    if text == LATEST:
        raise Usage("no branch or tag can be named 'latest'", "it always means the newest commit of main")
    if not _is_name(text, _FIRST, _REF) or ".." in text:  # a..b is a range
        raise Usage(f"'{text[:200]}' is not the name of a branch or tag", _REF_HINT)
    return text


def valid_remote(text: str) -> str:
    """`text`, if a remote may have this name. Raises Usage."""
    if not _is_name(text, _FIRST, _REF):
        raise Usage(f"'{text[:200]}' is not the name of a remote", _NAME_HINT)
    return text


def valid_revision(text: str) -> str:
    """`text`, if a revision may be written so. Raises Usage."""
    return _valid_revision(text, text)


def is_path(argument: str) -> bool:
    """Whether an argument means a path or URL of this machine's, and not a package."""
    return argument.startswith(("/", "./", "../", "~")) or argument in (".", "..") or "://" in argument


def parse_expr(text: str) -> Expr:
    """The parts of owner/name[@revision][/path]. Raises Usage; a range too."""
    package, revision, path = _split(text)
    if revision is not None:
        if ".." in revision:
            raise Usage(f"'{text[:200]}' is a range, and one revision is wanted", "write owner/name@revision")
        _valid_revision(revision, text)
    return Expr(package, revision, path)


def parse_range(text: str) -> Range:
    """The parts of owner/name@a..b[/path]. Raises Usage."""
    package, revision, path = _split(text)
    start, dots, end = (revision or "").partition("..")
    if not dots:
        raise Usage(f"'{text[:200]}' is not a range", "write owner/name@a..b, two revisions")
    return Range(package, _valid_revision(start, text), _valid_revision(end, text), path)


def is_range(text: str) -> bool:
    """Whether `text` is meant as a range: two dots where its revision is."""
    parts = text.split("/", 2)
    return len(parts) > 1 and ".." in parts[1].partition("@")[2]


def _split(text: str) -> tuple[str, str | None, str | None]:
    if is_path(text):
        raise Usage(f"'{text[:200]}' is a path, and a package is wanted", "write owner/name, as in acme/sales")
    owner, slash, rest = text.partition("/")
    head, inner, path = rest.partition("/")
    name, at, revision = head.partition("@")
    if "@" in owner or not slash:
        raise Usage(f"'{text[:200]}' is not a package", "write owner/name[@revision][/path]: acme/sales@v1/orders")
    package = valid_package(f"{owner}/{name}")
    if inner and not all(part not in ("", ".", "..") and "\0" not in part for part in path.split("/")):
        raise Usage(f"'{text[:200]}' has a path with an empty part, '.' or '..'", "write owner/name[@revision]/a/b")
    return package, revision if at else None, path if inner else None


def _valid_revision(revision: str, text: str) -> str:
    base, *steps = revision.split("~")
    if ((base or not steps) and not _is_name(base, _FIRST, _REF)) or ".." in base:
        raise Usage(f"'{revision[:200]}' in '{text[:200]}' is not a revision", _REVISION_HINT)
    if not all(step == "" or (step.isascii() and step.isdigit() and len(step) <= 9) for step in steps):
        raise Usage(f"'{revision[:200]}' in '{text[:200]}' is not a revision", _REVISION_HINT)
    return revision


def _is_name(text: str, first: frozenset[str], rest: frozenset[str]) -> bool:
    return 0 < len(text) <= MAX_NAME and text[0] in first and rest.issuperset(text)


def _spell(package: str, revision: str | None, path: str | None) -> str:
    return package + (f"@{revision}" if revision is not None else "") + (f"/{path}" if path is not None else "")
