"""`dpk rm`: remove a package or a tag."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dpkg.command import STORE, Arg, Command, Opt, count
from dpkg.errors import NotFound, Usage
from dpkg.names import parse_expr
from dpkg.repository import Repository

COMMAND = Command(
    "rm",
    "Remove a package's branches and tags, or with owner/name@TAG one tag. Objects stay, and the ref log says who removed it.",
    (Arg("expr", "owner/name, or owner/name@tag"), Opt("-m --message", "why", str, "TEXT"), STORE),
)


@dataclass(frozen=True)
class Removed:
    """What was removed, as `heads/main` or `tags/v1`, and the commits that these named."""

    package: str
    refs: tuple[str, ...]
    commits: tuple[str, ...]


def rm(expr: str, *, message: str = "", store: str | None = None) -> Removed:
    """Remove a package or a tag. Raises NotFound. `dpk update-ref` can bring a branch back."""
    parsed = parse_expr(expr)
    if parsed.path:
        raise Usage(f"'{expr}' names a part of a package", "a commit never changes: build the package again without it")
    repository = Repository(store)
    repository.require(parsed.package)
    refs = repository.refs
    wanted = [("tags", n) for n in refs.tags(parsed.package)]
    if parsed.revision is None:
        wanted += [("heads", n) for n in refs.heads(parsed.package)]
    else:
        wanted = [w for w in wanted if w[1] == parsed.revision]
        if not wanted:
            raise NotFound(f"'{parsed.package}' has no tag '{parsed.revision}'", f"see 'dpk ls', and 'dpk log {parsed.package}'")
    gone = []
    for kind, name in wanted:
        gone.append(refs.value(parsed.package, kind, name) or "")
        refs.delete(parsed.package, kind, name, who=repository.author(), why=message or "rm")
    return Removed(parsed.package, tuple(f"{k}/{n}" for k, n in wanted), tuple(gone))


def render(result: Removed) -> Iterator[Any]:
    for ref, commit in zip(result.refs, result.commits, strict=True):
        yield (("red", "removed "), ("bold", result.package), f" {ref}, which was {commit[:12]}")
    yield f"{count(len(result.refs), 'ref')} removed; the objects are still stored"
