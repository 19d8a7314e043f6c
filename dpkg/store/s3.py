"""A store in a bucket of an S3 service, through s3fs: its sessions, keys, regions and endpoints, and single requests.

Not s3fs's file operations: these look before they read, cache listings, and create by a check. Each method here is as
few requests as S3 allows, tried again where that can help.
"""

from __future__ import annotations

import os
from _thread import allocate_lock
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

from dpkg import settings
from dpkg.address import Address
from dpkg.errors import DpkgError, NotFound, Usage
from dpkg.store import proof, s3errors, web
from dpkg.store.base import Stat, Tail, replaced
from dpkg.store.keys import TEMP, check_key, check_prefix, is_part

if TYPE_CHECKING:
    from typing import BinaryIO

T = TypeVar("T")
PART = 16 << 20  # bytes of a larger value that are sent at once; the most that is in memory of it
_PAGE = 1000  # keys that a service lists at most in an answer
_MAX_PARTS = 9000  # S3 allows 10,000


class S3Backend:
    """A `Backend` at s3://bucket/prefix. Refs are written only where the service honours create-if-absent (`proof`)."""

    def __init__(self, address: Address) -> None:
        bucket, _, prefix = address.place.partition("/")
        prefix = prefix.strip("/")
        if not bucket or "//" in prefix:
            raise Usage(f"'s3://{address.place}' names no bucket", "write s3://bucket/folder")
        self._bucket, self._prefix = bucket, f"{prefix}/" if prefix else ""
        self._options = address.options
        query = urlencode(address.options, safe=":/")
        self.url = f"s3://{bucket}" + (f"/{prefix}" if prefix else "") + (f"?{query}" if query else "")
        self._timeout = settings.timeout()
        self._filesystem = _client(tuple(sorted(address.options.items())), self._timeout, settings.cloud_environment())
        self._proof_lock = allocate_lock()
        self._proven: bool | None = None

    # Reading

    def get(self, key: str) -> bytes:
        return self._read(key, None)[0]

    def get_range(self, key: str, start: int, length: int, etag: str = "") -> bytes:
        if length <= 0:
            return b""
        if start < 0 and length < -start:
            tail = self.get_tail(key, -start)
            return tail.data[:length]
        span = f"bytes={start}-{start + length - 1}" if start >= 0 else f"bytes={start}"
        return self._read(key, span, etag)[0]

    def get_tail(self, key: str, length: int) -> Tail:
        data, answer = self._read(key, f"bytes=-{max(1, length)}")
        size = int(answer.get("ContentRange", f"/{len(data)}").rpartition("/")[2])
        return Tail(data if length > 0 else b"", size, answer.get("ETag", ""))

    def _read(self, key: str, span: str | None, etag: str = "") -> tuple[bytes, dict[str, Any]]:
        more = {**({"Range": span} if span else {}), **({"IfMatch": etag} if etag else {})}

        async def read(client: Any, where: dict[str, str]) -> tuple[bytes, dict[str, Any]]:
            answer = await client.get_object(**where, **more)
            async with answer["Body"] as body:
                return await body.read(), answer

        try:
            data, answer = self._ask("read", read, key)
        except s3errors.Unmet:
            raise replaced(key, self.url) from None
        except s3errors.Beyond:  # no byte of the value is in the range
            return b"", {} if span is None or not span.startswith("bytes=-") else self._empty(key)
        return data, answer

    def _empty(self, key: str) -> dict[str, Any]:
        """What to say of a value that has no last byte."""
        stat = self.stat(key)
        if stat is None:
            raise self._missing(key)
        return {"ETag": stat.etag, "ContentRange": f"/{stat.size}"}

    def stat(self, key: str) -> Stat | None:
        async def head(client: Any, where: dict[str, str]) -> Any:
            return await client.head_object(**where)

        try:
            answer = self._ask("read", head, key)
        except NotFound:
            return None
        return Stat(key, int(answer["ContentLength"]), answer.get("ETag", ""))

    def list(self, prefix: str, limit: int | None = None, after: str = "") -> Iterator[Stat]:
        check_prefix(prefix)
        return iter(()) if prefix.startswith(f"{TEMP}/") or limit == 0 else self._pages(prefix, limit, after)

    def _pages(self, prefix: str, limit: int | None, after: str) -> Iterator[Stat]:
        left = limit
        while True:
            found, more = self._page(prefix, _PAGE if left is None else min(left, _PAGE), after)
            for stat in found:
                after = stat.key
                if not all(map(is_part, stat.key.split("/"))) or stat.key.startswith(f"{TEMP}/"):
                    continue  # others' files may lie about
                yield stat
                if left is not None:
                    left -= 1
                    if not left:
                        return
            if not more:
                return

    def _page(self, prefix: str, most: int, after: str) -> tuple[Any, bool]:
        request = {"Bucket": self._bucket, "Prefix": self._prefix + prefix, "MaxKeys": most}
        if after > prefix:
            request["StartAfter"] = self._prefix + after

        async def page(client: Any, _: dict[str, str]) -> Any:
            return await client.list_objects_v2(**request)

        answer = self._ask("list", page)
        skip = len(self._prefix)
        found = [Stat(o["Key"][skip:], int(o["Size"]), o.get("ETag", "")) for o in answer.get("Contents", ())]
        return found, bool(answer.get("IsTruncated"))

    def local_path(self, key: str) -> str | None:
        check_key(key)
        return None

    # Writing

    def put(self, key: str, data: bytes | BinaryIO) -> None:
        check_key(key)
        if isinstance(data, (bytes, bytearray, memoryview)):
            self._put(key, bytes(data))
            return
        start = data.tell()
        size = data.seek(0, os.SEEK_END) - start
        data.seek(start)
        if size <= PART:
            self._put(key, data.read())
        else:
            self._put_parts(key, data, size)

    def _put(self, key: str, data: bytes, **condition: str) -> None:
        async def put(client: Any, where: dict[str, str]) -> None:
            await client.put_object(**where, Body=data, **condition)

        self._ask("write", put, key)

    def _put_parts(self, key: str, data: BinaryIO, size: int) -> None:
        """Send a large value in parts; it appears when the last one has come."""
        upload = self._ask("write", _method("create_multipart_upload"), key)["UploadId"]
        try:
            parts: list[dict[str, Any]] = []
            while piece := data.read(max(PART, -(-size // _MAX_PARTS))):
                number = len(parts) + 1
                sent = self._ask("write", _method("upload_part", UploadId=upload, PartNumber=number, Body=piece), key)
                parts.append({"PartNumber": number, "ETag": sent["ETag"]})
            end = _method("complete_multipart_upload", UploadId=upload, MultipartUpload={"Parts": parts})
            try:
                self._ask("write", end, key)
            except s3errors.Over:  # by an end whose answer was lost, if the value is there
                stat = self.stat(key)
                if stat is None or stat.size != size:
                    raise
        except BaseException:
            with suppress(DpkgError):  # the first error says more; the bucket's own rules remove what is left
                self._ask("write", _method("abort_multipart_upload", UploadId=upload), key)
            raise

    def create(self, key: str, data: bytes) -> bool:
        check_key(key)
        try:
            self._put(key, data, IfNoneMatch="*")
        except s3errors.Unmet:
            return False
        return True

    @property
    def atomic_create(self) -> bool:
        """Proven when it is first asked for, once for a store and endpoint. Raises Denied, Storage."""
        with self._proof_lock:
            if self._proven is None:
                self._proven = proof.proven(self, self._options.get("endpoint", "") or self._endpoint())
            return self._proven

    def delete(self, key: str) -> None:
        with suppress(NotFound):
            self._ask("remove", _method("delete_object"), key)

    def sync(self) -> None:
        """What S3 has answered for is durable."""

    # Requests

    def _ask(self, action: str, work: Callable[[Any, dict[str, str]], Awaitable[T]], key: str | None = None) -> T:
        """What `work` makes of a client and of where the key is, tried again while failures may pass."""
        where = {} if key is None else {"Bucket": self._bucket, "Key": self._prefix + check_key(key)}
        fs = self._filesystem()

        async def ask() -> T:
            return await work(await fs.set_session(), where)

        def explain(error: Exception) -> DpkgError | web.Passing:
            return s3errors.explain(error, action, key, self._bucket, self.url)

        return web.patiently(lambda: web.run(ask, explain), self._timeout)

    def _endpoint(self) -> str:
        async def endpoint(client: Any, _: dict[str, str]) -> str:
            return str(client.meta.endpoint_url)

        return self._ask("reach", endpoint)

    def _missing(self, key: str) -> NotFound:
        return NotFound(f"'{key}' is not in {self.url}")


@lru_cache(16)
def _client(options: tuple[tuple[str, str], ...], timeout: float, environment: str) -> web.PerProcess:
    """What is shared by all stores of one place and one environment: making a client takes longer than many requests."""
    return web.PerProcess(partial(_connect, dict(options), timeout))


def _connect(options: dict[str, str], timeout: float) -> Any:
    import s3fs

    config = {
        "connect_timeout": min(10.0, timeout),
        "read_timeout": timeout,
        "retries": {"total_max_attempts": 1},  # `web.patiently` does that, for whole requests
        "max_pool_connections": 64,
        # Payloads are signed (http) or protected by TLS; some services refuse the newer checksums.
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
    }
    session = {"profile": options["profile"]} if "profile" in options else {}
    return s3fs.S3FileSystem(
        anon=options.get("anonymous") == "true",
        endpoint_url=options.get("endpoint"),
        client_kwargs={"region_name": options["region"]} if "region" in options else None,
        config_kwargs=config,
        skip_instance_cache=True,
        use_listings_cache=False,
        **session,
    )


def _method(name: str, **more: Any) -> Callable[[Any, dict[str, str]], Awaitable[Any]]:
    """A single request by its name in botocore."""

    async def call(client: Any, where: dict[str, str]) -> Any:
        return await getattr(client, name)(**where, **more)

    return call
