"""Second reader, part 5: members of objects (JSON-6, objects.md), ref logs and frames (storage.md)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

import zstandard
from reader_index import MAX_LEVELS, MAX_NODE_ENTRIES, check_name, entry_key
from reader_json import Json, Refused, check_oid, decode, encode, oid, plain_blake3
from reader_rows import key_places
from reader_values import check_fields

# ------------------------------------------------------------------------------ members of objects (JSON-6, objects.md)


def decode_object(kind: str, data: bytes) -> Json:
    """Strictly decode a table, node, commit or ref entry and check its members (JSON-6)."""
    value = decode(data)
    if not isinstance(value, dict):
        raise Refused("JSON-6", "not an object")
    {"table": check_table, "node": check_node, "commit": check_commit, "ref": check_ref_entry}[kind](value)
    return value


def members(value: Json, wanted: str, optional: str = "") -> None:
    """Refuse an object with unknown or missing members (JSON-6)."""
    if not isinstance(value, dict):
        raise Refused("JSON-6", "not an object")
    missing = set(wanted.split()) - set(value)
    unknown = set(value) - set(wanted.split()) - set(optional.split())
    if missing or unknown:
        raise Refused("JSON-6", f"missing members {sorted(missing)}, unknown members {sorted(unknown)}")


def typed(value: Json, wanted: type, *names: str) -> None:
    """Refuse members of another type; a bool is no int (JSON-6)."""
    for name in names:
        if not isinstance(value[name], wanted) or isinstance(value[name], bool):
            raise Refused("JSON-6", f"member {name} is wrongly typed")


def counts(value: Json, *names: str) -> None:
    """Refuse members that are not integers from 0 (JSON-6)."""
    typed(value, int, *names)
    for name in names:
        if value[name] < 0:
            raise Refused("JSON-6", f"member {name} is negative")


def check_table(value: Json) -> None:
    """The members of a table object (OBJ-1)."""
    members(value, "bytes fragments key rows schema target_rows")
    counts(value, "bytes", "rows", "target_rows")
    check_oid(value["fragments"])
    typed(value, list, "key", "schema")
    if not all(isinstance(name, str) for name in value["key"]):
        raise Refused("JSON-6", "member key is wrongly typed")
    check_fields(value["schema"])
    key_places(value["schema"], value["key"])
    if value["target_rows"] not in [2**e for e in range(2, 21)]:
        raise Refused("ROW-4", "target_rows")


def check_node(value: Json) -> None:
    """The members of a node (index.md)."""
    members(value, "entries kind level", "stats")
    typed(value, list, "entries")
    counts(value, "level")
    kind, level, entries = value["kind"], value["level"], value["entries"]
    if kind not in ("tree", "fragments"):
        raise Refused("JSON-6", f"kind {kind}")
    if level >= MAX_LEVELS:
        raise Refused("IDX-4", f"level {level}")
    if (kind == "fragments" and level == 0) != ("stats" in value):
        raise Refused("JSON-6", "member stats")
    for entry in entries:
        check_entry(kind, level, entry)
    if "stats" in value:
        if (value["stats"] is None) != (not entries):
            raise Refused("IDX-6", "stats are null in a node without entries only")
        if entries:
            check_oid(value["stats"])
    if len(entries) > MAX_NODE_ENTRIES:
        raise Refused("IDX-3", "more than 1,024 entries")
    keys = [entry_key(kind, level, entry) for entry in entries]
    if kind == "tree" and any(above >= below for above, below in pairwise(keys)):
        raise Refused("IDX-1", "names unsorted or not unique")


def check_entry(kind: str, level: int, entry: Json) -> None:
    """The members of one entry of a node (index.md)."""
    if level > 0:
        members(entry, "bytes entries key oid rows")
        if kind == "tree":
            check_name(entry["key"])
        else:
            check_oid(entry["key"])
    elif kind == "fragments":
        members(entry, "bytes oid rows")
    else:
        if not isinstance(entry, dict) or entry.get("type") not in ("blob", "table", "tree"):
            raise Refused("JSON-6", "entry without a type")
        extra = {"blob": "", "table": " rows", "tree": " rows entries"}[entry["type"]]
        members(entry, "bytes name oid type" + extra, "meta")
        check_name(entry["name"])
        if "meta" in entry:
            check_oid(entry["meta"])
    check_oid(entry["oid"])
    counts(entry, *(name for name in ("bytes", "entries", "rows") if name in entry))


def check_commit(value: Json) -> None:
    """The members of a commit (OBJ-3)."""
    members(value, "author checks message parents provenance time tree")
    typed(value, str, "author", "message")
    typed(value, list, "checks", "parents")
    typed(value, dict, "provenance")
    typed(value, int, "time")
    for parent in value["parents"]:
        check_oid(parent)
    if len(set(value["parents"])) < len(value["parents"]):
        raise Refused("OBJ-3", "duplicate parents")
    check_oid(value["tree"])


def commit_text(commit: Json) -> bytes:
    """The canonical JSON of a commit; its oid is `oid("commit", ...)` of it."""
    check_commit(commit)
    return encode(commit)


# ------------------------------------------------------------------------------------------------------------ ref logs

EVENTS = ("birth", "commit", "barrier", "floor", "deleted")


def ref_digest(entry: Json) -> str:
    """The digest of a ref entry: of kind ref over the entry without the member `digest`."""
    return oid("ref", encode({name: value for name, value in entry.items() if name != "digest"}))


def check_ref_entry(value: Json) -> None:
    """The members of a ref entry, and its digest (STO-6, STO-7)."""
    part = ["part"] if isinstance(value, dict) and "part" in value else []
    members(value, " ".join(["digest event floor n oid prev push time who why", *part]))
    typed(value, str, "event", "push", "who", "why", *part)
    typed(value, list, "floor")
    typed(value, int, "time")
    counts(value, "n")
    if value["event"] not in EVENTS:
        raise Refused("JSON-6", f"event {value['event'][:80]}")
    for name in ("oid", "prev"):
        if value[name] is not None:
            check_oid(value[name])
    check_oid(value["digest"])
    for commit in value["floor"]:
        check_oid(commit)
    if value["floor"] != sorted(set(value["floor"])):
        raise Refused("JSON-6", "the floor is not sorted, or names a commit twice")
    if (value["event"] == "commit") != (value["oid"] is not None):
        raise Refused("JSON-6", "an oid in commit entries, and in no others")
    if not re.fullmatch("[0-9a-f]{32}", value["push"]):
        raise Refused("JSON-6", "push is not 32 hex digits")
    if (value["n"] == 0) != (value["event"] == "birth"):
        raise Refused("STO-6", "the first entry is the birth, and no other")
    if (value["n"] == 0) != (value["prev"] is None):
        raise Refused("STO-7", "prev is null in the first entry only")
    if value["digest"] != ref_digest(value):
        raise Refused("STO-7", "digest")
    if part and (value["event"] != "commit" or not all(value["part"].partition("/"))):
        raise Refused("STO-40", "a part is a revision and a path, in commit entries")


def ref_key(n: int) -> str:
    """The last part of the key of entry n: the newest entry sorts first."""
    return f"{2**64 - 1 - n:016x}"


def check_log(entries: Sequence[Json]) -> None:
    """Walk a log, oldest entry first (STO-6, STO-7)."""
    for n, entry in enumerate(entries):
        check_ref_entry(entry)
        if entry["n"] != n or (n > 0 and entry["prev"] != entries[n - 1]["digest"]):
            raise Refused("STO-7", f"entry {n} does not follow the one before")


def part_name(part: str) -> str:
    """The name of a part's ref (STO-40)."""
    return plain_blake3(part.encode()).hex()[:32]


