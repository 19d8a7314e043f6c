"""Write dpkg/cli/man/: a man page for each command, of what its COMMAND says, and dpk(1).

`python tests/cli/make_man.py` after a command says something else of itself. The date of a page is that of its last change.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from dpkg import __version__, errors
from dpkg.cli import commands, help
from dpkg.command import Command, Opt

OUT = Path(help.__file__).parent / "man"
_ESCAPES = {"\\": r"\e", "-": r"\-", "'": r"\(aq", "^": r"\(ha", "~": r"\(ti", "`": r"\(ga", "…": "..."}


def pages() -> dict[str, str]:
    """The pages by the names of their files, without a date."""
    return {"dpk.1": _page(_overview()), **{f"dpk-{name}.1": _page(_of_command(name)) for name in commands.names()}}


def _page(lines: Iterator[str]) -> str:
    return re.sub(r"^(\.S[HS] .*\n)\.PP\n", r"\1", "\n".join(lines) + "\n", flags=re.MULTILINE)


def undated(page: str) -> str:
    return re.sub(r'^(\.TH \S+ 1 ")[^"]*', r"\1", page)


def exit_codes() -> Iterator[tuple[int, str, str]]:
    """(code, family, what it means), as dpkg/errors.py draws them."""
    yield 0, "", "done"
    yield 1, "DpkgError", "a bug in dpkg"
    for family, code, said in re.findall(r"^[├└]── (\w+) \((\d+)\) +(.*)$", errors.__doc__ or "", re.MULTILINE):
        yield int(code), family, said
    yield 11, "", "'dpk diff --fail-on': there is such a difference"
    yield 130, "Interrupted", "Ctrl-C"
    yield 141, "", "nobody reads the output any more, as in 'dpk log … | head -1'"


def _of_command(name: str) -> Iterator[str]:
    command: Command = import_module(commands.module_of(name) or "").COMMAND
    summary = next(group[name] for group in commands.TABLE.values() if name in group)
    yield from _head(f"dpk-{name}", summary)
    words = [f"[{_it(arg.shown[1:-1])}]" if arg.optional else _it(arg.shown) for arg in command.args]
    words += [f"[{_spell(opt)}]" + ("..." if opt.many else "") for opt in command.opts]
    yield from _synopsis(f"dpk {name}", words)
    yield ".SH DESCRIPTION"
    yield from _paragraphs("\n".join(filter(None, (command.summary, command.details, command.epilog))))
    if command.args:
        yield ".SH ARGUMENTS"
        yield from _list((_it(arg.shown.strip("[]")), arg.help) for arg in command.args)
    yield ".SH OPTIONS"
    yield from _list((_spell(opt, True), opt.help) for opt in command.opts)
    yield from _list((_flags(flags), said) for flags, said in help.COMMON)
    yield ".SH OUTPUT"
    yield from _output(command)
    yield ".SH EXIT STATUS"
    yield from _list((str(code), said) for code, _, said in exit_codes())
    yield from _examples(command.examples)
    yield from _see(["dpk", *(f"dpk-{other}" for other in command.see)])


def _head(name: str, summary: str) -> Iterator[str]:
    yield f'.TH {text(name.upper())} 1 "" "dpk {__version__}" "dpk manual"'
    yield from (".nr HY 0", ".ad l", ".SH NAME")
    yield f"{text(name)} \\- {text(summary)}"


def _synopsis(command: str, words: list[str]) -> Iterator[str]:
    """The usage; no line ends within an option and its value."""
    yield ".SH SYNOPSIS"
    yield " ".join([f"\\fB{text(command)}\\fR", *(word.replace(" ", "\\ ") for word in words)])


def _output(command: Command) -> Iterator[str]:
    if command.name in commands.names(commands.PLUMBING):
        yield from _paragraphs(command.output)
        yield from _paragraphs("This is for scripts, and stays as it is.")
    else:
        yield from _paragraphs("What is printed is for people, and may change: scripts use --json.")
    if command.prose:
        yield from _paragraphs("With --quiet nothing is printed if all went well.")
    said = f"With --json: objects of the schema dpk.{command.name}/{command.json} (spec/json/{command.name}.json), a line each. "
    yield from _paragraphs(said + "Within a version only members are added.")


def _examples(examples: tuple[tuple[str, str], ...]) -> Iterator[str]:
    if examples:
        yield ".SH EXAMPLES"
    for said, command in examples:
        if said:
            yield ".PP"
            yield text(said[0].upper() + said[1:].rstrip(":") + ":")
        yield from (".RS 4", ".EX", text(command), ".EE", ".RE")


def _see(names: list[str]) -> Iterator[str]:
    yield ".SH SEE ALSO"
    yield from (f".BR {text(name)} (1){',' * (name != names[-1])}" for name in names)


def _overview() -> Iterator[str]:
    yield from _head("dpk", "a git for data packages")
    words = [_it("COMMAND"), f"[{_it('ARGUMENT')} ...]", f"[{_flags('--store STORE')}]", f"[{_flags('--json')}]"]
    yield from _synopsis("dpk", words)
    yield ".SH DESCRIPTION"
    yield from _paragraphs(
        "A data package is an immutable, versioned, content-addressed tree of tables and files. Its hash, the tophash, is the same "
        "on every machine, whatever format the data came in.\n"
        "A store holds objects and the branches and tags of packages. It is the one that --store names, else DPK_STORE, else the "
        "nearest .dpk/ upward, else one in the data folder of the user."
    )
    yield ".SH PACKAGES"
    yield from _paragraphs(
        "A package is written owner/name[@revision][/path]. A revision is 'latest', a tag, a branch, or the start of a commit or "
        "tophash, each with ~N for the Nth commit before it; owner/name@v1..v2 is a range.\n"
        "An argument is a path on disk only if it starts with '/', './', '../', '~' or a scheme."
    )
    yield ".SH COMMANDS"
    for group, known in commands.TABLE.items():
        yield f".SS {text(group)}"
        yield from _list((f"\\fBdpk\\-{text(name)}\\fR(1)", said) for name, said in known.items())
    yield ".SH OPTIONS"
    yield from _list((_flags(flags), said) for flags, said in (*help.COMMON, ("-V, --version", "print the version")))
    yield ".SH EXIT STATUS"
    yield from _list((str(code), said) for code, _, said in exit_codes())
    yield ".SH ENVIRONMENT"
    yield from _list((f"\\fB{name}\\fR", said) for name, said in ENVIRONMENT.items())
    yield ".SH FILES"
    yield from _list((_it(name), said) for name, said in FILES.items())
    yield from _examples(
        (
            (
                "A package of a folder, its history, and what its newest commit changed",
                'dpk build acme/shop src -m "January"',
            ),
            ("", "dpk log acme/shop"),
            ("", "dpk diff acme/shop"),
        )
    )
    yield from _see(["dpk-build", "dpk-show", "dpk-install", "dpk-config", "dpk-completion"])


ENVIRONMENT = {
    "DPK_STORE": "the store, where --store names none",
    "DPK_AUTHOR": "who makes commits and moves branches (default: the config, git's user, the login name)",
    "DPK_CONFIG": "the user's config file, instead of the one below",
    "DPK_TIMEOUT": "seconds to wait for an answer of a service (default: 60)",
    "NO_COLOR": "if it is not empty, nothing is coloured",
    "TERM": "if it is 'dumb', nothing is coloured",
}
FILES = {
    "~/.config/dpkg-data/config": "the user's settings (on Linux)",
    "~/.local/share/dpkg-data/store": "the store where there is no other (on Linux)",
    ".dpk/": "the store of a folder and those below it",
    ".dpk/config": "the settings of a store",
}


def text(said: str) -> str:
    """Text as it stands on a page: each character is the one that is typed, and no line is a request."""
    made = "".join(_ESCAPES.get(c, c if c.isascii() else f"\\[u{ord(c):04X}]") for c in said)
    return f"\\&{made}" if made.startswith(".") else made


def _paragraphs(said: str) -> Iterator[str]:
    for paragraph in filter(None, said.splitlines()):
        yield from (".PP", text(paragraph))


def _list(rows: Iterator[tuple[str, str]]) -> Iterator[str]:
    for label, said in rows:
        yield from (".TP", label, text(said))


def _it(word: str) -> str:
    """A word that stands for another."""
    return f"\\fI{text(word)}\\fR"


def _flags(flags: str) -> str:
    """`-n, --name VALUE`: flags are typed as they are, a value is not."""
    return re.sub(r"[^ ,]+", lambda m: f"\\fB{text(m[0])}\\fR" if m[0].startswith("-") else _it(m[0]), flags)


def _spell(opt: Opt, all_flags: bool = False) -> str:
    flags = opt.flags.split()
    value = f" {'|'.join(opt.choices) or opt.metavar}" if opt.type else ""
    return _flags((", ".join(flags) if all_flags else flags[0]) + value)


def main() -> None:
    OUT.mkdir(exist_ok=True)
    made = pages()
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    for name, page in made.items():
        path = OUT / name
        if not path.exists() or undated(path.read_text("utf-8")) != page:
            path.write_text(re.sub(r'^(\.TH \S+ 1 ")', rf"\g<1>{today}", page), "utf-8")
    for path in OUT.glob("*.1"):
        if path.name not in made:
            path.unlink()


if __name__ == "__main__":
    main()
