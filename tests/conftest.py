"""Fixtures for all tests: no test sees the user's environment; `store` makes packages without going through files."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from dpkg.objects.node import TreeEntry
    from dpkg.oid import Oid
    from dpkg.repository import Repository

AUTHOR = "Ada <ada@example.com>"
LARGE = 1 << 16  # bytes of a build.yml, which would take the validator seconds
sys.path.insert(0, str(Path(__file__).parent / "servers"))
pytest_plugins = ["server_fixtures"]
settings.register_profile("patient", deadline=None)  # a busy machine is no failure
settings.load_profile("patient")


@pytest.fixture(autouse=True, scope="session")
def _no_user_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """For the whole run: an empty home, none of the user's settings, no colours."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        for name in [n for n in os.environ if n.startswith(("DPK_", "XDG_", "GIT_"))]:
            patch.delenv(name)
        for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "TERM"):
            patch.delenv(name, raising=False)
        patch.setenv("HOME", str(home))
        patch.setenv("DPK_CONFIG", str(home / "config"))
        patch.setenv("DPK_AUTHOR", AUTHOR)
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background of a shell, and inherited from there
            signal.signal(signal.SIGINT, signal.default_int_handler)
        yield


@pytest.fixture(scope="session")
def against_the_schema() -> Callable[[bytes | str], list[str]]:
    """What an editor would say of a build.yml: the errors by its JSON Schema."""
    import yaml
    from jsonschema import Draft202012Validator

    path = Path(__file__).parents[1] / "spec/json/build.yml.schema.json"
    validator = Draft202012Validator(json.loads(path.read_text("utf-8")))

    class Loader(yaml.CSafeLoader):
        """As editors read it: YAML 1.2 knows no timestamps, and fewer words for true and false."""

        yaml_implicit_resolvers: ClassVar = {
            first: [(tag, found) for tag, found in known if tag.rpartition(":")[2] not in ("timestamp", "bool")]
            for first, known in yaml.CSafeLoader.yaml_implicit_resolvers.items()
        }

    Loader.add_implicit_resolver(
        "tag:yaml.org,2002:bool", re.compile("(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
    )

    def errors(text: bytes | str) -> list[str]:
        return [e.message for e in validator.iter_errors(yaml.load(text, Loader))]

    return errors


@pytest.fixture(autouse=True, scope="session")
def _what_builds_fits_the_schema(against_the_schema: Callable[[bytes | str], list[str]]) -> Iterator[None]:
    """Every build.yml of any test of which a plan is made is one that its published JSON Schema takes too."""
    from dpkg.compiler import buildfile, quilt

    real, old = buildfile.make_plan, quilt.translated

    def checked(*args: Any, build: Any, **more: Any) -> Any:
        plan = real(*args, build=build, **more)
        if not was_quilt and len(build.data) < LARGE:
            assert (build.data, against_the_schema(build.data)) == (build.data, [])
        return plan

    def translated(yml: Any) -> Any:
        nonlocal was_quilt
        node = old(yml)
        was_quilt = node is not None
        return node

    was_quilt = False
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(buildfile, "make_plan", checked)
        patch.setattr(quilt, "translated", translated)
        yield


@dataclass(frozen=True)
class Store:
    """A store in a folder, and a quick way to put packages into it."""

    url: str

    @property
    def repository(self) -> Repository:
        from dpkg.repository import Repository

        return Repository(self.url, create=True)

    def commit(self, package: str, contents: Mapping[str, Any], message: str = "", branch: str = "main") -> Oid:
        """A new commit of a package.

        A value is bytes (a blob), a dict of lists (a table's columns), another dict (a folder), or a pyarrow table;
        `(value, {"key": […]})` gives a table its key, `(value, metadata)` user metadata.
        """
        repository = self.repository
        old = repository.tip(package, branch)
        tree = self._tree(repository, contents)
        new = repository.make_commit(tree.oid, (old,) if old else (), message)
        repository.move(package, new, old, message, branch)
        return new

    def tree(self, contents: Mapping[str, Any]) -> Oid:
        """The tree of some contents, stored."""
        oid: Oid = self._tree(self.repository, contents).oid
        return oid

    def _tree(self, repository: Repository, contents: Mapping[str, Any]) -> Any:
        from dpkg.index import build_tree

        entries = [self._entry(repository, name, value) for name, value in contents.items()]
        return build_tree(entries, lambda data: repository.odb.write("node", data))

    def _entry(self, repository: Repository, name: str, value: Any) -> TreeEntry:
        import pyarrow as pa
        import rfc8785

        from dpkg import tables
        from dpkg.objects.node import TreeEntry

        odb, meta, key = repository.odb, None, ()
        if isinstance(value, tuple):
            value, more = value
            key = tuple(more.get("key", ())) if isinstance(more, dict) else ()
            meta = odb.write("blob", rfc8785.dumps(more)) if not key else None
        if isinstance(value, bytes):
            return TreeEntry(name, "blob", odb.write("blob", value), len(value), meta=meta)
        if isinstance(value, dict) and not isinstance(next(iter(value.values()), None), list):
            made = self._tree(repository, value)
            return TreeEntry(name, "tree", made.oid, made.bytes, made.rows, made.entries, meta)
        table = value if isinstance(value, pa.Table) else pa.table(value)
        oid, stored = tables.write_table(odb, table.to_batches() or [], table.schema, key)
        return TreeEntry(name, "table", oid, stored.bytes, stored.rows, meta=meta)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """An empty store that commands find, in an empty folder that is the current one, with a config file of its own."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("DPK_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("DPK_CONFIG", str(tmp_path / "config"))
    made = Store(str(tmp_path / "store"))
    assert made.repository.url == made.url
    return made


@dataclass(frozen=True)
class Ran:
    """What a command line did: its exit code and what it wrote."""

    code: int
    stdout: bytes
    stderr: bytes

    @property
    def out(self) -> str:
        return self.stdout.decode()

    @property
    def err(self) -> str:
        return self.stderr.decode()

    @property
    def json(self) -> Any:
        """The one JSON object on stdout, without the name of its schema (tests/cli/test_json.py checks that)."""
        (value,) = self.lines
        return value

    @property
    def lines(self) -> list[Any]:
        """The JSON objects on stdout, a line each, without the names of their schemas."""
        return [{k: v for k, v in json.loads(line).items() if k != "schema"} for line in self.out.splitlines()]


def run(*args: str, stdin: bytes = b"", code: int | None = 0) -> Ran:
    """`dpk ARGS` in this process; `code` is the exit code that is expected (None: any)."""
    from dpkg.cli.main import main

    streams = [io.TextIOWrapper(io.BytesIO(data), encoding="utf-8") for data in (stdin, b"", b"")]
    with pytest.MonkeyPatch.context() as patch:
        for name, stream in zip(("stdin", "stdout", "stderr"), streams, strict=True):
            patch.setattr(sys, name, stream)
        ended = main(list(args))
    for stream in streams:
        stream.flush()
    ran = Ran(ended, streams[1].buffer.getvalue(), streams[2].buffer.getvalue())  # type: ignore[attr-defined]
    assert code is None or ended == code, f"dpk {' '.join(args)} ended with {ended}:\n{ran.out}{ran.err}"
    return ran


@pytest.fixture(scope="session", name="run")
def _run() -> Callable[..., Ran]:
    """Runs a command line in this process, where the test is."""
    return run


@pytest.fixture(scope="session")
def make_store() -> type[Store]:
    """Store, for tests that make their own."""
    return Store


@pytest.fixture
def dpk(store: Store) -> Callable[..., Ran]:
    """Runs a command line in this process, in the folder and on the store of `store`."""
    return run


@pytest.fixture
def sales(store: Store) -> Store:
    """The package acme/sales: two commits, the first tagged v1."""
    first = {
        "transactions": {"id": [1, 2, 3], "item": ["pen", "cup", None]},
        "odd name.csv": b"not,a\ntable,\n",
        "README.md": b"# Sales\n",
        "docs": {"guide.txt": b"read me"},
    }
    commit = store.commit("acme/sales", first, "first")
    store.repository.refs.create_tag("acme/sales", "v1", commit, who=AUTHOR)
    store.commit(
        "acme/sales", {**first, "transactions": {"id": [1, 2, 3, 4], "item": ["pen", "cup", None, "jar"]}}, "second"
    )
    return store
