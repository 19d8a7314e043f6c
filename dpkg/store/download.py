"""One file from anywhere: a URL that a web server, S3, or what else fsspec knows, answers. It is copied in pieces."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dpkg import address
from dpkg.errors import Denied, NotFound, Storage, Usage
from dpkg.store import s3errors, web
from dpkg.store.local import failure

if TYPE_CHECKING:
    from typing import IO

_PIECE = 1 << 20
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_PASSING = frozenset((429, 500, 502, 503, 504))
_WEB = ("http", "https")


def is_url(text: str) -> bool:
    """Whether a build.yml means a URL by this, and not a path."""
    return bool(_URL.match(text)) or ("://" in text and "::" in text.partition("://")[0])


def shown(url: str) -> str:
    """A URL as it may be shown: of the web without what follows `?` or `#`, which may hold keys. Raises Usage for one with a password."""
    plain = _plain(url)
    address.parse(plain)
    return plain


def name_of(url: str) -> str:
    """The name of the file at a URL; of `zip://a.csv::https://…` that of the file within."""
    first = next((part for part in url.split("::") if "://" in part), url)
    scheme = first.partition("://")[0].lower()
    return (re.split("[?#]", first, maxsplit=1)[0] if scheme in (*_WEB, "s3") else first).rpartition("/")[2]


def _plain(url: str) -> str:
    scheme = url.partition("://")[0].lower()
    return re.split("[?#]", url, maxsplit=1)[0] if scheme in _WEB else url


def download(url: str, out: IO[bytes]) -> None:
    """Copy the file at `url` into `out`, which is at its start and can seek.

    Raises NotFound, Denied, Storage, and Usage for a URL that is none; no message holds a secret.
    """
    parsed = address.parse(_plain(url))
    if parsed.scheme in _WEB:
        _from_web(url, parsed, out)
    elif parsed.scheme == "s3":
        _from_s3(parsed, out)
    else:
        _from_elsewhere(parsed, out)


def _write(out: IO[bytes], data: bytes) -> None:
    try:
        out.write(data)
    except OSError as e:
        raise failure(e, "write", str(getattr(out, "name", "a temporary file"))) from e


def _from_web(url: str, parsed: address.Address, out: IO[bytes]) -> None:
    from dpkg.store.http import HttpBackend

    server = HttpBackend(parsed)  # it knows how to connect, and what its failures mean
    name, etag = f"{parsed.scheme}://{parsed.place}", ""

    async def ask() -> None:
        nonlocal etag
        from yarl import URL

        session = await server._filesystem().set_session()
        done = out.tell()
        headers = {"Accept-Encoding": "identity"}
        if done and etag:
            headers |= {"Range": f"bytes={done}-", "If-Range": etag}
        async with session.request("GET", URL(url.partition("#")[0], encoded="%" in url), headers=headers) as got:
            _refuse(got.status, name)
            if got.status != 206:
                out.seek(0)
                out.truncate()
            etag = str(got.headers.get("ETag") or got.headers.get("Last-Modified") or "")
            etag = "" if etag.startswith("W/") else etag  # a weak one does not promise the same bytes
            async for piece in got.content.iter_chunked(_PIECE):
                _write(out, piece)

    web.patiently(lambda: web.run(ask, server._explain), server._timeout)


def _refuse(status: int, name: str) -> None:
    """Raise what an answer without the file means."""
    if status in (200, 206):
        return
    if status in (404, 410):
        raise NotFound(f"there is no file at {name} (HTTP {status})", "check the URL")
    if status in _PASSING:
        raise web.Passing(Storage(f"{name} answers with HTTP {status}", "try again later"))
    if status in (401, 403, 407):
        raise Denied(f"{name} does not let you read it (HTTP {status})", "a user and password come from ~/.netrc")
    raise Storage(f"{name} answers with HTTP {status}", "check the URL")


def _from_s3(parsed: address.Address, out: IO[bytes]) -> None:
    from dpkg.store.s3 import PART, S3Backend

    bucket, _, key = parsed.place.partition("/")
    if not key or key.endswith("/"):
        raise Usage(f"'s3://{parsed.place}' names no file", "write s3://bucket/folder/file")
    backend = S3Backend(parsed._replace(place=bucket))
    etag = ""

    def part(span: dict[str, str]) -> Callable[[Any, dict[str, str]], Any]:
        async def ask(client: Any, _: dict[str, str]) -> Any:
            answer = await client.get_object(Bucket=bucket, Key=key, **span)
            async with answer["Body"] as body:
                return await body.read(), answer

        return ask

    while True:
        span = {"Range": f"bytes={out.tell()}-{out.tell() + PART - 1}", **({"IfMatch": etag} if etag else {})}
        try:
            data, answer = backend._ask("read", part(span))
        except s3errors.Beyond:  # it is empty
            return
        except s3errors.Unmet:
            raise Storage(f"s3://{parsed.place} was changed while it was read", "try again") from None
        except NotFound:
            raise NotFound(f"there is no file at s3://{parsed.place}", "check the URL") from None
        _write(out, data)
        etag = answer.get("ETag", "")
        if out.tell() >= int(str(answer.get("ContentRange", "")).rpartition("/")[2] or 0):
            return


def _from_elsewhere(parsed: address.Address, out: IO[bytes]) -> None:
    from dpkg.store.other import OtherBackend

    place = OtherBackend(parsed)

    def copy() -> None:
        with place._fs.open(place._root, "rb") as source:
            while piece := source.read(_PIECE):
                _write(out, piece)

    try:
        place._try("read", "", copy)
    except NotFound:
        raise NotFound(f"there is no file at {place.url}", "check the URL") from None
