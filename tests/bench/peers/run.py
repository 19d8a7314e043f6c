"""`make bench-peers`: dpk, restic, DVC, git-lfs and Oxen do the same work in one run, by turns. Prints tables in Markdown.

`--doc` writes them into tests/bench/PEERS.md, `--json` keeps the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import data
import having
from parts import PARTS, Bench
from report import Result, markdown
from tools import TOOLS

DOC = Path(__file__).parents[1] / "PEERS.md"
MARK = "<!-- written by `make bench-peers PEERS=--doc` from here on -->\n"
_DISK = 35e9  # bytes of disk that a run at scale 1 needs


def main() -> None:
    options = _options()
    programs, lacking = having.get(options.folder, [t for t in having.GETTERS if t in options.tools])
    for name, reason in lacking.items():
        print(f"{name} could not be had; the others go on without it: {reason}", flush=True)
    if free := _too_little(options.folder, options.scale):
        sys.exit(free)
    with tempfile.TemporaryDirectory(prefix="work-", dir=options.folder) as work:
        bench = Bench(programs, Path(work), options.repeats, options.scale)
        about = _about(bench, lacking)
        print("; ".join(about["versions"].values()), flush=True)
        start = time.monotonic()
        for name, part in PARTS.items():
            if name in options.only:
                part(bench)
        about["minutes"] = round((time.monotonic() - start) / 60, 1)
        _tell(Result(about, [asdict(figure) for figure in bench.figures.values()]), options)


def _tell(result: Result, options: argparse.Namespace) -> None:
    """Print the tables, and write what was asked for. Before the data is removed: that takes a while."""
    text = _circumstances(result.about) + markdown(result)
    print("\n" + text, flush=True)
    if options.json:
        options.json.write_text(json.dumps(asdict(result), indent=1) + "\n")
    if options.doc:
        head, _, _ = DOC.read_text().partition(MARK)
        DOC.write_text(head + MARK + text)


def _options() -> argparse.Namespace:
    def names(known: list[str]) -> Any:
        def split(text: str) -> list[str]:
            found = text.split(",")
            if unknown := [name for name in found if name not in known]:
                raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; there are {', '.join(known)}")
            return found

        return split

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=names([*PARTS]), default=[*PARTS], metavar="PART,…", help=", ".join(PARTS))
    parser.add_argument("--tools", type=names([*TOOLS]), default=[*TOOLS], metavar="TOOL,…", help=", ".join(TOOLS))
    parser.add_argument("--scale", type=float, default=1.0, help="of the data; 0.02 to try it out")
    parser.add_argument("--repeats", type=int, default=1, help="the shortest time counts")
    parser.add_argument("--folder", type=Path, default=Path(".bench-peers"), help="programs of peers, and data")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file")
    parser.add_argument("--doc", action="store_true", help="write the tables into tests/bench/PEERS.md")
    options = parser.parse_args()
    options.folder = options.folder.resolve()
    return options


def _too_little(folder: Path, scale: float) -> str:
    need, free = _DISK * scale, shutil.disk_usage(folder).free
    if free >= need:
        return ""
    return f"this needs {need / 1e9:.0f} GB of disk at {folder}, {free / 1e9:.0f} are free: --scale takes less"


def _about(bench: Bench, lacking: dict[str, str]) -> dict[str, Any]:
    count, transfer = bench.scaled(data.FILES), bench.scaled(data.TRANSFER_FILES)
    return {
        "versions": {name: _version(bench, name) for name in bench.programs},
        "lacking": lacking,
        "scale": bench.scale,
        "repeats": bench.repeats,
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "sizes": {
            "files": count,
            "files_mb": count * data.FILE_BYTES / 1e6,
            "big_mb": bench.scaled(data.BIG_BYTES) / 1e6,
            "rows": max(100_000, bench.scaled(data.ROWS)),
            "transfer": transfer,
            "transfer_mb": bench.scaled(data.TRANSFER_BYTES) / 1e6,
        },
    }


def _version(bench: Bench, name: str) -> str:
    box = TOOLS[name](bench.programs[name], bench.work)
    said = subprocess.run(box.version(), capture_output=True, text=True, check=True).stdout.split("\n")[0]
    return said if name.lower() in said.lower() else f"{name} {said}"


def _circumstances(about: dict[str, Any]) -> str:
    scale = "" if about["scale"] == 1 else f" Scale {about['scale']}: the goals are for scale 1."
    versions = "; ".join(about["versions"].values())
    return (
        f"{versions}.\n\n{about['date']}, {about['machine']}; the shortest of {about['repeats']}, "
        f"{about['minutes']} minutes in all.{scale}\n\n"
    )


if __name__ == "__main__":
    main()
