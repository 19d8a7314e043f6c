"""Push against gc, tag, rm and crashes: every interleaving of a model (gc_model.py); and that each rule is needed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from gc_model import (
    ALL,
    RULES,
    Broken,
    Explorer,
    Process,
    Rules,
    Store,
    collector,
    mover,
    pusher,
    remover,
    tagger,
    writer_over,
)

BORN = (("birth",),)
EMPTY = (*BORN, ("commit", frozenset()))
A = (*BORN, ("commit", frozenset("a")))
C = (*BORN, ("commit", frozenset("c")))
GONE = (*A, ("deleted",))


def stored(keys: str, **refs: tuple[tuple[object, ...], ...]) -> Store:
    return Store(frozenset(keys), tuple(sorted(refs.items())))


Scenario = tuple[Store, tuple[Process, ...]]  # the collector comes last


def a_new_branch(rules: Rules) -> Scenario:
    """It shares `a` with what was removed."""
    return stored("a", old=GONE), (pusher("new", "ab", rules), collector(("new", "old"), rules))


def a_branch(rules: Rules) -> Scenario:
    """It is on top of a commit that stays, and shares `a` with something that no ref reaches."""
    return stored("ac", main=C), (pusher("main", "abc", rules), collector(("main",), rules))


def a_dying_object(rules: Rules) -> Scenario:
    """What a new branch shares is removed meanwhile."""
    return stored("a", main=A), (pusher("new", "ab", rules), remover("main"), collector(("main", "new"), rules))


def a_dying_base(rules: Rules) -> Scenario:
    """What a commit is put on top of is removed meanwhile."""
    return stored("a", main=A), (pusher("main", "ab", rules), remover("main"), collector(("main",), rules))


def written_again(rules: Rules) -> Scenario:
    """A writer that does not look whether an object is there; the dead one has the same key."""
    return stored("a", old=GONE), (writer_over("new", "a", rules), collector(("new", "old"), rules))


def a_tag(rules: Rules) -> Scenario:
    """A tag is made of a commit while the branch that names it is removed."""
    return stored("a", main=A), (tagger("v", "main", rules), remover("main"), collector(("main", "v"), rules))


def a_tag_of_a_late_commit(rules: Rules) -> Scenario:
    """That branch was moved there by someone who saw no epoch."""
    return stored("a", main=BORN), (
        mover("main", 1, "a"),
        tagger("v", "main", rules),
        remover("main"),
        collector(("v", "main"), rules),
    )


def two_new_branches(rules: Rules) -> Scenario:
    """Two writers share an object that is dead."""
    return stored("a"), (pusher("x", "a", rules), pusher("y", "a", rules), collector(("x", "y"), rules))


def two_writers_of_a_branch(rules: Rules) -> Scenario:
    """They race for it, too."""
    return stored("a", main=EMPTY), (
        pusher("main", "a", rules),
        pusher("main", "ab", rules),
        collector(("main",), rules),
    )


SMALL = [a_new_branch, a_branch, a_dying_object, a_dying_base, written_again, a_tag]
LARGE = [a_tag_of_a_late_commit, two_new_branches, two_writers_of_a_branch]


def explore(scenario: Scenario, crashes: int = 0) -> set[Store]:
    store, processes = scenario
    return Explorer(processes, len(processes) - 1).run(store, crashes).ends


@pytest.mark.spec("STO-20", "STO-21", "STO-22")
@pytest.mark.spec("STO-20", "STO-22")
@pytest.mark.parametrize("crashes", [0, 1])
@pytest.mark.parametrize("scenario", SMALL)
def test_what_refs_name_is_complete_whoever_comes_first(scenario: Callable[[Rules], Scenario], crashes: int) -> None:
    """In every state; every run ends, and each ref that was not removed is where a writer left it."""
    ends = explore(scenario(ALL), crashes)
    assert len(ends) > 1
    assert all(end.gc[-1][0] == "closed" for end in ends if end.gc)


@pytest.mark.spec("STO-21")
def test_a_tag_is_complete_whoever_comes_first() -> None:
    assert len(explore(a_tag_of_a_late_commit(ALL))) > 1


@pytest.mark.long
@pytest.mark.parametrize(
    ("scenario", "crashes"),
    [*((s, 2) for s in SMALL), (a_tag_of_a_late_commit, 1), (two_new_branches, 0), (two_writers_of_a_branch, 0)],
)
def test_what_refs_name_is_complete_in_larger_worlds(scenario: Callable[[Rules], Scenario], crashes: int) -> None:
    assert len(explore(scenario(ALL), crashes)) > 1


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_is_needed(rule: str) -> None:
    """Left out, some interleaving leaves a ref that names what is gone."""
    broken = []
    for scenario in [*SMALL, a_tag_of_a_late_commit]:
        try:
            explore(scenario(Rules(rule)), crashes=rule == "barrier on resuming")
        except Broken as found:
            broken.append(str(found))
            break
    assert [text for text in broken if " lacks something: " in text]


def test_the_dead_go_and_the_living_stay() -> None:
    ends = explore((stored("abc", main=A, old=GONE), (collector(("main", "old")),)), crashes=3)
    assert {end.keys for end in ends} == {frozenset("a")}


def test_what_comes_out_depends_on_who_is_first() -> None:
    """A writer finds a dead object and saves it, or comes when it is gone; the commit is published in any case."""
    store, (writer, gc) = a_new_branch(ALL)
    explored = Explorer((writer, gc), 1).run(store)
    assert all(end.value("new") == {"a", "b"} <= end.keys for end in explored.ends)
    events = {tuple(entry[0] for entry in end.gc) for end in explored.ends}
    assert {(), ("condemned", "delete", "closed"), ("condemned", "rescue", "delete", "closed")} <= events


@pytest.mark.spec("STO-23")
@pytest.mark.spec("STO-23")
def test_a_collector_that_wakes_after_it_was_taken_over_is_not_covered() -> None:
    """The model of crashes is that who stops has stopped: two collectors that both live may delete what was written since."""
    store, processes = written_again(ALL)
    with pytest.raises(Broken, match="lacks something"):
        Explorer((*processes, collector(("new", "old")))).run(store)


def test_a_writer_waits_for_a_collector_that_is_never_resumed() -> None:
    """That is the one who can be waited for: a model without one that resumes shows it."""
    doomed = stored("a", old=GONE)._replace(gc=(("condemned", frozenset("a")), ("delete", frozenset("a"))))
    with pytest.raises(Broken, match="all wait for ever"):
        Explorer((pusher("new", "a"),)).run(doomed)
