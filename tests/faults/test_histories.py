"""Random histories of several stores, with crashes: each published commit is whole and holds what was built; logs are chains."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3
from faulty import KINDS, Fault, Killed, under
from hypothesis import HealthCheck, assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from walker import Contents, Walker

import dpkg
from dpkg.errors import AlreadyExists, Conflict, DpkgError, NotFound
from dpkg.objects.commit import Commit
from dpkg.oid import Oid
from dpkg.store import _memory, open_backend

Refs = dict[str, Oid]
Allowed = Callable[[Oid | None], bool]

PACKAGES = st.sampled_from(["acme/x", "acme/x", "acme/x", "acme/y"])
FAULTS = st.none() | st.tuples(st.sampled_from(KINDS), st.integers(1, 70))  # of a command, at its n-th operation
RARELY = st.sampled_from([False, False, False, True])
PLACES = st.sampled_from([0, 1])  # whose store: there are two, and a shared one
LETTERS = st.sampled_from("abc")


class Histories(RuleBasedStateMachine):
    """Two people with a store each, and a store that they share."""

    folders = False  # whether the two stores are folders

    @initialize()
    def begin(self) -> None:
        self.root = Path(tempfile.mkdtemp())
        self.files: list[dict[str, str]] = [{"a.bin": "\0"}, {"a.bin": "\0"}]  # the folder that each builds from
        mine = [str(self.root / f"s{i}") if self.folders else f"memory://{self.root}/s{i}" for i in (0, 1)]
        self.hub = f"memory://{self.root}/hub"
        self.stores = [*mine, self.hub]
        self.contents: dict[Oid, Contents] = {}  # of every commit that was ever published
        self.parents: dict[Oid, tuple[Oid, ...]] = {}
        self.seen: dict[bytes, tuple[Refs, dict[Oid, Contents]]] = {}
        self.refs: dict[str, Refs] = {url: {} for url in self.stores}
        self._build(0, "acme/x", None)
        self._push(0, "acme/x", "", None)
        self._install(1, "acme/x", False, None)
        for who in (0, 1):  # so that they part
            self.files[who][f"{who}.bin"] = "\0"
            self._build(who, "acme/x", None)

    def teardown(self) -> None:
        if hasattr(self, "root"):
            for url in self.stores:
                assert not open_backend(url).stat("format") or dpkg.verify(store=url).problems == ()
                _memory.pop(url.removeprefix("memory://"), None)
            shutil.rmtree(self.root)

    # What is there

    def look(self, url: str) -> Refs:
        """The refs of a store. Everything was read, and is as it was built."""
        backend, hasher = open_backend(url), blake3()
        for key in [stat.key for stat in backend.list("")]:
            hasher.update(key.encode() + b"\0" + backend.get(key))
        state = hasher.digest()
        if state not in self.seen:
            walker = Walker(url)
            self.seen[state] = walker.published(), walker.commits
            for oid in walker.commits:
                self.parents[oid] = Commit.decode(walker.odb.read(oid, "commit")).parents
        refs, commits = self.seen[state]
        for oid, contents in commits.items():
            assert contents == self.contents.setdefault(oid, contents)
        return refs

    def history(self, tip: Oid | None) -> set[Oid]:
        found: set[Oid] = set()
        todo = [tip] if tip else []
        while todo:
            oid = todo.pop()
            if oid not in found:
                found.add(oid)
                todo += self.parents[oid]
        return found

    def do(
        self,
        given: tuple[str, int] | None,
        call: Callable[[], object],
        moves: dict[tuple[str, str], Allowed],
        *refusals: type[DpkgError],
    ) -> bool:
        """A command, maybe disturbed; whether it succeeded. Only refs in `moves` may have moved, to what is allowed there."""
        fault = Fault(*given or ())
        failed: BaseException | None = None
        known = set(self.contents)
        with under(fault):
            try:
                call()
            except (DpkgError, Killed) as error:
                failed = error
        assert failed is None or isinstance(failed, (Killed, *refusals)) or (fault.hit and failed.exit_code == 8), (
            failed
        )
        for url in self.stores:
            before, now = self.refs[url], self.look(url)
            for ref in before.keys() | now.keys():
                if now.get(ref) != before.get(ref):
                    assert not isinstance(failed, refusals), ref
                    assert (url, ref) in moves, ref
                    assert moves[url, ref](now.get(ref)), ref
            self.refs[url] = now
        assert all(self.contents[oid] in self.built for oid in self.contents.keys() - known)
        return failed is None

    @property
    def built(self) -> list[Contents]:
        """What was ever in the folders that packages were built from."""
        return self._built

    _built: list[Contents]

    def __init__(self) -> None:
        super().__init__()
        self._built = []

    # What happens

    @rule(who=PLACES, package=PACKAGES, name=LETTERS, text=LETTERS, table=st.booleans(), fault=FAULTS)
    def build(self, who: int, package: str, name: str, text: str, table: bool, fault: Any) -> None:
        """Somebody edits a file and builds."""
        self.files[who][f"{name}.csv" if table else f"{name}.bin"] = f"n,{text}\n1,2\n" if table else f"\0{text}" * 90
        self._build(who, package, fault)

    def _build(self, who: int, package: str, fault: Any) -> None:
        files, src = self.files[who], self.root / f"src{who}"
        src.mkdir(exist_ok=True)
        for file, data in files.items():
            (src / file).write_text(data)
        wanted: Contents = {n: d.encode() for n, d in files.items() if n.endswith(".bin")}
        wanted |= {n[:-4]: [{"n": 1, d[2]: 2}] for n, d in files.items() if n.endswith(".csv")}
        self._built.append(wanted)
        url, main = self.stores[who], f"{package}/heads/main"
        old = self.refs[url].get(main)

        def new(oid: Oid | None) -> bool:
            return oid is not None and self.contents[oid] == wanted and self.parents[oid] == ((old,) if old else ())

        if self.do(fault, lambda: dpkg.build(package, str(src), store=url), {(url, main): new}):
            assert self.contents[self.refs[url][main]] == wanted

    @rule(who=PLACES, package=PACKAGES, how=st.sampled_from(["", "rebase", "force"]), fault=FAULTS)
    def push(self, who: int, package: str, how: str, fault: Any) -> None:
        assume(self.of(self.stores[who], package))
        self._push(who, package, how, fault)

    def _push(self, who: int, package: str, how: str, fault: Any) -> None:
        url, main = self.stores[who], f"{package}/heads/main"
        ours, theirs = self.refs[url].get(main), self.refs[self.hub].get(main)
        parted = ours and theirs and ours not in self.history(theirs) and theirs not in self.history(ours)

        def new(oid: Oid | None) -> bool:
            if how == "rebase" and parted and oid != ours:
                assert oid
                return theirs in self.history(oid) and self.contents[oid] == self.contents[ours or oid]
            return oid == ours and (how == "force" or theirs is None or theirs in self.history(oid))

        refused: list[type[DpkgError]] = [] if self.of(url, package) else [NotFound]
        refused += [Conflict] if parted and not how else []
        refused += [AlreadyExists] if self.clash(url, self.hub, package) else []
        moves = self.tags(url, self.hub, package) | {(self.hub, main): new, (url, main): new}
        if self.do(
            fault, lambda: dpkg.push(package, self.hub, store=url, **({how: True} if how else {})), moves, *refused
        ):
            assert not refused
            now = self.refs[url].get(main)
            assert now is None or now in self.history(self.refs[self.hub][main])
            assert how == "force" or theirs is None or theirs in self.history(self.refs[self.hub][main])

    @rule(who=PLACES, package=PACKAGES, force=st.booleans(), fault=FAULTS)
    def install(self, who: int, package: str, force: bool, fault: Any) -> None:
        assume(self.of(self.hub, package))
        self._install(who, package, force, fault)

    def _install(self, who: int, package: str, force: bool, fault: Any) -> None:
        url, main = self.stores[who], f"{package}/heads/main"
        ours, theirs = self.refs[url].get(main), self.refs[self.hub].get(main)
        parted = ours and theirs and ours not in self.history(theirs) and theirs not in self.history(ours)
        refused: list[type[DpkgError]] = [] if theirs else [NotFound]
        refused += [Conflict] if parted and not force else []
        moves = self.tags(self.hub, url, package) | {(url, main): lambda oid: oid == theirs}
        if self.do(fault, lambda: dpkg.install(package, self.hub, force=force, store=url), moves, *refused):
            assert not refused
            assert theirs in self.history(self.refs[url][main])

    @rule(who=PLACES, package=PACKAGES, name=st.sampled_from(["v1", "v2"]), fault=FAULTS)
    def tag(self, who: int, package: str, name: str, fault: Any) -> None:
        url, ref = self.stores[who], f"{package}/tags/{name}"
        tip, old = self.refs[url].get(f"{package}/heads/main"), self.refs[url].get(ref)
        refused: list[type[DpkgError]] = [] if tip else [NotFound]
        refused += [AlreadyExists] if old != tip and self.ever(url, ref) else []
        moves: Any = {(url, ref): lambda oid: old is None and oid == tip}
        if self.do(fault, lambda: dpkg.tag(package, name, store=url), moves, *refused):
            assert self.refs[url][ref] == tip

    @rule(package=PACKAGES, url=st.sampled_from([0, 1, 2]), really=RARELY, fault=FAULTS)
    def rm(self, package: str, url: int, really: bool, fault: Any) -> None:
        assume(really)
        place = self.stores[url]
        refs = self.of(place, package)
        moves: Any = {(place, ref): lambda oid: oid is None for ref in refs}
        if self.do(fault, lambda: dpkg.rm(package, store=place), moves, *([] if refs else [NotFound])):
            assert self.of(place, package) == []

    @rule(url=st.sampled_from([0, 1, 2]), fault=FAULTS)
    def repack(self, url: int, fault: Any) -> None:
        place = self.stores[url]
        there = open_backend(place).stat("format") is not None
        if not self.do(fault, lambda: dpkg.repack(store=place), {}, *([] if there else [NotFound])) and there:
            assert self.do(None, lambda: dpkg.gc(resume=True, store=place), {})  # it may have died while it removed

    @rule(url=st.sampled_from([0, 1, 2]), fault=FAULTS)
    def gc(self, url: int, fault: Any) -> None:
        """One that dies is taken over."""
        place = self.stores[url]
        if not self.do(fault, lambda: dpkg.gc(store=place), {}):
            assert self.do(None, lambda: dpkg.gc(resume=True, store=place), {})

    # What of it counts

    def of(self, url: str, package: str) -> list[str]:
        return [ref for ref in self.refs[url] if ref.startswith(f"{package}/")]

    def ever(self, url: str, ref: str) -> bool:
        """Whether a tag has a value, or had one."""
        return any(entry.oid for entry in Walker(url).logs().get(ref, []))

    def tags(self, source: str, target: str, package: str) -> dict[tuple[str, str], Allowed]:
        """Tags that may come from a store into another."""
        new = {
            r: self.refs[source][r] for r in self.of(source, package) if "/tags/" in r and r not in self.refs[target]
        }
        return {(target, ref): (lambda oid, value=value: oid == value) for ref, value in new.items()}

    def clash(self, one: str, other: str, package: str) -> bool:
        refs = [ref for ref in self.of(one, package) if "/tags/" in ref]
        return any(self.refs[other].get(ref, self.refs[one][ref]) != self.refs[one][ref] for ref in refs)

    @invariant()
    def a_fresh_reader_sees_the_same(self) -> None:
        if hasattr(self, "root"):
            assert {url: Walker(url).logs() and self.look(url) for url in self.stores} == {
                url: refs or {} for url, refs in self.refs.items()
            }


class Folders(Histories):
    folders = True


@pytest.mark.spec("STO-9", "OBJ-5")
@pytest.mark.parametrize(
    ("machine", "schedules"),
    [
        (Histories, 36),
        (Folders, 9),
        *(pytest.param(Histories, 2500 + i, marks=pytest.mark.long) for i in range(4)),  # a seed each
        pytest.param(Folders, 1000, marks=pytest.mark.long),
    ],
)
def test_random_histories(machine: type[Histories], schedules: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=schedules,
            stateful_step_count=16,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )
