"""From a plan to a tree in the odb."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import file_digest
from typing import TYPE_CHECKING

from blake3 import blake3

from dpkg import progress
from dpkg.compiler.plan import UNKNOWN, Item, Path, Plan, size_in, stamp
from dpkg.errors import CheckFailed, Denied, DpkgError, Format, NotFound, Storage, Usage
from dpkg.index import build_tree
from dpkg.objects.node import InnerEntry, TreeEntry
from dpkg.odb import is_remote
from dpkg.oid import Oid
from dpkg.store.local import failure
from dpkg.threads import some_ahead

if TYPE_CHECKING:
    from dpkg.arrow.options import Widened
    from dpkg.arrow.readers import Source
    from dpkg.checks.running import Watch
    from dpkg.objects.table import Table
    from dpkg.odb import Odb
    from dpkg.odb.small import SmallBlobs

SMALL = 256 << 10  # bytes; blobs of at most this are read whole, and stored several at a time
_BATCH, _BATCH_BYTES = 256, 1 << 20  # blobs at a time, where no network is between
_WORKERS, _REMOTE_WORKERS = 2, 16
Task = Sequence[Item]  # several small blobs, or one of anything
# And the file's stamp, if it was the same before and after; what looked at a table's fragments for its checks.
Done = tuple["Compiled", bytes, "Watch | None"]
_OF_DATA = (Format, CheckFailed, Usage, NotFound, Denied, Storage)  # what readers raise
Unfinished = Callable[[Sequence["Compiled | None"], Sequence[bytes]], None]


@dataclass(frozen=True, slots=True)
class Read:
    """A file that was read: the BLAKE3 and number of its bytes."""

    blake3: Oid
    bytes: int


@dataclass(frozen=True, slots=True)
class Compiled:
    """One entry made from one file, or from several."""

    path: str
    type: str
    oid: Oid
    rows: int
    bytes: int
    source: str
    widened: tuple[Widened, ...] = ()
    read: tuple[Read, ...] = ()  # of a table: the files that it was read from; none if one changed meanwhile


@dataclass(frozen=True)
class Report:
    """A tree, and what it was made of."""

    tree: Oid
    entries: tuple[Compiled, ...] = field(default=())
    stamps: tuple[bytes, ...] = field(default=())  # of each source; UNKNOWN where it changed while it was read
    watched: Mapping[str, Watch] = field(default_factory=dict)  # of tables with checks that were made, by path


def compile_plan(
    odb: Odb, plan: Plan, known: Sequence[Compiled | None] = (), unfinished: Unfinished | None = None
) -> Report:
    """Store everything that a plan names and the tree over it; nothing is published. Raises what readers raise.

    `known`: for each item what it was compiled to before, and is stored, if its file need not be read. `unfinished` is
    told, where an error or Ctrl-C ends it, what each item was compiled to by then, and its stamp; that is stored.
    """
    from dpkg.compiler import derived

    entries = [done or given(item) for item, done in zip(plan.items, known or [None] * len(plan.items), strict=True)]
    stamps = [derived.stamp_of(item) if derived.is_query(item) else item.stamp for item in plan.items]
    lacking = [i for i, done in enumerate(entries) if done is None and not derived.is_query(plan.items[i])]
    watched: dict[str, Watch] = {}
    with odb.packing():
        try:
            done = _compiled(odb, [plan.items[i] for i in lacking], len(entries))
            for i, (entry, stamp, watch) in zip(lacking, done, strict=True):
                entries[i], stamps[i] = entry, stamp
                if watch is not None:
                    watched[entry.path] = watch
            _derive(odb, plan, entries, stamps, watched)
        except (DpkgError, KeyboardInterrupt):
            if unfinished is not None and len(entries) > 1:
                with suppress(DpkgError):
                    odb.flush()
                    unfinished(entries, stamps)
            raise
        whole = tuple(entry for entry in entries if entry is not None)
        return Report(_tree(odb, plan, whole), whole, tuple(stamps), watched)


def _compiled(odb: Odb, items: Sequence[Item], total: int) -> Iterator[Done]:
    """What items become, in order; they are those of `total` that have to be read."""
    remote = is_remote(odb.backend)
    tasks = list(_tasks(iter(items), remote))
    progress.expect(sum(size_in(item.stamp) for item in items))
    work = partial(_work, odb, odb.small_blobs())
    # Tables have threads of their own.
    for results in some_ahead(
        work, tasks, lambda task: task[0].format is None, _REMOTE_WORKERS if remote else _WORKERS
    ):
        yield from results
        progress.advance("built", len(results), total, "entries")


def given(item: Item) -> Compiled | None:
    """What an item of another package is: that is known before anything is read."""
    if item.origin is None:
        return None
    from dpkg.compiler.composed import Composed

    return item.origin.compiled(item) if isinstance(item.origin, Composed) else None


def _derive(
    odb: Odb, plan: Plan, entries: list[Compiled | None], stamps: list[bytes], watched: dict[str, Watch]
) -> None:
    """Compile the queries of which an input changed, each after those that it needs."""
    from dpkg.compiler import derived

    if not any(derived.is_query(item) for item in plan.items):
        return
    made = {done.path: done for done in entries if done is not None}
    for i in derived.in_order(plan.items):
        item = plan.items[i]
        found = derived.recalled(odb, item, made)
        if found is None:
            watch = _watch(odb, item)
            found = _compile(odb, item, watch)
            if watch is not None:
                watched[item.name] = watch
        made[item.name] = entries[i] = found
        stamps[i] = derived.stamp_of(item)


def _tasks(items: Iterator[Item], remote: bool) -> Iterator[Task]:
    """Items in order, small blobs together; across a network each by itself, as each may need a request."""
    batch: list[Item] = []
    size = 0
    for item in items:
        small = (
            item.format is None
            and item.origin is None
            and item.stamp != UNKNOWN
            and size_in(item.stamp) <= SMALL
            and not remote
        )
        if batch and (not small or len(batch) == _BATCH or size > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        if small:
            batch.append(item)
            size += size_in(item.stamp)
        else:
            yield [item]
    if batch:
        yield batch


def _work(odb: Odb, small: SmallBlobs, task: Task) -> list[Done]:
    if len(task) > 1:
        done = _blobs(odb, small, task)
        progress.finished((), sum(size_in(item.stamp) for item in task))
        return done
    return [_single(odb, *task)]


def _single(odb: Odb, item: Item) -> Done:
    watch = _watch(odb, item)
    done = _compile(odb, item, watch)
    read = _files(item) if done.type == "table" else ()
    found = _still(item)
    progress.finished(_paths(item), size_in(item.stamp))
    return replace(done, read=read) if found != UNKNOWN else done, found, watch


def _watch(odb: Odb, item: Item) -> Watch | None:
    """What looks at a table's fragments while they are in memory, where it has checks."""
    if not item.checks:
        return None
    from dpkg.checks.kept import Kept
    from dpkg.checks.running import Watch

    return Watch(item.checks, Kept(odb))


