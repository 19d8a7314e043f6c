"""An HTTP proxy between a client and a server, which counts requests and breaks those that a test names.

    with FaultProxy(server.endpoint) as proxy:
        proxy.on(lost_answer, method="PUT", key="refs/", nth=1)
        ...
        assert proxy.count("GET") == 3

The Host header goes on as it came: the client signed it, and the server checks the signature with it.
"""

from __future__ import annotations

import http.client
import re
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit

_HOP = ("connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade", "content-length")


@dataclass
class Request:
    """A request that came in, and what was answered."""

    method: str
    key: str  # the path, decoded: of S3, bucket and key
    query: dict[str, str]
    headers: dict[str, str]  # names in small letters
    body: bytes = field(repr=False)
    target: str  # path and query as they came
    status: int = 0  # of the answer; 0 if there was none
    sent: int = 0  # bytes of the answer's body


@dataclass
class Answer:
    """An answer to a request."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes = field(repr=False)


class Break(Exception):
    """The connection is reset, after what was sent so far."""


Forward = Callable[[Request], Answer]
Fault = Callable[[Request, Forward, "Exchange"], Answer]  # what happens instead of just `forward(request)`


# Faults


def reset(request: Request, forward: Forward, exchange: Exchange) -> Answer:
    """The connection breaks; the request never arrives."""
    raise Break


def lost_answer(request: Request, forward: Forward, exchange: Exchange) -> Answer:
    """The request is carried out; then the connection breaks."""
    forward(request)
    raise Break


def cut(share: float = 0.5) -> Fault:
    """The connection breaks in the middle of the answer's body."""

    def fault(request: Request, forward: Forward, exchange: Exchange) -> Answer:
        answer = forward(request)
        exchange.send_head(answer)
        exchange.send_body(answer.body[: int(len(answer.body) * share)])
        raise Break

    return fault


def stall(seconds: float, *, deliver: bool = True) -> Fault:
    """The answer comes `seconds` late; with `deliver=False` the request is not carried out and nothing comes."""

    def fault(request: Request, forward: Forward, exchange: Exchange) -> Answer:
        exchange.sleep(seconds)
        if not deliver:
            raise Break
        return forward(request)

    return fault


def trickle(step: int, pause: float) -> Fault:
    """The answer's body comes `step` bytes at a time, with pauses."""

    def fault(request: Request, forward: Forward, exchange: Exchange) -> Answer:
        answer = forward(request)
        exchange.send_head(answer)
        for at in range(0, len(answer.body), step):
            exchange.send_body(answer.body[at : at + step])
            exchange.sleep(pause)
        return answer

    return fault


def without(header: str) -> Fault:
    """The server does not see `header`: If-None-Match for a store that ignores conditions."""

    def fault(request: Request, forward: Forward, exchange: Exchange) -> Answer:
        request.headers.pop(header.lower(), None)
        return forward(request)

    return fault


def status(code: int, name: str = "", message: str = "", *, region: str = "", retry_after: str = "") -> Fault:
    """S3's error `name`, in the XML that AWS sends; `region` is the one it says to use."""

    def fault(request: Request, forward: Forward, exchange: Exchange) -> Answer:
        where = f"<Region>{region}</Region>" if region else ""
        text = f"<Code>{name}</Code><Message>{message}</Message>{where}<RequestId>TEST</RequestId>"
        body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{text}</Error>'.encode() if name else b""
        headers = [("Content-Type", "application/xml")]
        headers += [("x-amz-bucket-region", region)] * bool(region) + [("Retry-After", retry_after)] * bool(retry_after)
        return Answer(code, headers, body)

    return fault


