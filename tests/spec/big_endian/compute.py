"""Run by run.py in a big-endian Python: the second reader computes every vector there."""

from __future__ import annotations

import sys
import time

import reader


def main() -> None:
    assert sys.byteorder == "big", "this interpreter is not big-endian"
    for name in reader.NAMES:
        start, cases = time.monotonic(), reader.load_vectors(name)
        wrong = [case["name"] for case in cases if reader.compute(name, case["input"]) != case["expected"]]
        if wrong:
            sys.exit(f"{name}: {len(wrong)} of {len(cases)} vectors differ: {', '.join(wrong)}")
        print(f"{name}: {len(cases)} vectors, {time.monotonic() - start:.1f} s", flush=True)


if __name__ == "__main__":
    main()
