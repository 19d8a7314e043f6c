"""A store that a web server shows: the files of its folder, as they are, to be read only.

Keys are listed from the server's own listings of folders (Python's http.server, Apache, nginx with autoindex), or where
it shows none from the file that `dpk update-server-info` writes, as git's dumb protocol does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import quote, unquote, urljoin, urlsplit

from dpkg import settings
from dpkg.address import Address
from dpkg.errors import Corrupt, Denied, DpkgError, NotFound, Storage, Usage
from dpkg.store import web
from dpkg.store.base import SERVER_INFO, Stat, Tail, replaced
from dpkg.store.keys import TEMP, check_key, check_prefix, is_part, walk

if TYPE_CHECKING:
    from typing import BinaryIO

    Strings = list[str]  # in the class below `list` is a method

T = TypeVar("T")
_MOST_LISTING = 64 << 20  # bytes of a listing that are read
_TOP = frozenset(("format", "objects/", "fragments/", "refs/", "derived/"))  # one of them is in any store's folder
_PASSING = frozenset((429, 500, 502, 503, 504))


class _Answer(NamedTuple):
    status: int
    headers: Any
    data: bytes


class HttpBackend:
    """A `Backend` at http(s)://host/folder that only reads; what writes raises Denied."""

    atomic_create = False

    def __init__(self, address: Address) -> None:
        self.url = f"{address.scheme}://{address.place.rstrip('/')}"
        if not urlsplit(self.url).hostname:
            raise Usage(f"'{self.url}' names no host", "write https://host/folder")
        self._timeout = settings.timeout()
        self._filesystem = web.PerProcess(self._connect)
        self._shows: bool | None = None

    # Reading

    def get(self, key: str) -> bytes:
        return self._get(check_key(key)).data

    def get_range(self, key: str, start: int, length: int, etag: str = "") -> bytes:
        if length <= 0:
            self._get(check_key(key), {"Range": "bytes=0-0"})
            return b""
        if start < 0:
            return self.get_tail(key, -start).data[:length]
        answer = self._get(check_key(key), {"Range": f"bytes={start}-{start + length - 1}"}, start + length)
        if etag and _etag(answer) != etag:
            raise replaced(key, self.url)
        return answer.data[:length] if answer.status != 200 else answer.data[start : start + length]

    def get_tail(self, key: str, length: int) -> Tail:
        answer = self._get(check_key(key), {"Range": f"bytes=-{max(1, length)}"})
        data, size = answer.data, len(answer.data)
        if answer.status == 206:
            total = str(answer.headers.get("Content-Range", "")).rpartition("/")[2]
            if not (total.isascii() and total.isdigit()):
                raise Storage(f"{self.url} does not say how long '{key}' is", "ask whoever keeps it")
            size = int(total)
        return Tail(data[max(0, len(data) - length) :], size, _etag(answer))

    def stat(self, key: str) -> Stat | None:
        try:
            answer = self._ask("HEAD", check_key(key))
        except NotFound:
            return None
        length = answer.headers.get("Content-Length")
        return Stat(key, int(length) if length else len(self.get(key)), _etag(answer))

    def list(self, prefix: str, limit: int | None = None, after: str = "") -> Iterator[Stat]:
        top = "".join(check_prefix(prefix).rpartition("/")[:2])
        found = iter(()) if prefix.startswith(f"{TEMP}/") else self._keys(prefix, after, top)
        return islice((Stat(key, -1) for key in found), limit)

    def _keys(self, prefix: str, after: str, top: str) -> Iterator[str]:
        """Keys below the folder `top`: by the server's listings, or where it shows none of that folder as written down."""
        try:
            names = self._folder(top) if self._shows_listings() else None
        except Denied:
            names = None
        if names is None:
            yield from (key for key in self._written(prefix) if key > after)
            return

        def scan(folder: str, start: str) -> Iterator[str]:
            found = names if folder == top else self._folder(folder)
            return (folder + name for name in found if name.startswith(start))

        yield from walk(prefix, after, scan)

    def _shows_listings(self) -> bool:
        """Whether the store's own folder is listed: some sites answer any path with a page of theirs."""
        if self._shows is None:
            try:
                self._shows = not _TOP.isdisjoint(self._folder(""))
            except Denied:
                self._shows = False
        return self._shows

    def _folder(self, folder: str) -> Iterable[str]:
        """Names in a folder, those of folders with a slash, by the server's listing; none if there is no such folder.

        Raises Denied where the server shows no listing of it.
        """
        try:
            answer = self._get(folder, most=_MOST_LISTING + 1)
        except NotFound:
            return ()
        if "html" not in answer.headers.get("Content-Type", "") or len(answer.data) > _MOST_LISTING:
            raise Denied(f"{self.url} shows no listing of '{folder}'", "ask whoever keeps it")
        links = _Links(f"{self.url}/{folder}")
        links.feed(answer.data.decode(errors="replace"))
        return [n for n in links.names if folder or n != f"{TEMP}/"]

    def _written(self, prefix: str) -> Strings:
        """Keys below `prefix` by the file that `dpk update-server-info` writes: what it is about, then the keys."""
        try:
            answer = self._get(SERVER_INFO, most=_MOST_LISTING)  # one that is longer is cut off here
            lines = answer.data.decode(errors="replace").split("\n")
            if len(lines) < 2 or lines[-1]:
                raise Corrupt(f"'{SERVER_INFO}' in {self.url} is cut off", "put it there again")
        except NotFound:
            raise Storage(
                f"{self.url} shows no listings of its folders, and has no '{SERVER_INFO}'",
                "run 'dpk update-server-info' in the store, and put what it writes there too",
            ) from None
        if not any(prefix.startswith(line) for line in (lines[0], *(x for x in lines if x.endswith("/")))):
            raise Storage(
                f"{self.url} shows no listings of its folders: what is under '{prefix}' cannot be listed",
                "run 'dpk update-server-info' in the store again; name packages, or whole ids; or work where the store's folder is",
            )
        return sorted({k for k in lines if k.startswith(prefix) and all(map(is_part, k.split("/")))})

    def local_path(self, key: str) -> str | None:
        check_key(key)
        return None

    # Writing

    def put(self, key: str, data: bytes | BinaryIO) -> None:
        check_key(key)
        raise self._read_only()

    def create(self, key: str, data: bytes) -> bool:
        check_key(key)
        raise self._read_only()

    def delete(self, key: str) -> None:
        check_key(key)
        raise self._read_only()

    def sync(self) -> None:
        """Nothing is written here."""

    def _read_only(self) -> Denied:
        return Denied(f"{self.url} can only be read", "write to the folder or bucket that the web server shows")

    # Requests

    def _get(self, key: str, headers: dict[str, str] | None = None, most: int | None = None) -> _Answer:
        return self._ask("GET", key, headers, most)

    def _ask(self, method: str, key: str, headers: dict[str, str] | None = None, most: int | None = None) -> _Answer:
        """The answer to a request, with the first `most` bytes (None: all) of its body."""
        url = f"{self.url}/{quote(key)}"
        fs = self._filesystem()

        async def ask() -> _Answer:
            session = await fs.set_session()
            async with session.request(method, url, headers={"Accept-Encoding": "identity", **(headers or {})}) as got:
                folder = key and not key.endswith("/") and got.url.path.endswith("/")  # we were sent on to its listing
                return _Answer(404 if folder else got.status, got.headers, await _body(got, most))

        def attempt() -> _Answer:
            answer = web.run(ask, self._explain)
            self._refuse(answer, key)
            return answer._replace(data=b"") if answer.status == 416 else answer

        return web.patiently(attempt, self._timeout)

    def _refuse(self, answer: _Answer, key: str) -> None:
        """Raise what an answer without a value means."""
        status = answer.status
        if status in (200, 206, 416):
            return
        if status in (404, 410):
            raise NotFound(f"'{key}' is not in {self.url}")
        if status in _PASSING:
            raise web.Passing(Storage(f"{self.url} answers with HTTP {status} for '{key}'", "try again later"))
        if status in (401, 403, 407):
            raise Denied(f"{self.url} does not let you read '{key}' (HTTP {status})", "ask whoever keeps it")
        raise Storage(f"{self.url} answers with HTTP {status} for '{key}'", "is this the address of a store?")

    def _explain(self, error: Exception) -> DpkgError | web.Passing:
        name = type(error).__name__
        if isinstance(error, TimeoutError) or "Timeout" in name:
            said = Storage(
                f"{self.url} does not answer in time", "check the network, or give it longer with DPK_TIMEOUT"
            )
        elif "Certificate" in name or "SSL" in name:
            return Storage(f"{self.url}: the certificate of the server is not trusted", "check the address")
        elif "InvalidURL" in name or isinstance(error, ValueError):
            return Usage(f"'{self.url}' is no URL", "write https://host/folder")
        elif "Connector" in name:
            said = Storage(f"{self.url} cannot be reached", "is the server up? check the network and the address")
        else:
            said = Storage(f"the connection to {self.url} broke off ({name})", "check the network, then try again")
        return web.Passing(said)

    def _connect(self) -> Any:
        from aiohttp import ClientTimeout
        from fsspec.implementations.http import HTTPFileSystem

        timeout = ClientTimeout(total=None, sock_connect=min(10.0, self._timeout), sock_read=self._timeout)
        return HTTPFileSystem(client_kwargs={"timeout": timeout, "trust_env": True}, skip_instance_cache=True)


async def _body(answer: Any, most: int | None) -> bytes:
    """The first bytes of a body, whatever its length is said to be."""
    if most is None:
        return bytes(await answer.read())
    data = bytearray()
    while len(data) <= most and (piece := await answer.content.read(most + 1 - len(data))):
        data += piece
    return bytes(data[:most])


def _etag(answer: _Answer) -> str:
    headers = answer.headers
    return str(headers.get("ETag") or headers.get("Last-Modified") or "")


class _Links(HTMLParser):
    """The names in a listing of the folder at a URL: links to just below it."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self._base = base
        self.names: dict[str, None] = {}  # in order, each once

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        link = dict(attrs).get("href") if tag == "a" else None
        if not link:
            return
        target = urljoin(self._base, link)
        name = unquote(target.removeprefix(self._base))
        if target.startswith(self._base) and is_part(name.removesuffix("/")):
            self.names[name] = None
