"""Addresses of stores: a folder's path, or `scheme://place?option=value`. An address may be shown: it holds no secret."""

from __future__ import annotations

import re
from typing import NamedTuple

from dpkg.errors import Usage

# Options of an address: where and as whom to ask, never a key. Others than these are refused.
S3_OPTIONS = {
    "endpoint": "the URL of the S3 service, for others than AWS",
    "region": "the region of the bucket",
    "profile": "the profile in ~/.aws that holds the keys",
    "anonymous": "true: ask without keys, for public buckets",
}
_OPTIONS = {"s3": S3_OPTIONS}
_KEYLESS = ("s3", "http", "https")  # where also what stands for a user may be a key
_SCHEME = re.compile(r"[a-z][a-z0-9+.:_-]*")
_ENDPOINT = re.compile(r"https?://[^@?#\s]+")
_KEYS_HINT = "keys come from the environment (AWS_ACCESS_KEY_ID, FSSPEC_SFTP_PASSWORD and so on), ~/.aws, or ~/.netrc"


class Address(NamedTuple):
    """A parsed address. `scheme` is empty for a path."""

    scheme: str
    place: str  # what is behind ://, without options: bucket/prefix, host/path
    options: dict[str, str]


def parse(text: str) -> Address:
    """The parts of an address. Raises Usage for what is none, and for one that holds a user, a password or a key."""
    scheme, mark, rest = text.partition("://")
    if not mark:
        return Address("", text, {})
    scheme = scheme.lower()
    if not _SCHEME.fullmatch(scheme):
        raise Usage("what stands before '://' in an address is no kind of place", "a folder, s3://, https:// or such")
    place, question, query = rest.partition("?")
    shown = f"{scheme}://…"
    if scheme in ("file", "memory"):  # a path may hold anything
        return Address(scheme, rest, {})
    if scheme in _KEYLESS and place.startswith("/"):
        raise Usage(
            f"the address {shown} names no {'bucket' if scheme == 's3' else 'host'}", f"write {scheme}://NAME/folder"
        )
    if any(map(_holds_key, text.split("::"))):  # fsspec reaches some places through others: zip::https://…
        raise Usage(f"the address {shown} holds a user or password", f"leave it out; {_KEYS_HINT}")
    if "#" in rest or (question and scheme not in _OPTIONS):
        raise Usage(f"the address {shown} holds more than a place ('?…' or '#…')", f"leave it out; {_KEYS_HINT}")
    return Address(scheme, place, _options(scheme, query) if question else {})


def shown(text: str) -> str:
    """An address of whatever origin as it may be shown: of one that `parse` refuses, only how it begins."""
    try:
        parse(text)
    except Usage:
        return f"{text.partition('://')[0]}://…"
    return text


def _holds_key(text: str) -> bool:
    """Whether `scheme://user:password@host:port/path` has what may be a secret. A user alone is none, but for the web's."""
    scheme, mark, rest = text.partition("://")
    user, at, host = rest.partition("/")[0].rpartition("@")
    if scheme.lower() in _KEYLESS:
        return bool(at)
    port = host.rpartition(":")[2] if ":" in host and not host.startswith("[") else ""
    return bool(mark) and (":" in user or (port != "" and not port.isdigit()))  # a password may hold a slash


def _options(scheme: str, query: str) -> dict[str, str]:
    from urllib.parse import parse_qsl

    known = _OPTIONS[scheme]
    found: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            hint = f"options: {', '.join(known)}; {_KEYS_HINT}"
            raise Usage(f"'{name[:40]}' is no option of an address at {scheme}://", hint)
        if name in found or not value.strip():
            raise Usage(f"the option '{name}' of an address at {scheme}:// is given twice, or empty")
        found[name] = value
    endpoint = found.get("endpoint", "")
    if endpoint and not _ENDPOINT.fullmatch(endpoint):
        hint = "for example endpoint=https://s3.example.org"
        raise Usage("the option 'endpoint' wants a URL without a user or '?'", hint)
    if found.get("anonymous", "true") not in ("true", "false"):
        raise Usage("the option 'anonymous' is true or false", "write ?anonymous=true for a public bucket")
    return found
