"""URLs of databases: what of one may be shown, and what never may. `${NAME}` in one is a variable of the environment.

And small things of SQL that is text: names, ends, lines.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from dpkg import settings
from dpkg.errors import Usage

KINDS = ("postgresql", "postgres", "sqlite")
_HINT = "write postgresql://user@host:port/database or sqlite:///file.db; percent-encode what is special (@ is %40, / is %2F)"
_SECRET = re.compile(r"pass|secret|token", re.IGNORECASE)
PASSWORD = (
    "a password stands here, and build.yml is kept with the package",
    "put the URL, or the password, into a variable of the environment, and write ${NAME} in its place",
)
_WITH_KEY = re.compile(
    r"(?<![\w+.-])[\w+.-]*://[^\s'\"]*[?&][^\s&='\"]*(?:pass|secret|token|signature|credential|api[-_]?key)[^\s&='\"]*=([^\s&'\"#]+)",
    re.IGNORECASE,
)
_WITH_PASSWORD = re.compile(r"(?<![\w+.-])[\w+.-]*://[^\s/@:'\"]*:([^\s/@'\"]+)@")
_LITERAL = re.compile(r"(?!\$\{[^}]*\}$).+")


_TOKEN = re.compile(
    r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(\w*)\$.*?\$\1\$|(?P<empty>--[^\n]*|/\*.*?\*/|\s+)|.""", re.DOTALL
)


def bare(sql: str) -> str:
    """A statement without a semicolon at its end, and what follows that: to stand within another."""
    last = ""
    at = 0
    for token in _TOKEN.finditer(sql):
        if token.group("empty") is None:
            last, at = token.group(), token.start()
    return sql[:at] if last == ";" else sql


def quoted(name: str) -> str:
    """An identifier of SQL, as every database takes it."""
    return '"' + name.replace('"', '""') + '"'


def line_in(said: str, before: int = 0) -> str:
    """The line that PostgreSQL or DuckDB finds wrong, for people; `before` are lines of ours that stand before the SQL."""
    found = re.search(r"^LINE (\d+): ", said, re.MULTILINE)
    return f" (line {int(found[1]) - before} of the SQL)" if found and int(found[1]) > before else ""


class Database(NamedTuple):
    """A database: its whole URL, to connect with; and as it may be shown, without passwords and options."""

    kind: str  # postgresql or sqlite
    url: str
    shown: str
    path: str  # of an SQLite file
    secrets: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Database({self.shown})"

    def clean(self, text: str) -> str:
        """A text from elsewhere, an error for one, without what is secret."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text


def check_literal(text: str) -> None:
    """Raises Usage for a URL that holds a password itself, not as `${NAME}`: build.yml is kept with what it made."""
    user, at, _ = text.partition("://")[2].rpartition("@")
    password = user.partition(":")[2]
    options = parse_qsl(text.partition("?")[2], keep_blank_values=True)
    found = [password] if at and password else []
    found += [value for name, value in options if _SECRET.search(name)]
    if any(_LITERAL.fullmatch(value) for value in found):
        raise Usage(*PASSWORD)


def password_in(line: str) -> int:
    """The column of a URL with a password or a key in a line of text, from 1 on; 0 if there is none."""
    found = (m for each in (_WITH_PASSWORD, _WITH_KEY) for m in each.finditer(line) if _LITERAL.fullmatch(m.group(1)))
    return next((m.start() + 1 for m in found), 0)


def parse(text: str) -> Database:
    """The database that a URL names, its variables filled in. Raises Usage, which shows nothing of their values."""
    url = settings.expand_variables(text, part=lambda value: quote(value, safe=""))
    shown = f"'{text}'" if "${" in text else "the URL"
    try:
        parts = urlsplit(url)
        user, _, hosts = parts.netloc.rpartition("@")
    except ValueError:
        raise Usage(f"{shown} is no URL of a database", _HINT) from None
    kind = parts.scheme.replace("postgresql", "postgres").replace("postgres", "postgresql")
    if kind not in KINDS or "@" in parts.path + parts.query + parts.fragment + user or parts.fragment:
        raise Usage(f"{shown} is no URL of a database", _HINT)
    if kind == "sqlite":
        if parts.netloc or parts.query or len(parts.path) < 2:
            raise Usage(
                f"{shown} is no URL of an SQLite file", "sqlite:///file.db beside build.yml, or sqlite:////path"
            )
        return Database(kind, url, url, unquote(parts.path[1:]), ())
    if not all(re.fullmatch(r"(\[[^]]*\]|[^:/\[\]]*)(:\d+)?", host) for host in hosts.split(",")):
        raise Usage(f"{shown} is no URL of a database", _HINT)
    name, _, password = user.partition(":")
    values = [value for key, value in parse_qsl(parts.query) if _SECRET.search(key)]
    secrets = {password, unquote(password), *values, *(quote(value, safe="") for value in values), parts.query, url}
    at = f"{name}@" if name else ""
    return Database(kind, url, f"postgresql://{at}{hosts}{parts.path}", "", tuple(secrets - {""}))