def _compile(odb: Odb, item: Item, watch: Watch | None = None) -> Compiled:
    if item.format is None:
        oid, size = item.origin.blob(odb, item) if item.origin else odb.write_blob_file(item.source)
        return Compiled(item.name, "blob", oid, 0, size, item.source)
    oid, table, widened = compile_table(odb, item, watch)
    return Compiled(item.name, "table", oid, table.rows, table.bytes, item.source, widened)


def _paths(item: Item) -> Sequence[str]:
    return item.origin.files() if item.origin else (item.source,)


def _files(item: Item) -> tuple[Read, ...]:
    """The files of a table, which have just been read."""
    try:
        return tuple(_hashed(path) for path in _paths(item))
    except OSError:
        return ()


def _hashed(path: str) -> Read:
    with open(path, "rb", buffering=0) as file:
        digest = file_digest(file, blake3).hexdigest()  # type: ignore[arg-type]
        return Read(Oid(digest), file.tell())


def _still(item: Item) -> bytes:
    """The item's stamp, if its file still has it."""
    try:
        now = item.origin.stamp() if item.origin else stamp(os.stat(item.source))
        return item.stamp if now == item.stamp else UNKNOWN
    except OSError:
        return UNKNOWN


def _blobs(odb: Odb, small: SmallBlobs, task: Task) -> list[Done]:
    """Small blobs, read whole."""
    read = [_read(item) for item in task]
    oids = iter(small.write([data for data, _ in read if data is not None]))
    done: list[Done] = []
    for item, (data, found) in zip(task, read, strict=True):
        if data is None:
            done.append((_compile(odb, item), UNKNOWN, None))
        else:
            done.append((Compiled(item.name, "blob", next(oids), 0, len(data), item.source), found, None))
    return done


