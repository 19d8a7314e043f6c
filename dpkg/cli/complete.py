"""What a shell offers on TAB: `dpk __complete SHELL …`, which the scripts of `dpk completion` call (dpkg/cli/shells.py).

It reads the local store only, never one that is far away, and no data. Whatever goes wrong, nothing is offered.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from dpkg import settings
from dpkg.cli import commands
from dpkg.cli.parse import COMMON, PROGRESS
from dpkg.command import STORE, Arg, Command, Opt
from dpkg.errors import Usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dpkg.parts import InPart
    from dpkg.repository import Repository


class Found(NamedTuple):
    """Something that may stand where the cursor is: the whole word, and what it is."""

    value: str
    said: str = ""


FILES, FOLDERS = Found(":file"), Found(":dir")  # the shell knows them better
_COMMAND = Arg("command", "", completes="command")
_NONE, _HELP = Command("", "", (_COMMAND, STORE)), Command("help", "", (_COMMAND,))
_HELP_SAID = "show the help of a command"


def main(args: list[str]) -> int:
    """Print what there is, a line each; returns 0."""
    import sys
    from contextlib import suppress

    from dpkg.cli import shells

    with suppress(Exception):  # a prompt is no place for an error
        sys.stdout.write("".join(line + "\n" for line in shells.answer(args)))
    return 0


class _Before(NamedTuple):
    """The words before the cursor's, as a command line."""

    words: list[str]
    options: dict[str, str]
    open: Opt | None  # an option whose value is next
    ended: bool  # by --: no options follow


def candidates(words: list[str]) -> Iterator[Found]:
    """What the last of the words after `dpk` may become."""
    *before, word = words
    command, before = _command(before)
    line = _read(command, before)
    if line.open:
        yield from _values(line.open, word, line)
    elif word.startswith("-") and not line.ended:
        yield from _options(command, word, line)
    else:
        at = min(len(line.words), len(command.args) - 1)
        if command.args and (len(line.words) == at or command.args[at].many):
            yield from _values(command.args[at], word, line)


def _command(before: list[str]) -> tuple[Command, list[str]]:
    """The command, if one is there, and the other words."""
    at = 0
    while at < len(before) and before[at].startswith("-"):
        at += 2 if before[at] in (*STORE.flags.split(), *PROGRESS.flags.split()) else 1
    if at >= len(before):
        return _NONE, before
    rest = before[:at] + before[at + 1 :]
    if before[at] == "help":
        return _HELP, rest
    module = commands.module_of(before[at])
    if module is None:
        raise Usage(f"'{before[at]}' is not a dpk command")
    command: Command = __import__(module, fromlist=["COMMAND"]).COMMAND
    return command, rest


def _flags(command: Command) -> dict[str, Opt]:
    return {flag: opt for opt in (*command.opts, PROGRESS) for flag in opt.flags.split()}


def _read(command: Command, before: list[str]) -> _Before:
    known, todo = _flags(command), deque(before)
    words: list[str] = []
    options: dict[str, str] = {}
    while todo:
        arg = todo.popleft()
        if arg == "--":
            return _Before([*words, *todo], options, None, True)
        if arg == "-" or not arg.startswith("-"):
            words.append(arg)
            continue
        flag, attached, value = arg.partition("=") if arg.startswith("--") else (arg[:2], arg[2:], arg[2:])
        opt = known.get(flag)
        if opt and opt.type:
            if not attached and not todo:
                return _Before(words, options, opt, False)
            options[opt.dest] = value if attached else todo.popleft()
    return _Before(words, options, None, False)


def _options(command: Command, word: str, line: _Before) -> Iterator[Found]:
    """Flags, or the values of `--flag=`."""
    flag, equals, value = word.partition("=")
    if equals:
        opt = _flags(command).get(flag)
        for found in _values(opt, value, line) if opt and opt.type else ():
            yield found if found in (FILES, FOLDERS) else Found(f"{flag}={found.value}", found.said)
        return
    said = {flag: opt.help for flag, opt in _flags(command).items()} | dict.fromkeys(COMMON, "")
    if command is _NONE:
        said["--version"] = ""
    yield from (Found(flag, text) for flag, text in said.items() if flag.startswith(word))


