"""What is measured. Each step is taken by one tool after the other, and all of it again for each repeat."""

from __future__ import annotations

import secrets
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import data
from timing import Failed, Ran, Stored, stored, warm
from tools import TOOLS, Place, Tool

sys.path.insert(0, str(Path(__file__).parents[2] / "servers"))
import seaweed
from faultproxy import FaultProxy

Prepare = Callable[[Tool], None]
Act = Callable[[Tool], Ran]


@dataclass
class Figure:
    """What a tool took for a step: wall time and that of processors, in seconds, of each repeat; what the last stored."""

    part: str
    step: str
    tool: str
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    megabytes: float = 0.0  # peak memory of the largest process
    new_files: int = 0
    new_bytes: int = 0
    stored_files: int = 0
    stored_bytes: int = 0
    requests: dict[str, int] = field(default_factory=dict)  # by method, where it was a bucket
    failed: str = ""  # why there is no figure


class Bench:
    """The tools, their folders, and the figures so far."""

    def __init__(self, programs: dict[str, Path], work: Path, repeats: int, scale: float) -> None:
        self.programs, self.work, self.repeats, self.scale = programs, work, repeats, scale
        self.figures: dict[tuple[str, str, str], Figure] = {}
        self.boxes: dict[str, list[Tool]] = {}

    def scaled(self, count: int) -> int:
        """That many, at this scale."""
        return max(1, round(count * self.scale))

    def tools(self, part: str, make: Callable[[Path], None]) -> list[Tool]:
        """Every tool in a folder of its own for this part; `make` makes the data, each gets a copy."""
        if part not in self.boxes:
            source = self.work / part / "data"
            source.mkdir(parents=True)
            make(source)
            self.boxes[part] = [
                TOOLS[name](program, self.work / part / name) for name, program in self.programs.items()
            ]
            for box in self.boxes[part]:
                box.work.mkdir(parents=True)
                subprocess.run(["/bin/cp", "-pR", str(source), str(box.work)], check=True)
            shutil.rmtree(source)
        return self.boxes[part]

    def drop(self, part: str) -> None:
        """Remove a part's folders."""
        shutil.rmtree(self.work / part, ignore_errors=True)
        self.boxes.pop(part, None)

    def figure(self, part: str, step: str, tool: str) -> Figure:
        """The figure of that step, a new one the first time."""
        return self.figures.setdefault((part, step, tool), Figure(part, step, tool))

    def step(self, part: str, step: str, box: Tool, prepare: Prepare, act: Act, places: list[Path]) -> None:
        """One step of one tool: `places` is where it stores. A tool that has failed in this part takes no more steps."""
        figure = self.figure(part, step, box.name)
        if any(f.failed for f in self.figures.values() if (f.part, f.tool) == (part, box.name)):
            figure.failed = figure.failed or "an earlier step failed"
            return
        try:
            prepare(box)
            before = stored(*places)
            warm(box.data)
            ran = act(box)
        except Failed as error:
            figure.failed = str(error)
            print(f"  {part}, {step}: {box.name} failed: {error}", flush=True)
            return
        self._note(figure, ran, before, stored(*places))

    def _note(self, figure: Figure, ran: Ran, before: Stored, after: Stored) -> None:
        new = after - before
        figure.seconds.append(ran.seconds)
        figure.cpu.append(ran.cpu)
        figure.megabytes = max(figure.megabytes, ran.megabytes)
        figure.new_files, figure.new_bytes = new.files, new.bytes
        figure.stored_files, figure.stored_bytes = after.files, after.bytes
        at = time.strftime("%H:%M:%S")
        print(
            f"  {at} {figure.part}, {figure.step}: {figure.tool} {ran.seconds:.2f} s, CPU {ran.cpu:.2f} s", flush=True
        )


def _nothing(box: Tool) -> None:
    """A step that needs no preparation."""


def _reset(box: Tool) -> None:
    box.reset()


def _commit(box: Tool) -> Ran:
    return box.commit()


def files(bench: Bench) -> None:
    """Many small files: first, again with nothing new, and with one changed."""
    boxes = bench.tools("files", lambda folder: data.many_files(folder, bench.scaled(data.FILES)))
    for n in range(bench.repeats):
        steps: dict[str, Prepare] = {
            "first": _reset,
            "no-op": _nothing,
            "one changed": lambda box, n=n: data.change_one(box.data, n),  # type: ignore[misc]
        }
        for step, prepare in steps.items():
            for box in boxes:
                bench.step("files", step, box, prepare, _commit, box.store())


def big(bench: Bench) -> None:
    """One large file: of text, and of random bytes."""
    size = bench.scaled(data.BIG_BYTES)
    _big(bench, "text", lambda folder: data.text_file(folder / "big.log", size))
    bench.drop("text")
    _big(bench, "random", lambda folder: data.random_file(folder / "big.bin", size))


def _big(bench: Bench, part: str, make: Callable[[Path], None]) -> None:
    boxes = bench.tools(part, make)
    for _ in range(bench.repeats):
        for box in boxes:
            bench.step(part, "first", box, _reset, _commit, box.store())


