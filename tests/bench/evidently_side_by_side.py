"""Verdicts beside those of Evidently, on the same pairs of columns: prints the table in spec/diff.md.

Evidently is no dependency: it is asked in an environment of its own. `python tests/bench/evidently_side_by_side.py PYTHON`, where
PYTHON is one with evidently 0.7.23. Its choice of method and threshold for each column is the default one.
"""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from typing import Any

import numpy as np


def pairs() -> dict[str, tuple[Any, Any]]:
    """Columns before and after, of numbers, texts, flags, moments (datetime64); NaN is what Evidently has for null, too."""
    r = np.random.default_rng(12)
    big, small = 50_000, 200
    lands = np.array([f"land {i}" for i in range(50)])
    ages = r.integers(0, 100, big).astype(float)
    zeros = [r.exponential(size=big) * (r.random(big) < share) for share in (0.6, 0.7)]
    names = [np.array([f"name {v:x}" for v in r.integers(0, 1 << 40, 3000).tolist()]) for _ in "on"]
    nights = [np.datetime64("2024-01-01") + r.integers(0, 100, big).astype("timedelta64[D]") for _ in "on"]
    holes = [np.where(r.random(big) < share, np.nan, r.normal(size=big)) for share in (0.05, 0.3)]
    endless = [np.where(r.random(big) < share, np.inf, r.normal(size=big)) for share in (0.01, 0.1)]
    cents = [r.gamma(2, 3000 * s, 20_000).astype(int).tolist() for s in (1, 1.3)]
    prices = [np.array([Decimal(v).scaleb(-2) for v in side]) for side in cents]
    return {
        "normal, same": (r.normal(size=big), r.normal(size=big)),
        "normal, mean + 0.2": (r.normal(size=big), r.normal(0.2, 1, big)),
        "normal, mean + 0.5": (r.normal(size=big), r.normal(0.5, 1, big)),
        "normal, std × 0.6": (r.normal(size=big), r.normal(0, 0.6, big)),
        "normal, same, 200 rows": (r.normal(size=small), r.normal(size=small)),
        "normal, mean + 0.3, 200 rows": (r.normal(size=small), r.normal(0.3, 1, small)),
        "normal, mean + 1, 200 rows": (r.normal(size=small), r.normal(1, 1, small)),
        "lognormal, same": (r.lognormal(3, 1.2, big), r.lognormal(3, 1.2, big)),
        "lognormal, × 1.6": (r.lognormal(3, 1.2, big), r.lognormal(3.5, 1.2, big)),
        "Cauchy, same": (r.standard_cauchy(big), r.standard_cauchy(big)),
        "Cauchy, × 2.5": (r.standard_cauchy(big), 2.5 * r.standard_cauchy(big)),
        "ages, one in 1,000 is 9999": (ages, np.where(r.random(big) < 0.001, 9999.0, ages)),
        "40 % zeros, then 30 %": (zeros[0], zeros[1]),
        "die, loaded": (r.integers(1, 7, big), r.choice(np.arange(1, 7), big, p=[0.1, 0.15, 0.15, 0.15, 0.15, 0.3])),
        "flag, 10 % then 15 %": (r.random(big) < 0.1, r.random(big) < 0.15),
        "50 lands, same, 200 rows": (lands[r.integers(0, 50, small)], lands[r.integers(0, 50, small)]),
        "50 lands, 2 % a new one": (lands[r.integers(0, 49, big)], lands[np.where(r.random(big) < 0.02, 49, r.integers(0, 49, big))]),
        "names, no two the same": (names[0], names[1]),
        "constant": (np.full(big, 3.5), np.full(big, 3.5)),
        "5 % nulls, then 30 %": (holes[0], holes[1]),
        "1 % infinite, then 10 %": (endless[0], endless[1]),
        "all null, then numbers": (np.full(big, np.nan), r.normal(size=big)),
        "days, 60 later": (nights[0], nights[1] + np.timedelta64(60, "D")),
        "decimals, × 1.3": (prices[0], prices[1]),
    }  # fmt: skip


def theirs() -> None:
    """What Evidently says of each pair, as JSON: method, threshold, score, whether that is drift; or why it says nothing."""
    import warnings

    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    warnings.simplefilter("ignore")
    out: dict[str, list[Any] | str] = {}
    for name, (old, new) in pairs().items():
        had, has = (Dataset.from_pandas(pd.DataFrame({"x": v}), data_definition=DataDefinition()) for v in (old, new))
        try:
            run = Report([ValueDrift(column="x")], include_tests=True).run(has, had).dict()
        except (ValueError, AttributeError, KeyError, TypeError) as error:
            out[name] = str(error).splitlines()[0]
            continue
        metric, (test, *_) = run["metrics"][0], run["tests"]
        said = metric["config"]
        drifts = "fail" in str(test["status"]).lower()
        out[name] = [said.get("method"), said.get("threshold"), float(metric["value"]), drifts]
    print(json.dumps(out))


def ours(old: Any, new: Any) -> tuple[str, str]:
    """The verdict, and PSI, JS, KS of the first set of figures."""
    import pyarrow as pa
    from drifting import drift

    from dpkg.drift.columns import TableDrift
    from dpkg.drift.verdicts import judge

    arrays = [pa.array(v, from_pandas=True) for v in (old, new)]
    found = drift(*arrays, 1)
    verdict = judge(TableDrift(len(old), len(new), (found,))).columns[0]
    rules = ", ".join(f.rule for f in verdict.findings)
    figures = ["–"]
    if found.distances:
        d = found.distances[0]
        figures = [f"{f.value:.3f}" if f else "–" for f in (d.psi, d.js, d.ks)]
    return f"{verdict.verdict}{f' ({rules})' if rules else ''}", " / ".join(figures)


def main() -> None:
    from pathlib import Path

    sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1] / "drift")]
    said = json.loads(
        subprocess.run([sys.argv[1], __file__, "--theirs"], capture_output=True, text=True, check=True).stdout
    )
    print("| columns | PSI / JS / KS | here | Evidently | its verdict |\n|---|---|---|---|---|")
    for name, (old, new) in pairs().items():
        verdict, figures = ours(old, new)
        found = said[name]
        if isinstance(found, str):
            print(f"| {name} | {figures} | {verdict} | error: {found} | |")
            continue
        method, threshold, score, drifts = found
        word = "below" if "p_value" in method else "from"
        print(
            f"| {name} | {figures} | {verdict} | {method} {score:.2g}, drift {word} {threshold} | {'drift' if drifts else 'none'} |"
        )


if __name__ == "__main__":
    theirs() if sys.argv[1:] == ["--theirs"] else main()