def check_part_log(kind: str, name: str, entries: Sequence[Json]) -> None:
    """Walk the log of a ref that may be a part (STO-40)."""
    check_log(entries)
    for entry in entries:
        expected = name if kind == "parts" and entry["event"] == "commit" else None
        if (part_name(entry["part"]) if "part" in entry else None) != expected:
            raise Refused("STO-40", "an entry of another ref")


def ref_value(entries: Sequence[Json]) -> str | None:
    """The commit that a ref names, of its log, oldest entry first (STO-8)."""
    for entry in reversed(entries):
        if entry["event"] == "deleted":
            return None
        if entry["event"] == "commit":
            return str(entry["oid"])
    return None


# -------------------------------------------------------------------------------------------------------------- frames

MAGIC = b"dpkgobj\0"
LARGE = 4_194_304  # bytes of the largest blob in one piece
FRAME_KINDS = {1: "blob", 2: "table", 3: "node", 4: "commit"}
PACKED_KINDS = FRAME_KINDS | {5: "fragment"}  # in packs


def seal_frame(frame: bytes) -> bytes:
    """The frame with the digest that belongs to its other bytes."""
    return frame[:32] + plain_blake3(frame[:32] + plain_blake3(frame[64:])) + frame[64:]


def encode_frame(kind: str, payload: bytes, stored: bytes | None = None) -> bytes:
    """A frame of a payload, plain or as a zstd frame that is given."""
    number = next(n for n, name in PACKED_KINDS.items() if name == kind)
    codec = 0 if stored is None else 1
    stored = payload if stored is None else stored
    lengths = len(payload).to_bytes(8, "little") + len(stored).to_bytes(8, "little")
    return seal_frame(MAGIC + bytes([0, number, codec]) + bytes(5) + lengths + bytes(32) + stored)