def _read(item: Item) -> tuple[bytes | None, bytes]:
    """A small file's bytes, None where it is of another size by now; and its stamp, if it is still the same."""
    try:
        file = os.open(item.source, os.O_RDONLY | os.O_CLOEXEC)
        try:
            size = size_in(item.stamp)
            data = os.read(file, size + 1)
            found = stamp(os.fstat(file))
        finally:
            os.close(file)
    except FileNotFoundError:
        raise NotFound(f"there is no file '{item.source}'") from None
    except OSError as error:
        raise failure(error, "read", item.source) from error
    return data if len(data) == size else None, found if found == item.stamp else UNKNOWN


class _Folder:
    """A folder of the tree: its folders by name, and where in the plan its files are."""

    __slots__ = ("files", "folders")

    def __init__(self) -> None:
        self.folders: dict[str, _Folder] = {}
        self.files: list[int] = []


def _tree(odb: Odb, plan: Plan, entries: Sequence[Compiled]) -> Oid:
    root = folder = _Folder()
    parents: Path = ()
    for i, item in enumerate(plan.items):
        if item.path[:-1] != parents:
            parents, folder = item.path[:-1], root
            for name in parents:
                folder = folder.folders.get(name) or folder.folders.setdefault(name, _Folder())
        folder.files.append(i)
    return _build(odb, root, (), plan, entries).oid


def _build(odb: Odb, folder: _Folder, path: Path, plan: Plan, entries: Sequence[Compiled]) -> InnerEntry:
    found = []
    for name, child in folder.folders.items():
        at = (*path, name)
        below = _build(odb, child, at, plan, entries)
        meta = _metadata(odb, plan.folders.get(at))
        found.append(TreeEntry(name, "tree", below.oid, below.bytes, below.rows, below.entries, meta))
    for i in folder.files:
        item, done = plan.items[i], entries[i]
        found.append(_entry(odb, item, done))
    return build_tree(found, lambda data: odb.write("node", data))


def _entry(odb: Odb, item: Item, done: Compiled) -> TreeEntry:
    meta = _metadata(odb, item)
    if item.origin is not None:
        from dpkg.compiler.composed import Composed

        if isinstance(item.origin, Composed):
            return item.origin.tree_entry(item.path[-1], meta)
    return TreeEntry(item.path[-1], done.type, done.oid, done.bytes, done.rows, meta=meta)


def _metadata(odb: Odb, item: Item | None) -> Oid | None:
    """Store user metadata, if there is any."""
    if item is None or item.meta is None:
        return None
    import rfc8785

    try:
        return odb.write("blob", rfc8785.dumps(item.meta))
    except (rfc8785.CanonicalizationError, RecursionError) as e:
        message = f"{item.where}: the metadata of '{item.name}' has no canonical JSON: {e}"
        raise Usage(message, "quote numbers beyond 2^53 and NaN") from None


def compile_table(odb: Odb, item: Item, watch: Watch | None = None) -> tuple[Oid, Table, tuple[Widened, ...]]:
    """Store one file as a table: its oid, the table, the columns that became wider than they began. Errors name the file."""
    from dpkg import tables
    from dpkg.arrow.readers import stream

    source = opened(odb, item)
    try:
        look = watch.begin if watch else None
        oid, table = stream(
            source, lambda schema, batches: tables.write_table(odb, batches, schema, item.key, _rows, look)
        )
        return oid, table, tuple(source.widened)
    except _OF_DATA as e:
        raise _placed(e, item) from None
    finally:
        source.close()


def opened(odb: Odb, item: Item) -> Source:
    """The rows of a table's item. Raises what readers raise, with its place."""
    from dpkg.arrow.readers import open_source

    assert item.format is not None
    try:
        return item.origin.rows(odb, item) if item.origin else open_source(item.source, item.format, item.options)
    except _OF_DATA as e:
        raise _placed(e, item) from None


def _placed(error: DpkgError, item: Item) -> DpkgError:
    """An error on a table with its file, and the line of the build.yml that it is about."""
    message = error.message if item.source in error.message else f"{item.source}: {error.message}"
    named = (place for name, place in (item.places or {}).items() if f"column '{name}'" in error.message)
    about_data = isinstance(error, Format) and item.source in error.message
    place = next(named, "" if about_data else item.where)
    return type(error)(f"{place}: {message}" if place else message, error.hint)


def _rows(count: int) -> None:
    progress.advance("stored", count, None, "rows")
