"""`dpk check-ref-format`: say whether a name can be one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpkg import names
from dpkg.command import STORE, Arg, Command, Opt
from dpkg.errors import Usage

if TYPE_CHECKING:
    from dpkg.command import Shown

_KINDS = ("package", "ref", "revision", "expr", "range")
COMMAND = Command(
    "check-ref-format",
    "Say by the exit code whether a text can be the name of a branch or tag, or of something else: 0 if so, 2 if not.",
    (
        Arg("text", "the text to check"),
        Opt("--kind", "what it is to be (default: ref)", str, "KIND", _KINDS),
        STORE,
    ),
    epilog="""KIND is package (owner/name), ref (a branch or tag), \
revision (latest, v1, 3fa9c1, v1~2), expr (owner/name[@revision][/path]) \
or range (owner/name@a..b[/path]). Nothing is looked up, and no store need be there; --json gives the parts.""",
    output="Nothing.",
    examples=(("Before a tag is made:", 'dpk check-ref-format "$name" && dpk tag acme/sales "$name"'),),
    see=("rev-parse", "tag"),
)  # fmt: skip


@dataclass(frozen=True)
class Parts:
    """A text that can be what it is to be, and its parts; None is what it has not. `start` and `revision` are the ends of a range."""

    text: str
    kind: str
    package: str | None = None
    revision: str | None = None
    start: str | None = None
    path: str | None = None


def check_ref_format(text: str, *, kind: str = "ref", store: str | None = None) -> Parts:
    """The parts of a text. Raises Usage where it cannot be what it is to be."""
    if kind not in _KINDS:
        raise Usage(f"'{kind}' is no kind of name", f"kinds: {', '.join(_KINDS)}")
    if kind == "package":
        return Parts(text, kind, package=names.valid_package(text))
    if kind == "ref":
        return Parts(text, kind, revision=names.valid_ref(text))
    if kind == "revision":
        return Parts(text, kind, revision=names.valid_revision(text))
    if kind == "expr":
        expr = names.parse_expr(text)
        return Parts(text, kind, expr.package, expr.revision, None, expr.path)
    span = names.parse_range(text)
    return Parts(text, kind, span.package, span.end, span.start, span.path)


def render(result: Parts) -> Iterator[Shown]:
    yield from ()