def decode_frame(frame: bytes, wanted: str, stored: dict[str, bytes] | None = None) -> tuple[str, bytes]:
    """The kind and payload of the frame of the object with the oid `wanted` (STO-2, STO-3).

    `stored` are the frames of other objects by oid: of the chunks of a blob.
    """
    check_frame(frame, FRAME_KINDS)
    payload_length = int.from_bytes(frame[16:24], "little")
    if (frame[10] == 2) != (frame[9] == 1 and payload_length > LARGE):
        raise Refused("STO-30", "in chunks or not")
    if frame[10] == 2:
        return "blob", read_chunks(frame, wanted, stored or {})
    payload = frame[64:] if frame[10] == 0 else unzstd(frame[64:], payload_length)
    kind = FRAME_KINDS[frame[9]]
    if oid(kind, payload) != wanted:
        raise Refused("STO-2", "oid")
    return kind, payload


def check_frame(frame: bytes, kinds: Mapping[int, str]) -> None:
    """Refuse a frame that is not whole, or of none of some kinds (STO-2, STO-3)."""
    if len(frame) < 64:
        raise Refused("STO-2", "shorter than a header")
    if frame[:8] != MAGIC or frame[8] != 0:
        raise Refused("STO-2", "magic or version")
    if frame[9] not in kinds or frame[10] not in (0, 1, 2) or frame[11:16] != bytes(5):
        raise Refused("STO-2", "kind, codec or reserved bytes")
    payload_length = int.from_bytes(frame[16:24], "little")
    stored_length = int.from_bytes(frame[24:32], "little")
    if len(frame) > 64 + stored_length:
        raise Refused("STO-3", "something follows the stored payload")
    if len(frame) < 64 + stored_length or (frame[10] == 0 and payload_length != stored_length):
        raise Refused("STO-2", "lengths")
    if seal_frame(frame) != frame:
        raise Refused("STO-3", "digest")


def list_chunks(frame: bytes) -> list[tuple[str, int, int]]:
    """The chunks that the frame of a blob lists: oid, start, end (STO-30)."""
    records = frame[64:]
    if len(records) % 40 or len(records) > 40 * 4_194_304:
        raise Refused("STO-30", "records")
    found, start = [], 0
    for at in range(0, len(records), 40):
        end = int.from_bytes(records[at + 32 : at + 40], "little")
        least = 65_536 if at + 40 < len(records) else 1
        if not least <= end - start <= LARGE:
            raise Refused("STO-30", "length of a chunk")
        found.append((records[at : at + 32].hex(), start, end))
        start = end
    if start != int.from_bytes(frame[16:24], "little"):
        raise Refused("STO-30", "the last end")
    return found


def read_chunks(frame: bytes, wanted: str, stored: dict[str, bytes]) -> bytes:
    """The bytes of the blob `wanted`, whose frame lists chunks (STO-31)."""
    payload = b""
    for name, start, end in list_chunks(frame):
        if name not in stored:
            raise Refused("STO-31", "a chunk is missing")
        kind, data = decode_frame(stored[name], name)
        if kind != "blob" or len(data) != end - start:
            raise Refused("STO-31", "a chunk of another kind or length")
        payload += data
    if oid("blob", payload) != wanted:
        raise Refused("STO-31", "oid")
    return payload


def encode_chunks(chunks: Sequence[tuple[str, int]], length: int | None = None) -> bytes:
    """The frame of a blob that lists chunks: the oid of each, and where it ends."""
    records = b"".join(bytes.fromhex(name) + end.to_bytes(8, "little") for name, end in chunks)
    length = chunks[-1][1] if length is None else length
    lengths = length.to_bytes(8, "little") + len(records).to_bytes(8, "little")
    return seal_frame(MAGIC + bytes([0, 1, 2]) + bytes(5) + lengths + bytes(32) + records)


def unzstd(stored: bytes, length: int) -> bytes:
    """The content of exactly one zstd frame, never more than one byte beyond `length` of it (STO-2)."""
    if not stored.startswith(b"\x28\xb5\x2f\xfd"):
        raise Refused("STO-2", "no zstd frame")
    try:
        with zstandard.ZstdDecompressor().stream_reader(stored, read_across_frames=False) as reader:
            payload = reader.read(length + 1)
        if len(payload) != length:
            raise Refused("STO-2", "payload length")
        whole = zstandard.ZstdDecompressor().decompressobj()
        if whole.decompress(stored) != payload or not whole.eof or whole.unused_data:
            raise Refused("STO-2", "not exactly one zstd frame")
    except (zstandard.ZstdError, MemoryError):
        raise Refused("STO-2", "the zstd frame cannot be decoded") from None
    return payload
