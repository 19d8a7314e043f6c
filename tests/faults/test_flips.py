"""Each byte of each stored file, changed, and each file cut at each length: `verify` finds it, and says which file it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from commands import PKG
from walker import Walker

import dpkg
from dpkg.errors import DpkgError
from dpkg.store import _memory, open_backend
from dpkg.store.memory import MemoryBackend

Change = Callable[[bytes, int], bytes | None]  # the bytes, and where; None: not there


def flip(mask: int) -> Change:
    return lambda data, at: data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :] if at < len(data) else None


def cut(data: bytes, at: int) -> bytes | None:
    return data[:at] if at < len(data) else None


CHANGES = {"xor 0xff": flip(0xFF), "xor 0x01": flip(1), "xor 0x80": flip(0x80), "cut": cut}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a small store: two commits of two tables and some blobs, a tag, loose and in packs."""
    folder = tmp_path_factory.mktemp("flips")
    url, src = f"memory://{folder}", folder / "src"
    src.mkdir()
    for text in ("one", "two"):
        (src / "t.csv").write_text(f"id,x\n1,a\n2,{text}\n")
        (src / "u.csv").write_text("k\n7\n")
        (src / "b.bin").write_bytes(b"\0" + text.encode() * 150)
        (src / "c.bin").write_bytes(b"\0c")
        dpkg.build(PKG, str(src), store=url)
        if text == "one":
            dpkg.tag(PKG, "v1", store=url)
            dpkg.repack(store=url)
    found = stored(url)
    folders = {key.partition("/")[0] for key in found}
    assert folders == {"format", "objects", "fragments", "packs", "refs", "gc", "derived"}
    assert sum(map(len, found.values())) < 60_000
    assert dpkg.verify(store=url).problems == ()
    return found


def stored(url: str) -> dict[str, bytes]:
    backend = open_backend(url)
    return {stat.key: backend.get(stat.key) for stat in backend.list("")}


def opened(files: dict[str, bytes]) -> str:
    """A store of these files."""
    made = _memory["flips"] = MemoryBackend("flips")
    made._values = {key: (data, key) for key, data in files.items()}
    made._keys = sorted(files)
    return "memory://flips"


def findings(files: dict[str, bytes]) -> str:
    """All that `verify` says against a store."""
    try:
        return "\n".join(f"{p.where} {p.message}" for p in dpkg.verify(store=opened(files)).problems)
    except DpkgError as error:
        return f"{error.message}"


def name_of(key: str) -> str:
    """What a finding about a file names it by."""
    if key.startswith(("objects/", "fragments/")):
        return key.partition("/")[2].replace("/", "").removesuffix(".parquet")
    return key.rpartition("/")[2].removesuffix(".pack")


def one_by_one(key: str) -> bool:
    """Whether a damaged file hides others: no store is found, a log is not read further."""
    return key == "format" or key.startswith(("refs/", "gc/"))


@pytest.mark.spec("STO-3", "STO-4", "STO-7")
@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("how", CHANGES)
def test_every_change_is_found(how: str, part: int, whole: dict[str, bytes]) -> None:
    """All files of objects and fragments are changed at once, at the same place, and each is among the findings."""
    files = {key: data for key, data in whole.items() if not one_by_one(key) and not key.startswith("derived/")}
    few = how in ("xor 0x01", "xor 0x80")
    for at in range(part, max(map(len, files.values())), 32 if few else 12):
        changed = {key: new for key, data in files.items() if (new := CHANGES[how](data, at)) is not None}
        said = findings(whole | changed)
        for key in changed:
            assert name_of(key) in said, f"{key} at {at}: {said[:500]}"


@pytest.mark.spec("STO-7")
@pytest.mark.parametrize("how", CHANGES)
def test_every_change_of_a_ref_is_found(how: str, whole: dict[str, bytes]) -> None:
    for key, at, new in each(whole, CHANGES[how], one_by_one, 7 if how == "xor 0xff" else 29):
        assert findings(whole | {key: new}), f"{key} at {at}"


@pytest.mark.long
@pytest.mark.parametrize("how", CHANGES)
def test_every_change_alone(how: str, whole: dict[str, bytes]) -> None:
    for key, at, new in each(whole, CHANGES[how], lambda key: not key.startswith("derived/"), 1):
        assert findings(whole | {key: new}), f"{key} at {at}"


@pytest.mark.spec("STO-10")
@pytest.mark.parametrize("step", [59, pytest.param(1, marks=pytest.mark.long)])
@pytest.mark.parametrize("how", ["xor 0xff", "cut"])
def test_changes_of_derived_values_change_nothing(how: str, step: int, whole: dict[str, bytes]) -> None:
    refs = Walker(opened(whole)).published()
    for key, at, new in each(whole, CHANGES[how], lambda key: key.startswith("derived/"), step):
        url = opened(whole | {key: new})
        assert findings(whole | {key: new}) == ""
        there = f"memory://flips-to-{at}"
        dpkg.install(PKG, url, store=there)
        assert Walker(there).published() == refs, f"{key} at {at}"
        del _memory[there.removeprefix("memory://")]


def each(
    whole: dict[str, bytes], change: Change, wanted: Callable[[str], bool], step: int
) -> Iterator[tuple[str, int, bytes]]:
    for key, data in whole.items():
        for at in range(0, len(data), step) if wanted(key) else ():
            new = change(data, at)
            assert new is not None
            yield key, at, new


def test_a_missing_file_is_found(whole: dict[str, bytes]) -> None:
    """Or it was not needed: the object is in a pack too."""
    refs, needed = Walker(opened(whole)).published(), 0
    for key in [k for k in whole if k.startswith(("objects/", "fragments/", "packs/"))]:
        rest = {k: v for k, v in whole.items() if k != key}
        if findings(rest):
            needed += 1
        else:
            assert Walker(opened(rest)).published() == refs
    assert needed > 10
