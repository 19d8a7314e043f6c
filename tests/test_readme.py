"""The README's tour is real: its commands are run, and print what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"


def steps() -> list[tuple[str, str]]:
    """(command, what the README says it prints) of the tour."""
    block = re.search(r"```console\n(.*?)```", README.read_text(), re.DOTALL)
    assert block is not None
    parts = re.split(r"^\$ (.*)\n", block.group(1), flags=re.MULTILINE)[1:]
    return list(zip(parts[::2], parts[1::2], strict=True))


def run_tour(folder: Path) -> list[tuple[str, str]]:
    """The commands, and what they print in `folder`."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("DPK_", "XDG_"))}
    environment |= {
        "PATH": f"{Path(sys.executable).parent}:{environment['PATH']}",
        "HOME": str(folder),
        "DPK_AUTHOR": "Ada",
        "NO_COLOR": "1",
    }
    environment["DPK_CONFIG"] = str(folder / "config")
    out = []
    here = folder / "tour"
    here.mkdir()
    for command, _ in steps():
        done = subprocess.run(
            command, shell=True, cwd=here, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        out.append((command, done.stdout.replace(str(folder), "/tmp")))
    return out


def blurred(text: str) -> str:
    """Without what differs: ids of commits (a tophash stays), and sizes of files, which depend on Parquet's writer."""
    return re.sub(
        r"(?<=fragments, )[\d.]+ k?B", "<size>", re.sub(r"(?<!tophash )\b[0-9a-f]{12}\b", "<id>", text)
    ).rstrip()


def test_the_tour_prints_what_the_readme_says(tmp_path: Path) -> None:
    for (command, said), (_, printed) in zip(steps(), run_tour(tmp_path), strict=True):
        assert blurred(printed) == blurred(said), command


if __name__ == "__main__":  # print the tour anew, for the README
    import tempfile

    with tempfile.TemporaryDirectory() as made:
        for command, printed in run_tour(Path(made)):
            print(f"$ {command}\n{printed}", end="")
