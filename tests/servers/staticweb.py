"""Static web servers over a folder, as stores meet them: with and without listings, ranges, ETags and TLS."""

from __future__ import annotations

import functools
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import IO, Any


@contextmanager
def plain(folder: Path) -> Iterator[str]:
    """Python's own server: it lists folders and ignores Range. Its URL."""
    with _serving(functools.partial(_Quiet, directory=str(folder))) as url:
        yield url


@contextmanager
def served(
    folder: Path, *, listings: bool = True, ranges: bool = True, tls: tuple[Path, Path] | None = None, hide: int = 404
) -> Iterator[str]:
    """A server as a web host's: folders are answered with `hide` unless it lists them. Its URL, without a slash."""
    options = {"listings": listings, "ranges": ranges, "hide": hide}
    with _serving(functools.partial(_Host, options, directory=str(folder)), tls) as url:
        yield url


@contextmanager
def answering(pages: dict[str, str]) -> Iterator[str]:
    """A server of these pages, by their paths; those that end in a slash are HTML. Its URL."""

    class Pages(_Quiet):
        def do_GET(self) -> None:
            page = pages.get(self.path)
            self.send_response(404 if page is None else 200)
            self.send_header("Content-Type", "text/html" if self.path.endswith("/") else "application/octet-stream")
            self.end_headers()
            self.wfile.write((page or "").encode())

    with _serving(Pages) as url:
        yield url


def certificate(folder: Path) -> tuple[Path, Path] | None:
    """A new self-signed certificate for localhost and its key; None where there is no openssl program."""
    program = shutil.which("openssl")
    if program is None:
        return None
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = [program, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(cert), "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


@contextmanager
def _serving(handler: Any, tls: tuple[Path, Path] | None = None) -> Iterator[str]:
    server = _Listener(("127.0.0.1", 0), handler)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http{'s' * bool(tls)}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no news."""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


class _Host(_Quiet):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, options: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        self.options = options
        super().__init__(*args, **kwargs)

    def list_directory(self, path: Any) -> BytesIO | None:
        if self.options["listings"]:
            return super().list_directory(path)
        self.send_error(self.options["hide"])
        return None

    def send_head(self) -> IO[bytes] | BytesIO | None:  # type: ignore[override]
        path = Path(self.translate_path(self.path))
        span = self.headers.get("Range", "")
        if not self.options["ranges"] or not span.startswith("bytes=") or not path.is_file():
            return super().send_head()
        data = path.read_bytes()
        first, _, last = span.removeprefix("bytes=").partition("-")
        start = int(first) if first else max(0, len(data) - int(last))
        end = min(int(last) if first and last else len(data) - 1, len(data) - 1)
        if start >= len(data) or start > end:
            self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            self.send_header("Content-Range", f"bytes */{len(data)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return None
        self.send_response(HTTPStatus.PARTIAL_CONTENT)
        self.send_header("Content-Range", f"bytes {start}-{end}/{len(data)}")
        self.send_header("Content-Length", str(end - start + 1))
        self.send_header("ETag", f'"{path.stat().st_mtime_ns:x}"')
        self.end_headers()
        return BytesIO(data[start : end + 1])
