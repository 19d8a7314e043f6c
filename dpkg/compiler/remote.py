"""A file behind a URL: copied into a temporary file when a build needs it, and by each build, as nobody says if it changed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import file_digest
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from blake3 import blake3

from dpkg import settings
from dpkg.compiler.plan import UNKNOWN
from dpkg.errors import Denied, NotFound, Storage, Usage
from dpkg.store.download import download, name_of, shown

if TYPE_CHECKING:
    from typing import IO

    from dpkg.arrow.readers import Source
    from dpkg.compiler.plan import Item
    from dpkg.odb import Odb
    from dpkg.oid import Oid


@dataclass(frozen=True)
class Remote:
    """An `Origin`: the file at a URL, as it is written, `${NAME}` and all. It is in no message, as it may hold a key."""

    url: str = field(repr=False)
    read: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)  # BLAKE3 and size, once it was read

    def stamp(self) -> bytes:
        return UNKNOWN

    def said(self) -> Any:
        return []

    def files(self) -> Sequence[str]:
        return ()

    def source(self) -> dict[str, Any]:
        """What was read, for provenance."""
        return {"url": shown(self.url), **self.read}

    def rows(self, odb: Odb, item: Item) -> Source:
        from dpkg.arrow.readers import open_copy

        assert item.format is not None
        with _placed(item):
            return open_copy(self._copy, item.format, item.options, item.source, name_of(item.source))

    def blob(self, odb: Odb, item: Item) -> tuple[Oid, int]:
        with _placed(item), tempfile.NamedTemporaryFile(prefix="dpkg-") as copy:
            self._copy(copy.file)
            return odb.write_blob_file(os.fspath(copy.name))

    def _copy(self, out: IO[bytes]) -> None:
        download(settings.expand_variables(self.url, part=lambda value: quote(value, safe="")), out)
        size = out.tell()
        out.seek(0)
        digest = file_digest(out, blake3).hexdigest()  # type: ignore[arg-type]
        out.flush()
        self.read.update(blake3=digest, size=size)


@contextmanager
def _placed(item: Item) -> Iterator[None]:
    """Errors with the line of the build.yml."""
    try:
        yield
    except (NotFound, Denied, Storage, Usage) as e:
        raise type(e)(f"{item.where}: {e.message}", e.hint) from None
