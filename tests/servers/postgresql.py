"""A PostgreSQL server for a test run: in a folder of its own, on 127.0.0.1, with passwords that nobody else has.

It needs the server's programs (Debian: postgresql); started by root it runs as the user postgres.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SECONDS = 60


@dataclass(frozen=True)
class Postgres:
    """A server, the password of its superuser postgres, and the one of `reader`, who may read what there is."""

    port: int
    admin: str
    password: str

    def url(self, user: str = "reader", password: str | None = None, database: str = "postgres") -> str:
        """The URL to connect with; `password`: another one than the user's."""
        found = (self.admin if user == "postgres" else self.password) if password is None else password
        return f"postgresql://{user}:{found}@127.0.0.1:{self.port}/{database}"

    @contextmanager
    def connect(self, user: str = "postgres") -> Iterator[Any]:
        """A connection of which each statement holds at once."""
        from adbc_driver_postgresql import dbapi

        with dbapi.connect(self.url(user), autocommit=True) as connection:
            yield connection

    def run(self, *statements: str) -> None:
        """Run statements as the superuser."""
        with self.connect() as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows of a query of the superuser."""
        with self.connect() as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return [tuple(row) for row in cursor.fetchall()]


def program(name: str) -> str | None:
    """A program of the server: on the PATH, or where Debian has it."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: p.parent.name.zfill(4), reverse=True)
    return shutil.which(name) or next((found for p in places if (found := shutil.which(name, path=str(p)))), None)


def missing() -> str:
    """Why there is no server here, or nothing."""
    if not (program("initdb") and program("postgres")):
        return "no PostgreSQL here: initdb and postgres are not installed (Debian: apt-get install postgresql)"
    if os.getuid() == 0 and not _user():
        return "no PostgreSQL here: root may not run it, and there is no user postgres"
    return ""


def _user() -> dict[str, Any]:
    """As whom to run it: PostgreSQL refuses root."""
    import pwd

    if os.getuid() != 0:
        return {}
    try:
        found = pwd.getpwnam("postgres")
    except KeyError:
        return {}
    return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}


@contextmanager
def server() -> Iterator[Postgres]:
    """A server that is ready, and gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="dpkg-postgres-"))  # not below pytest's, which other users may not enter
    try:
        folder.chmod(0o711)
        data = folder / "data"
        data.mkdir(mode=0o700)
        if who := _user():
            os.chown(data, who["user"], who["group"])
        found = Postgres(_free_port(), secrets.token_hex(12), secrets.token_hex(12))
        _initialise(folder, data, found, who)
        process = _start(folder, data, found, who)
        try:
            _wait(process, found, folder / "log")
            found.run(f"CREATE ROLE reader LOGIN PASSWORD '{found.password}'", "GRANT pg_read_all_data TO reader")
            yield found
        finally:
            process.send_signal(signal.SIGQUIT)  # at once: nothing of it is kept
            process.wait(30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _initialise(folder: Path, data: Path, server: Postgres, who: dict[str, Any]) -> None:
    secret = folder / "password"
    secret.write_text(server.admin)
    if who:
        os.chown(secret, who["user"], who["group"])
    options = ["-U", "postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]
    command = [str(program("initdb")), "-D", str(data), f"--pwfile={secret}", *options]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", **who)
    if done.returncode:
        raise RuntimeError(f"initdb failed:\n{done.stdout}{done.stderr}")


def _start(folder: Path, data: Path, server: Postgres, who: dict[str, Any]) -> subprocess.Popen[bytes]:
    settings = ["fsync=off", "listen_addresses=127.0.0.1", "unix_socket_directories=", "log_statement=all"]
    options = [word for setting in settings for word in ("-c", setting)]
    with open(folder / "log", "wb") as log:
        command = [str(program("postgres")), "-D", str(data), "-p", str(server.port), *options]
        return subprocess.Popen(command, stdout=log, stderr=log, cwd="/", preexec_fn=_die_with_parent, **who)


_LIBC = ctypes.CDLL(None)  # that user may not be allowed to import anything


def _die_with_parent() -> None:
    if sys.platform == "linux":
        _LIBC.prctl(1, signal.SIGQUIT)  # PR_SET_PDEATHSIG


def _wait(process: subprocess.Popen[bytes], server: Postgres, log: Path) -> None:
    until = time.monotonic() + _SECONDS
    while process.poll() is None and time.monotonic() < until:
        try:
            return server.run("SELECT 1")
        except Exception:  # noqa: BLE001 - whatever a server that is not ready says
            time.sleep(0.05)
    raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text(errors='replace')[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
