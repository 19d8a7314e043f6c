"""Second reader, part 9: a whole store in a folder (storage.md), from its refs down."""

from __future__ import annotations

from pathlib import Path

from reader_json import Json, Refused, decode
from reader_objects import FRAME_KINDS, check_part_log, decode_frame, decode_object, ref_key, ref_value
from reader_packs import check_pack, decode_index
from reader_parquet import file_oid

FORMAT = b'{"format":"dpkg v1","requires":[]}'


class Store:
    """All of a store in memory: payloads of objects, and fragments, which are only checked to be what they say."""

    def __init__(self, folder: Path) -> None:
        if (folder / "format").read_bytes() != FORMAT:
            raise Refused("STO-1", "format")
        self.objects: dict[str, tuple[str, bytes]] = {}
        self.fragments: set[str] = set()
        self.refs = self._refs(folder / "refs")
        packs = {p.stem: p.read_bytes() for p in sorted(folder.glob("packs/*.pack"))}
        loose = {p.parent.name + p.name: p.read_bytes() for p in folder.glob("objects/??/*")}
        files = {p.parent.name + p.stem: p.read_bytes() for p in folder.glob("fragments/??/*.parquet")}
        frames = {
            r.oid: data[r.offset : r.offset + r.size] for data in packs.values() for r in decode_index(data)
        } | loose
        for name, data in packs.items():
            for record, payload in check_pack(data, name, frames):
                if record.kind == 5:
                    self.fragments.add(record.oid)
                else:
                    self.objects[record.oid] = FRAME_KINDS[record.kind], payload
        self.objects.update((name, decode_frame(frame, name, frames)) for name, frame in loose.items())
        for name, file in files.items():
            if file_oid(file) != name:
                raise Refused("STO-5", f"a fragment under the key of another: {name}")
        self.fragments.update(files)

    def _refs(self, folder: Path) -> dict[str, list[Json]]:
        """The log of each ref by owner/name/kind/name, oldest entry first."""
        logs: dict[str, list[Json]] = {}
        for log in sorted({p.parent for p in folder.glob("*/*/*/*/*")}):
            entries = [decode((log / ref_key(n)).read_bytes()) for n in range(len(list(log.iterdir())))]
            check_part_log(log.parent.name, log.name, entries)
            logs[log.relative_to(folder).as_posix()] = entries
        return logs

    # What the refs reach

    def commits(self, ref: str) -> list[tuple[str, Json]]:
        """The commits of a branch or tag, newest first: its history ends at its floor (STO-18)."""
        log, found = self.refs[ref], []
        floor, todo = set(log[-1]["floor"]), ref_value(log)
        while todo:
            commit = self._object(todo, "commit")
            found.append((todo, commit))
            todo = None if todo in floor else next(iter(commit["parents"]), None)
        return found

    def entries(self, node: str, path: str = "") -> dict[str, Json]:
        """The tables and blobs of a tree by path, each with all that it needs (IDX-1, OBJ-1)."""
        found = {}
        for entry in self._leaves(node):
            here = path + entry["name"]
            if "meta" in entry:
                self._object(entry["meta"], "blob")
            if entry["type"] == "tree":
                found.update(self.entries(entry["oid"], here + "/"))
                continue
            found[here] = entry
            if entry["type"] == "blob" and len(self._payload(entry["oid"], "blob")) != entry["bytes"]:
                raise Refused("IDX-5", here)
            if entry["type"] == "table":
                self.table(entry)
        return found

    def table(self, entry: Json) -> None:
        """That a table has its fragments, and the rows that it says."""
        table = self._object(entry["oid"], "table")
        leaves = list(self._leaves(table["fragments"]))
        if lacking := {e["oid"] for e in leaves} - self.fragments:
            raise Refused("STO-9", f"fragments are missing: {lacking}")
        if not sum(e["rows"] for e in leaves) == table["rows"] == entry["rows"]:
            raise Refused("IDX-5", "rows")

    def _leaves(self, oid: str) -> list[Json]:
        node = self._object(oid, "node")
        if node.get("stats") and node["stats"] not in self.fragments:
            raise Refused("STO-9", "statistics are missing")
        if node["level"] == 0:
            return list(node["entries"])
        return [leaf for entry in node["entries"] for leaf in self._leaves(entry["oid"])]

    def _object(self, oid: str, kind: str) -> Json:
        data = self._payload(oid, kind)
        return decode(data) if kind == "blob" else decode_object(kind, data)

    def _payload(self, oid: str, kind: str) -> bytes:
        if oid not in self.objects:
            raise Refused("STO-9", f"{kind} {oid} is missing")
        found, data = self.objects[oid]
        if found != kind:
            raise Refused("STO-2", f"{oid} is a {found}, no {kind}")
        return data