def table(bench: Bench) -> None:
    """A table as Parquet that is written again after each of three edits."""
    source = bench.work / "tables"
    source.mkdir()
    states = data.tables(source, max(100_000, bench.scaled(data.ROWS)))
    boxes = bench.tools("table", _leave_empty)
    for _ in range(bench.repeats):
        for step, path in states.items():

            def prepare(box: Tool, step: str = step, path: Path = path) -> None:
                shutil.copyfile(path, box.data / "table.parquet")
                if step == "first":
                    box.reset()

            for box in boxes:
                bench.step("table", step, box, prepare, _commit, box.store())
    bench.drop("table")
    shutil.rmtree(source)


def _leave_empty(folder: Path) -> None:
    """Data that comes later."""


def verify(bench: Bench) -> None:
    """Every stored byte read and checked: of the large file of random bytes, and of the many files."""
    _verify(bench, "random", lambda folder: data.random_file(folder / "big.bin", bench.scaled(data.BIG_BYTES)))
    _verify(bench, "files", lambda folder: data.many_files(folder, bench.scaled(data.FILES)))


def _verify(bench: Bench, part: str, make: Callable[[Path], None]) -> None:
    kept = part in bench.boxes
    for box in bench.tools(part, make):
        if reason := box.cannot.get("verify"):
            bench.figure(part, "verify", box.name).failed = reason
            continue
        for n in range(bench.repeats):

            def prepare(box: Tool, n: int = n) -> None:
                if not kept and n == 0:
                    box.reset()
                    box.commit()
                warm(*box.store())

            bench.step(part, "verify", box, prepare, lambda box: box.verify(), box.store())


def transfer(bench: Bench) -> None:
    """Push, push after one change, and pull: to a folder, and to a real S3 service on this machine."""

    def make(folder: Path) -> None:
        data.many_files(folder, bench.scaled(data.TRANSFER_FILES))
        data.random_file(folder / "large.bin", bench.scaled(data.TRANSFER_BYTES))

    boxes = bench.tools("transfer", make)
    for n in range(bench.repeats):
        _travel(bench, "folder", n, {box: Place(str(box.folder / "remote")) for box in boxes})
    if reason := seaweed.missing():
        print(f"no figures of S3: {reason}")
    else:
        with seaweed.shared(bench.work) as server:
            _to_buckets(bench, boxes, server)
    bench.drop("transfer")


def _to_buckets(bench: Bench, boxes: list[Tool], server: seaweed.Server) -> None:
    """Timed without anything between; the requests are counted in one run more, through a proxy."""
    env = server.environment() | {"AWS_DEFAULT_REGION": seaweed.REGION}
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):  # DVC wants to see a file; each home is empty
        del env[name]

    def places(endpoint: str) -> dict[Tool, Place]:
        return {box: Place(f"{seaweed.BUCKET}/{secrets.token_hex(6)}", endpoint, env) for box in boxes}

    for n in range(bench.repeats):
        _travel(bench, "s3", n, places(server.endpoint))
    with FaultProxy(server.endpoint) as proxy:
        counting = Bench({}, bench.work, 1, bench.scale)
        _travel(counting, "s3", bench.repeats, places(proxy.url), proxy)
    for key, figure in counting.figures.items():
        bench.figures[key].requests = figure.requests


def _travel(bench: Bench, part: str, n: int, places: dict[Tool, Place], proxy: FaultProxy | None = None) -> None:
    def first(box: Tool) -> None:
        box.reset()
        box.commit()
        box.remote(places[box])

    def change(box: Tool) -> None:
        data.change_one(box.data, n)
        box.commit()

    def forget(box: Tool) -> None:
        """Nothing of the remote is known here."""
        shutil.rmtree(box.pulled, ignore_errors=True)
        for cache in (box.home / ".cache", box.home / "site"):
            shutil.rmtree(cache, ignore_errors=True)

    def push(box: Tool) -> Ran:
        return box.push(places[box])

    def pull(box: Tool) -> Ran:
        ran, files = box.pull(places[box])
        if stored(files) != stored(box.data):
            raise Failed(f"what came back is not what was pushed: {stored(files)}, not {stored(box.data)}")
        return ran

    steps: dict[str, tuple[Prepare, Act]] = {"push": (first, push), "push one changed": (change, push)}
    for step, (prepare, act) in (steps | {"pull": (forget, pull)}).items():
        for box, place in places.items():
            figure = bench.figure(part, step, box.name)
            if reason := box.cannot.get(part):
                figure.failed = reason
                continue
            with _counted(figure, proxy) as begin:

                def ready(box: Tool, prepare: Prepare = prepare, begin: Callable[[], None] = begin) -> None:
                    prepare(box)
                    begin()

                bench.step(part, step, box, ready, act, [] if place.endpoint else [Path(place.path)])


@contextmanager
def _counted(figure: Figure, proxy: FaultProxy | None) -> Iterator[Callable[[], None]]:
    """The requests from when what is given is called go into the figure."""
    yield proxy.clear if proxy else lambda: None
    if proxy:
        figure.requests = dict(Counter(request.method for request in proxy.seen()))
        proxy.clear()


PARTS: dict[str, Callable[[Bench], None]] = {
    "table": table,
    "transfer": transfer,
    "files": files,
    "big": big,
    "verify": verify,
}
