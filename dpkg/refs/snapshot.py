"""The refs of one package as they were at one moment: one LIST, and a GET for each entry that is asked for.

Across a network each request counts. Entries never change (STO-6), so those of an earlier look are known by their
etags and not got again.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dpkg.errors import Conflict, Corrupt, Format
from dpkg.names import valid_package
from dpkg.refs import RefEntry, Refs, entry_key, folder_of, newest

if TYPE_CHECKING:
    from collections.abc import Iterator


Known = MutableMapping[str, tuple[str, str]]  # key of an entry to its etag and text


class RefsSnapshot(Refs):
    """Reads the refs of `package` as they were when this was made, and what was appended through it since.

    Appending fails where the log has moved on, as ever; that log is then looked at again. Refs of other packages are
    not reached through this.
    """

    def __init__(self, refs: Refs, package: str, known: Known | None = None) -> None:
        """`known` has entries of earlier looks, and is given those of this one."""
        super().__init__(refs.backend, refs.push)
        self.package = valid_package(package)
        self._known: Known = {} if known is None else known
        self._tips: dict[str, tuple[tuple[str, str, str, int], str]] = {}  # folder of a log: what it is, etag
        self._look(f"refs/{self.package}/")
        tips = {entry_key(folder, log[3]) for folder, (log, _) in self._tips.items()}
        for key in [key for key in self._known if key not in tips]:  # no one will ask for it again
            del self._known[key]
        self._read: dict[str, RefEntry] = {}

    def _look(self, prefix: str) -> None:
        """Note the newest entries of the logs under `prefix`."""
        for log, stat in newest(self.backend, prefix):
            self._tips[folder_of(*log[:3])] = log, stat.etag

    def packages(self, *, deleted: bool = False) -> Iterator[str]:
        """As they are now: of others than its own a snapshot knows nothing."""
        return Refs(self.backend, self.push).packages(deleted=deleted)

    def tip(self, package: str, kind: str, name: str) -> RefEntry | None:
        folder = folder_of(package, kind, name)
        found = self._tips.get(folder)
        return None if found is None else self._entry(folder, found[0][3])

    def look(self, package: str, kind: str, name: str) -> None:
        self._look(folder_of(package, kind, name))

    def append(self, package: str, kind: str, name: str, *args: Any, **kwargs: Any) -> RefEntry:
        folder = folder_of(package, kind, name)
        try:
            entry = super().append(package, kind, name, *args, **kwargs)
        except Conflict:
            self._look(folder)  # who tries again wants to see what came first
            raise
        self._tips[folder] = (package, kind, name, entry.n), ""
        self._read[entry_key(folder, entry.n)] = entry
        return entry

    def _logs(self, prefix: str) -> Iterator[tuple[str, str, str, int]]:
        return (log for folder, (log, _) in sorted(self._tips.items()) if folder.startswith(prefix))

    def _entry(self, folder: str, n: int) -> RefEntry:
        key = entry_key(folder, n)
        if key not in self._read:
            self._read[key] = self._got(folder, n, key)
        return self._read[key]

    def _got(self, folder: str, n: int, key: str) -> RefEntry:
        log, etag = self._tips.get(folder, (None, ""))
        etag = etag if log is not None and log[3] == n else ""
        before = self._known.get(key)
        if etag and before is not None and before[0] == etag:
            with suppress(Format, Corrupt):  # what was kept is derived data: damaged, it is got again
                kept = RefEntry.decode(before[1].encode())
                if kept.n == n:
                    self.floor.update(kept.floor)
                    return kept
        entry = super()._entry(folder, n)
        if etag:
            self._known[key] = etag, entry.encode().decode()
        return entry
