"""A model of writers and collectors on one store, in plain Python: who does what, one backend operation at a time (spec/storage.md, gc).

A process is a generator that yields operations and is sent their answers; what it knows is the answers it got. So a state of
the whole is the store and those answers, and every interleaving of the processes can be tried, each state once.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Op = tuple[Any, ...]
Process = Callable[[], Generator[Op, Any, None]]
Keys = frozenset[str]
NONE: Keys = frozenset()
AGAIN: Op = ("again",)  # forget all that was read, and start again


class Store(NamedTuple):
    """Physical keys, the log of each ref, the gc log; entries are tuples that begin with their event."""

    keys: Keys
    refs: tuple[tuple[str, tuple[Op, ...]], ...]
    gc: tuple[Op, ...] = ()

    def log(self, ref: str) -> tuple[Op, ...]:
        return dict(self.refs).get(ref, ())

    def value(self, ref: str) -> Keys | None:
        """The commit that a ref names: here simply the keys that it needs."""
        for entry in reversed(self.log(ref)):
            if entry[0] in ("commit", "deleted"):
                return entry[1] if entry[0] == "commit" else None
        return None


def state_of(gc: tuple[Op, ...]) -> str:
    """`condemned`, `delete` or `closed`: what is under way."""
    return next((e[0] for e in reversed(gc) if e[0] != "rescue"), "closed")


def condemned_by(gc: tuple[Op, ...]) -> Keys:
    """The keys that an open epoch condemns."""
    last = next((e for e in reversed(gc) if e[0] in ("condemned", "closed")), ("closed",))
    return last[1] if last[0] == "condemned" else NONE


def apply(store: Store, op: Op) -> tuple[Store, Any] | None:
    """The store after one operation, and its answer; None while it has to wait."""
    name, *args = op
    if name == "tail":
        return store, (len(store.log(args[0])), store.value(args[0]))
    if name == "append":
        ref, n, entry = args
        if len(store.log(ref)) != n:
            return store, False
        refs = dict(store.refs) | {ref: (*store.log(ref), entry)}
        return store._replace(refs=tuple(sorted(refs.items()))), True
    if name == "gc":
        return store, store.gc
    if name == "gc when not deleting":
        return None if state_of(store.gc) == "delete" else (store, store.gc)
    if name == "gc append":
        n, entry = args
        if n is not None and len(store.gc) != n:
            return store, False
        return store._replace(gc=(*store.gc, entry)), True
    if name == "has":
        return store, args[0] in store.keys
    if name == "put":
        return store._replace(keys=store.keys | {args[0]}), None
    if name == "delete":
        return store._replace(keys=store.keys - {args[0]}), None
    assert name == "list"
    return store, store.keys


# The rules, each of which may be left out to see that it is needed


@dataclass(frozen=True)
class Rules:
    """What processes do. Each name is a rule of the spec that a mutant breaks."""

    broken: str = ""

    def __contains__(self, rule: str) -> bool:
        return rule != self.broken


ALL = Rules()
RULES = (
    "birth first",  # a new ref's log is begun before the gc log is read
    "tail first",  # the ref's tail is read before the gc log
    "append after that tail",  # and the entry is created right after it, not wherever the log ends
    "wait while deleting",
    "note what is there",  # condemned keys that a writer counts on
    "note what is written",  # and those that it writes: the key is the same as the dead one's
    "rescue",
    "heed the delete list",  # what was decided is forgotten where it came first
    "notes of other refs",  # a tagger notes all of the commit that another ref names
    "others after gc",  # and reads that ref after the gc log
    "barrier",
    "mark again",
    "mark after barrier",
    "delete after that entry",  # the compare-and-set of `delete`
    "leave out rescued",
    "barrier on resuming",
)


class Notes:
    """What a writer knows of the gc log, and the condemned keys that it uses."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.condemned, self.noted, self.at = NONE, NONE, 0

    def begin(self) -> Generator[Op, Any, None]:
        gc = yield ("gc when not deleting",) if "wait while deleting" in self.rules else ("gc",)
        self.condemned, self.noted, self.at = condemned_by(gc), NONE, len(gc)

    def note(self, key: str, rule: str) -> None:
        if key in self.condemned and rule in self.rules:
            self.noted |= {key}

    def settle(self) -> Generator[Op, Any, bool]:
        """Rescue what was noted; whether the ref may move."""
        if not self.noted or "rescue" not in self.rules:
            return True
        while True:
            gc = yield ("gc",)
            doomed = next((e[1] for e in gc[self.at :] if e[0] == "delete"), None)
            if doomed is not None:
                return "heed the delete list" not in self.rules or not doomed & self.noted
            if (yield ("gc append", len(gc), ("rescue", self.noted))):
                return True