slow_down = status(503, "SlowDown", "Please reduce your request rate.")
internal_error = status(500, "InternalError", "We encountered an internal error. Please try again.")
too_many = status(429, "TooManyRequests", "Please reduce your request rate.")
bad_gateway = status(502)  # a load balancer's: no XML
unknown_key = status(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
bad_signature = status(
    403, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided."
)
denied = status(403, "AccessDenied", "Access Denied")
expired_token = status(400, "ExpiredToken", "The provided token has expired.")
skewed = status(
    403, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large."
)
moved = status(
    301,
    "PermanentRedirect",
    "The bucket you are attempting to access must be addressed using the specified endpoint.",
    region="eu-central-1",
)
wrong_region = status(
    400,
    "AuthorizationHeaderMalformed",
    "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-central-1'",
    region="eu-central-1",
)
no_bucket = status(404, "NoSuchBucket", "The specified bucket does not exist")
conflicting = status(
    409, "ConditionalRequestConflict", "A conflicting conditional operation is currently in progress on this resource."
)


# The proxy


@dataclass
class Rule:
    """A fault, and the requests it is for."""

    fault: Fault
    method: str  # a pattern for the whole method
    key: str  # a pattern found in the key
    nth: int  # the first that is met, from 1
    times: int | None  # how many are met; None: all from there
    seen: int = 0
    hits: int = 0  # how many were met

    def meets(self, request: Request) -> bool:
        if not re.fullmatch(self.method, request.method) or not re.search(self.key, request.key):
            return False
        self.seen += 1
        met = self.seen >= self.nth and (self.times is None or self.seen < self.nth + self.times)
        self.hits += met
        return met


class FaultProxy:
    """A proxy in front of the server at `target`, http://host:port, in threads of this process."""

    def __init__(self, target: str) -> None:
        self.target = urlsplit(target).netloc
        self.requests: list[Request] = []
        self._rules: list[Rule] = []
        self._lock = threading.Lock()
        self.closed = threading.Event()
        self._server = _Listener(("127.0.0.1", 0), Exchange)
        self._server.proxy = self
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        """Where clients connect to."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def on(self, fault: Fault, *, method: str = ".*", key: str = "", nth: int = 1, times: int | None = 1) -> Rule:
        """Meet requests with a fault; the first rule that fits is used."""
        rule = Rule(fault, method, key, nth, times)
        with self._lock:
            self._rules.append(rule)
        return rule

    def clear(self) -> None:
        """Forget the requests and the rules."""
        with self._lock:
            self.requests.clear()
            self._rules.clear()

    def count(self, method: str = ".*", key: str = "") -> int:
        """How many requests came."""
        return len(self.seen(method, key))

    def seen(self, method: str = ".*", key: str = "") -> list[Request]:
        """The requests that came: `method` a pattern for all of it, `key` one that is found in it."""
        with self._lock:
            return [r for r in self.requests if re.fullmatch(method, r.method) and re.search(key, r.key)]

    def take(self, request: Request) -> Fault | None:
        """Note a request; the fault that meets it."""
        with self._lock:
            self.requests.append(request)
            return next((rule.fault for rule in self._rules if rule.meets(request)), None)

    def close(self) -> None:
        """Stop; connections break."""
        self.closed.set()
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    proxy: FaultProxy

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no news."""


class Exchange(BaseHTTPRequestHandler):
    """A client's connection: its requests, one after another."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Listener
    _up: http.client.HTTPConnection | None = None

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        request = self._request()
        self._head_sent = False
        fault = self.server.proxy.take(request)
        try:
            answer = fault(request, self._forward, self) if fault else self._forward(request)
        except (Break, OSError, http.client.HTTPException):
            self._break()
            return
        request.status, request.sent = answer.status, len(answer.body)  # before the client goes on
        if not self._head_sent:
            self.send_head(answer)
            self.send_body(answer.body if request.method != "HEAD" else b"")

    def _request(self) -> Request:
        target = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(target.query, keep_blank_values=True).items()}
        headers = {name.lower(): value for name, value in self.headers.items()}
        key = unquote(target.path).lstrip("/")
        chunked = "chunked" in headers.get("transfer-encoding", "").lower()
        body = self._chunks() if chunked else self.rfile.read(int(headers.get("content-length", 0)))
        return Request(self.command, key, query, headers, body, self.path)

    def _chunks(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():  # trailers
            pass
        return b"".join(parts)

    def _forward(self, request: Request) -> Answer:
        """Ask the server. Never twice: a test counts on what it sees."""
        try:
            return self._ask(request)
        except (OSError, http.client.HTTPException):
            self._hang_up()
            raise

    def _ask(self, request: Request) -> Answer:
        fresh = self._up is None
        up = self._up = self._up or http.client.HTTPConnection(self.server.proxy.target, timeout=60)
        if fresh:
            up.connect()
            up.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        up.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
        for name, value in request.headers.items():
            if name not in (*_HOP, "expect"):
                up.putheader(name, value)
        if request.body or request.method in ("PUT", "POST"):
            up.putheader("Content-Length", str(len(request.body)))
        up.endheaders(request.body or None)
        found = up.getresponse()
        body = found.read()
        headers = [(name, value) for name, value in found.getheaders() if name.lower() not in _HOP]
        if request.method == "HEAD" and (length := found.getheader("Content-Length")):
            headers.append(("Content-Length", length))
        return Answer(found.status, headers, body)

    def send_head(self, answer: Answer) -> None:
        """The status line and headers of an answer."""
        self._head_sent = True
        self.send_response_only(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        if answer.status != 204 and not any(name == "Content-Length" for name, _ in answer.headers):
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()

    def send_body(self, data: bytes) -> None:
        """Some of the body."""
        self.wfile.write(data)
        self.wfile.flush()

    def sleep(self, seconds: float) -> None:
        """Wait; the proxy's end ends it."""
        if self.server.proxy.closed.wait(seconds):
            raise Break

    def _break(self) -> None:
        """Reset the connection instead of closing it properly."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        time.sleep(0.01)  # what was sent is delivered first: a reset throws it away
        self.connection.close()

    def _hang_up(self) -> None:
        if self._up is not None:
            self._up.close()
            self._up = None

    def finish(self) -> None:
        self._hang_up()
        with suppress(OSError):  # the client was gone, or we broke it
            super().finish()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: tests ask `requests`."""