def _values(param: Arg | Opt, word: str, line: _Before) -> Iterator[Found]:
    """What a parameter may be."""
    if param.choices:
        yield from (Found(choice) for choice in param.choices if choice.startswith(word))
    elif param.completes == "file":
        yield FILES
    elif param.completes == "dir":
        yield FOLDERS
    elif param.completes == "command":
        known = {"help": _HELP_SAID} | {name: said for group in commands.TABLE.values() for name, said in group.items()}
        yield from (Found(name, said) for name, said in known.items() if name.startswith(word))
    elif param.completes in ("remote", "remote-name", "key"):
        yield from _settings(param.completes, word, _store(line))
    elif param.completes:
        if param.completes == "pack":
            yield FILES
        yield from _stored(param.completes, word, line)


def _store(line: _Before) -> str:
    return settings.find_store(line.options.get("store"))


def _settings(kind: str, word: str, store: str) -> Iterator[Found]:
    """Names of remotes, with folders; or keys of settings."""
    known = {key: setting.value for key, setting in settings.effective(store).items()}
    if kind == "key":
        known = dict.fromkeys(settings.KEYS, "") | known
    else:
        known = {key.removeprefix("remote."): url for key, url in known.items() if key.startswith("remote.")}
    yield from (Found(name, said) for name, said in known.items() if name.startswith(word))
    if kind == "remote":
        yield FOLDERS


def _stored(kind: str, word: str, line: _Before) -> Iterator[Found]:
    """What is in the store."""
    place = _store(line)
    if kind == "theirs":  # of the remote that is named, or is the only one; its argument may come later
        named = line.words[1] if len(line.words) > 1 else None
        place, kind = settings.remote(named, settings.load(place)), "expr"
    if "://" in place:
        return  # no TAB waits for a network
    from dpkg.repository import Repository

    repository = Repository(place)
    if kind == "pack":
        from dpkg.odb.packfile import all_ids

        yield from (Found(pack_id) for pack_id in all_ids(repository.odb.frames.packs) if pack_id.startswith(word))
        return
    if kind in ("revision", "branch"):
        package = line.words[0].partition("@")[0]
        yield from (f for f in _revisions(repository, package, kind == "branch") if f.value.startswith(word))
        return
    owner, _, rest = word.partition("/")
    head, slash, path = rest.partition("/")
    name, at, revision = head.partition("@")
    if slash:
        yield from _entries(repository, word, f"{owner}/{name}", revision, path) if kind == "expr" else ()
    elif at:
        start, dots, end = revision.rpartition("..")
        known = [f for f in _revisions(repository, f"{owner}/{name}") if f.value.startswith(end)]
        made = [Found(f"{owner}/{name}@{start}{dots}{f.value}", f.said) for f in known] if kind != "package" else []
        yield from _more(made, "/" if kind == "expr" and not dots else "")
    else:
        found = [Found(package) for package in repository.refs.packages() if package.startswith(word)]
        yield from _more(found, {"package": "", "commit": "@", "expr": "@/"}[kind])


def _more(found: list[Found], ends: str) -> Iterator[Found]:
    """What was found, and where it is one thing only how it may go on."""
    yield from found
    if len(found) == 1:
        yield from (Found(found[0].value + end, "…") for end in ends)


def _revisions(repository: Repository, package: str, branches: bool = False) -> Iterator[Found]:
    heads = repository.refs.heads(package)
    if branches:
        yield from (Found(name, "branch") for name in heads)
        return
    yield Found("latest", "the newest commit of main")
    yield from (Found(name, "tag") for name in repository.refs.tags(package))
    yield from (Found(name, "branch") for name in heads)


def _entries(repository: Repository, word: str, package: str, revision: str, path: str) -> Iterator[Found]:
    """The names of a tree that begin as the last part of a path does; they are together, in bytewise order."""
    from dpkg.index import tree_entries
    from dpkg.names import Expr
    from dpkg.parts import InPart

    folder, _, base = path.rpartition("/")
    try:
        _, _, commit, found = repository.entry(Expr(package, revision or None, folder or None))
    except InPart as e:
        yield from _ways(e, word, folder, base)
        return
    tree = found.oid if found else commit.tree
    for entry in tree_entries(repository.odb, tree):
        if entry.name.startswith(base):
            value = word[: len(word) - len(base)] + entry.name
            yield Found(value + "/" * (entry.type == "tree"), entry.type)
        elif entry.name.encode(errors="surrogatepass") > base.encode(errors="surrogatepass"):
            return


def _ways(found: InPart, word: str, folder: str, base: str) -> Iterator[Found]:
    """The names in a folder that lead to parts, where only these are here."""
    rest = sorted({part.path[len(folder) + 1 if folder else 0 :] for part in found.parts})
    names = dict.fromkeys(name + slash for name, slash, _ in (path.partition("/") for path in rest))
    yield from (Found(word[: len(word) - len(base)] + name, "installed") for name in names if name.startswith(base))