def start(ref: str) -> Generator[Op, Any, tuple[int, Keys | None]]:
    """The tail of a ref's log, which is begun."""
    while True:
        n, value = yield ("tail", ref)
        if n:
            return n, value
        yield ("append", ref, 0, ("birth",))


def pusher(ref: str, commit: str, rules: Rules = ALL) -> Process:
    """Publishes a commit that needs the keys in `commit`, on top of what the ref names."""
    wanted = frozenset(commit)

    def run() -> Generator[Op, Any, None]:
        notes = Notes(rules)
        if "tail first" not in rules:
            yield from notes.begin()
        if "birth first" in rules:
            n, old = yield from start(ref)
        else:
            n, old = yield ("tail", ref)
        if "tail first" in rules:
            yield from notes.begin()
        if old == wanted:
            return
        for key in sorted(wanted - (old or NONE)):
            if (yield ("has", key)):
                notes.note(key, "note what is there")
            else:
                yield ("put", key)
                notes.note(key, "note what is written")
        if not (yield from notes.settle()):
            yield AGAIN
        if n == 0:
            if not (yield ("append", ref, 0, ("birth",))):
                yield AGAIN
            n = 1
        if "append after that tail" not in rules:
            n, _ = yield ("tail", ref)
        if not (yield ("append", ref, n, ("commit", wanted | (old or NONE)))):
            yield AGAIN

    return run


def writer_over(ref: str, commit: str, rules: Rules = ALL) -> Process:
    """As a pusher, but it stores each object whether it is there or not, as a repair does."""
    wanted = frozenset(commit)

    def run() -> Generator[Op, Any, None]:
        notes = Notes(rules)
        n, _ = yield from start(ref)
        yield from notes.begin()
        for key in sorted(wanted):
            yield ("put", key)
            notes.note(key, "note what is written")
        if not (yield from notes.settle()):
            yield AGAIN
        if not (yield ("append", ref, n, ("commit", wanted))):
            yield AGAIN

    return run


def tagger(tag: str, ref: str, rules: Rules = ALL) -> Process:
    """Gives a tag the commit that another ref names; that may be removed meanwhile."""

    def run() -> Generator[Op, Any, None]:
        notes = Notes(rules)
        commit = None
        if "others after gc" not in rules:
            _, commit = yield ("tail", ref)
        n, old = yield from start(tag)
        yield from notes.begin()
        if "others after gc" in rules:
            _, commit = yield ("tail", ref)
        if commit is None or old is not None:
            return
        for key in sorted(commit) if notes.condemned and "notes of other refs" in rules else ():
            if not (yield ("has", key)):
                return  # refused: the commit is not whole
            notes.note(key, "note what is there")
        if not (yield from notes.settle()):
            yield AGAIN
        if not (yield ("append", tag, n, ("commit", commit))):
            yield AGAIN

    return run


def mover(ref: str, n: int, commit: str) -> Process:
    """A pusher that has seen the tail n - 1, no epoch, and all that it needs before the story begins."""

    def run() -> Generator[Op, Any, None]:
        yield ("append", ref, n, ("commit", frozenset(commit)))

    return run


def remover(ref: str) -> Process:
    def run() -> Generator[Op, Any, None]:
        n, old = yield ("tail", ref)
        if old is not None and not (yield ("append", ref, n, ("deleted",))):
            yield AGAIN

    return run


def mark(refs: tuple[str, ...]) -> Generator[Op, Any, Keys]:
    """The keys that refs reach, looked at one after another."""
    live = NONE
    for ref in refs:
        _, value = yield ("tail", ref)
        live |= value or NONE
    return live


def barriers(refs: tuple[str, ...]) -> Generator[Op, Any, None]:
    for ref in refs:
        while True:
            n, _ = yield ("tail", ref)
            if not n or (yield ("append", ref, n, ("barrier",))):
                break


def collector(refs: tuple[str, ...], rules: Rules = ALL) -> Process:
    """Collects once; one that died is resumed by starting it again."""

    def run() -> Generator[Op, Any, None]:
        gc = yield ("gc",)
        resumed = state_of(gc) != "closed"
        if not resumed:
            keys = yield ("list",)
            live = yield from mark(refs)
            if not keys - live:
                return
            if not (yield ("gc append", len(gc), ("condemned", keys - live))):
                yield AGAIN
            gc = yield ("gc",)
        if state_of(gc) == "condemned":
            yield from decide(gc, resumed)
            gc = yield ("gc",)
        if state_of(gc) == "delete":
            doomed = next(e[1] for e in reversed(gc) if e[0] == "delete")
            for key in sorted(doomed):
                yield ("delete", key)
            yield ("gc append", len(gc), ("closed",))

    def decide(gc: tuple[Op, ...], resumed: bool) -> Generator[Op, Any, None]:
        first = "mark after barrier" not in rules
        live = (yield from mark(refs)) if first else NONE
        if "barrier" in rules and ("barrier on resuming" in rules or not resumed):
            yield from barriers(refs)
        if "mark again" in rules and not first:
            live = yield from mark(refs)
        while state_of(gc) == "condemned":
            opened = max(i for i, e in enumerate(gc) if e[0] == "condemned")
            rescued = NONE.union(*(e[1] for e in gc[opened + 1 :]))
            doomed = gc[opened][1] - live - (rescued if "leave out rescued" in rules else NONE)
            n = len(gc) if "delete after that entry" in rules else None
            yield ("gc append", n, ("delete", doomed))
            gc = yield ("gc",)

    return run


# Every interleaving


@dataclass
class Explored:
    """What came out: how many states there are, and the stores at the end of each run."""

    states: int = 0
    ends: set[Store] = field(default_factory=set)


class Broken(Exception):
    """Something that must never be, and what was done up to it."""


class _State(NamedTuple):
    store: Store
    known: tuple[tuple[Any, ...], ...]  # of each process the answers it got
    crashes: int  # that may still be


_Moves = Iterator[tuple[str, _State]]
_ENDED = ("ended",)


class Explorer:
    """Tries every interleaving; process `mortal` may die `crashes` times at any operation, and is started again.

    Those that stop for good are covered: what others do does not depend on them, but for a collector.
    """

    def __init__(self, processes: tuple[Process, ...], mortal: int = -1) -> None:
        self._processes, self._mortal = processes, mortal
        self._ops: dict[tuple[int, tuple[Any, ...]], Op | None] = {}

    def run(self, store: Store, crashes: int = 0) -> Explored:
        """Raises Broken where a ref names a commit that lacks a key, where nothing can go on, or where it goes on for ever."""
        explored = Explored()
        first = _State(store, ((),) * len(self._processes), crashes)
        path: list[tuple[str, _State, _Moves]] = [("", first, self._moves(first))]
        on_path, done = {first}, set()
        while path:
            step, state = next(path[-1][2], ("", None))
            if state is None:
                state = path.pop()[1]
                on_path.remove(state)
                done.add(state)
                if all(known == _ENDED for known in state.known):
                    explored.ends.add(state.store)
            elif state not in done:
                wrong = "for ever" if state in on_path else self._wrong(state)
                if wrong:
                    raise Broken(f"{wrong}: " + "; ".join([*(said for said, _, _ in path[1:]), step]))
                path.append((step, state, self._moves(state)))
                on_path.add(state)
        explored.states = len(done)
        return explored

    def _wrong(self, state: _State) -> str:
        for ref, _ in state.store.refs:
            if not (state.store.value(ref) or NONE) <= state.store.keys:
                return f"{ref} lacks something"
        ended = all(known == _ENDED for known in state.known)
        return "" if ended or next(self._moves(state), None) else "all wait for ever"

    def _moves(self, state: _State) -> _Moves:
        for i, known in enumerate(state.known):
            if known == _ENDED:
                continue
            if i == self._mortal and state.crashes and known:
                yield f"{i} dies", state._replace(known=_with(state.known, i, ()), crashes=state.crashes - 1)
            op = self._op(i, known)
            assert op is not None
            done = (state.store, None) if op == AGAIN else apply(state.store, op)
            if done is not None:
                after: tuple[Any, ...] = () if op == AGAIN else (*known, done[1])
                after = _ENDED if self._op(i, after) is None else after
                yield f"{i} {_said(op)}", state._replace(store=done[0], known=_with(state.known, i, after))

    def _op(self, i: int, known: tuple[Any, ...]) -> Op | None:
        """What a process that knows these answers does next, or None if it has ended."""
        if (i, known) not in self._ops:
            running, op = self._processes[i](), None
            with suppress(StopIteration):
                op = next(running)
                for answer in known:
                    op = None
                    op = running.send(answer)
            self._ops[i, known] = op
        return self._ops[i, known]


def _with(known: tuple[tuple[Any, ...], ...], i: int, new: tuple[Any, ...]) -> tuple[tuple[Any, ...], ...]:
    return (*known[:i], new, *known[i + 1 :])


def _said(op: Op) -> str:
    return " ".join("".join(sorted(x)) if isinstance(x, frozenset) else str(x) for x in op)
