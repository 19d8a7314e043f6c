"""The HTML page of a diff: whole, safe, and of a bearable size."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from reviewed import NEW, OLD, drifted, everything, hostile, table, verdict

from dpkg.comparing import Change, RowChange, RowChanges
from dpkg.diffing.report import figures, html, markdown

VOID = {"meta", "br"}
DAY = 86400 * 10**6


class Page(HTMLParser):
    """What a page has in it; each end tag must be that of the element that is open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag == "path"
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self.open[-1] if self.open else "", data))

    def all(self, name: str) -> list[str]:
        """The values of an attribute."""
        return [a[name] or "" for _, a in self.elements if name in a]

    @property
    def text(self) -> str:
        return "".join(data for tag, data in self.texts if tag not in ("style", "title")).strip()


def page(changes: list[Change], **more: Any) -> Page:
    text = "".join(html.page(OLD, NEW, changes, verdict(changes), **more))
    text.encode()
    return Page(text)


@pytest.mark.spec("REP-1")
@pytest.mark.parametrize("changes", [everything, hostile, list])
def test_a_page_is_whole_and_asks_for_nothing(changes: Any) -> None:
    found = page(changes())
    assert {tag for tag, _ in found.elements} <= {
        *(
            [
                "html",
                "head",
                "meta",
                "title",
                "style",
                "body",
                "header",
                "main",
                "footer",
                "section",
                "div",
                "p",
                "span",
                "b",
                "i",
                "small",
                "a",
                "bdi",
                "code",
                "pre",
                "ins",
                "del",
            ]
        ),
        *(
            [
                "h1",
                "h2",
                "h3",
                "h4",
                "ul",
                "li",
                "dl",
                "dt",
                "dd",
                "table",
                "thead",
                "tbody",
                "tr",
                "th",
                "td",
                "details",
                "summary",
                "figure",
                "figcaption",
                "br",
            ]
        ),
        *(["svg", "desc", "path", "g"]),
    }
    attributes = {name for _, a in found.elements for name in a}
    assert not [a for a in attributes if a.startswith("on") or a in ("style", "src", "srcset", "xlink:href", "action")]
    ids = found.all("id")
    assert len(ids) == len(set(ids))
    for target in found.all("href"):
        assert target.startswith("#")
        assert target[1:] in ids
    assert {i for label in found.all("aria-labelledby") for i in label.split()} <= set(ids)
    assert all("scope" in a for tag, a in found.elements if tag == "th")
    levels = [int(tag[1]) for tag, _ in found.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    (policy,) = [a["content"] or "" for _, a in found.elements if a.get("http-equiv") == "Content-Security-Policy"]
    (style,) = [data for tag, data in found.texts if tag == "style"]
    assert f"'sha256-{b64encode(sha256(style.encode()).digest()).decode()}'" in policy
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert not re.search(r"url\(|@import|https?:", style)


@pytest.mark.spec("REP-1")
def test_names_and_cells_of_data_are_only_text() -> None:
    found = page(hostile())
    assert sum(len(data) for _, data in found.texts) < 1_000_000  # of cells of 10 MB there is the beginning
    assert "<script>alert(1)</script>" in found.text
    assert not re.search("[\u202e\u2066\x1b\x00\ud800]", "".join(data for _, data in found.texts))
    assert r"\u202eabc\u2066\x1b[31m\x00\ud800⏎# no heading" in found.text
    said = {a for _, attributes in found.elements for a in attributes.values() if a}
    assert not [a for a in said if "onmouseover" in a and a not in found.all("aria-label")]


def test_what_is_said() -> None:
    found = page(everything())
    text = found.text
    assert text.startswith("acme/sales v1 → v2111111111111 → 222222222222▲ Major drift")
    for words in (
        "1 added, 1 removed, 4 changed, 1 renamed",
        "old/name.txt → new/name.txt",
        "600 → 700 rows (+100)",
        "is now b, as its values are alike",
        "decimal[9, 2] → float64",
        "+2 added −1 removed ~3 changed; 1 of them only moved",
        "Cells that changed: amount 3, kind 1",
        "the column is gone",
        "… 3 more",
        "… 3 lines more",
        "9.0 kB of rows are not compared without --rows N",
        "none differ in the columns that both have",
        "not measured without --drift",
    ):
        assert words in text, words
    assert next(data for tag, data in found.texts if tag == "del") == "-old"
    titles = [data for tag, data in found.texts if tag == "title"]
    assert titles[0] == "acme/sales v1 → v2: Major drift"
    assert "Histogram of amount" in titles
    assert {"Histogram of other, old", "Histogram of characters of other, new"} <= set(titles)  # numbers, and texts
    assert any(re.fullmatch(r"above [\d.,]+: [\d.]+\xa0% → [\d.]+\xa0%", t) for t in titles)


def test_columns_that_drifted_come_first_and_are_open() -> None:
    found = page([everything()[4]])
    details = [a for tag, a in found.elements if tag == "details" and "id" in a]
    kinds = [(a["class"] or "").removeprefix("card ") for a in details]
    assert kinds == sorted(kinds)  # major, moderate
    assert len(kinds) > 8
    assert all("open" in a for a in details)
    (quiet,) = [a for tag, a in found.elements if tag == "details" and a.get("class") == "others"]
    assert "open" not in quiet


def test_long_texts_are_shown_where_they_differ() -> None:
    long = "x" * 5000
    head = RowChange("changed", 0, 0, ("t",), {"id": 1, "t": f"{long}old{long}"}, {"id": 1, "t": f"{long}new{long}"})
    change = table("t", None, RowChanges(0, 0, 1, 0, {"t": 1}, (head,)))
    assert re.search("…x+oldx.*…x+newx", page([change]).text)
    assert any(
        re.fullmatch(r"\| 1 \| 1 \| `t` \| `…x+oldx.*` \| `…x+newx.*` \|", s)
        for s in markdown.lines(OLD, NEW, [change])
    )


def test_the_same_and_what_was_not_looked_at() -> None:
    assert "No difference" in page([]).text
    text = Page("".join(html.page("./a", "./b", everything()[:2], None))).text
    assert text.startswith("./a → ./b○ Drift not measured")


@pytest.mark.spec("REP-2")
def test_2000_columns_are_a_page_of_bearable_size() -> None:
    r = np.random.default_rng(1)
    one = pa.table({"x": r.normal(size=200)})
    for to, said in (
        (0.0, "histograms of the first 200 columns only"),
        (3.0, "1,800 more columns with drift, without"),
    ):
        drift = drifted(one, pa.table({"x": r.normal(size=200) + to}))
        wide = type(drift)(200, 200, drift.columns * 2000)
        pieces = list(html.page(OLD, NEW, [table("wide", wide, None)], None))
        assert sum(map(len, pieces)) < 4_000_000
        assert max(map(len, pieces)) < 100_000  # it is not made as a whole
        assert said in Page("".join(pieces)).text


@pytest.mark.spec("REP-2")
def test_what_is_too_much_is_left_out_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html, "ROOM", 30_000)
    monkeypatch.setattr(html, "ENTRIES", 25)
    found = page(everything() * 4)
    assert re.search(r"\d+ entries more changed and are left out here", found.text)
    assert "… 3 more entries" in found.text
    assert {h[1:] for h in found.all("href")} <= set(found.all("id"))


def test_figures() -> None:
    assert figures.span(86400 * 4.25) == "4.25 days"
    assert [figures.span(s) for s in (0, 0.002, -3e-6)] == ["0 s", "2 ms", "-3 µs"]
    assert figures.percent(0.99999) == "99.9\xa0%"
    assert [figures.percent(x) for x in (0, 1, 1e-9, 0.123456)] == ["0\xa0%", "100\xa0%", "<0.01\xa0%", "12.3\xa0%"]
    assert figures.moments(["2026-01-01T00:00:00", "2026-01-02T00:00:00.000"]) == 10
    assert figures.moments(["2026-01-01T00:00:01", "2026-01-02T00:00:00"]) == 19
    assert figures.moments(["2026-01-01T00:00:01", "2026-03-02T00:00:00"]) == 16
    assert figures.moments([None, 3]) == 0
    rows = {c.column: {r.name: r for r in figures.rows(c)} for c in drifted(*_two()).columns}
    assert rows["n"]["mean"][:4] == ("mean", "2", "8", "×4")
    assert rows["n"]["nulls"].change == "+25 points"
    assert rows["n"]["min"].alike
    assert rows["t"]["median"].change == "+2 days"
    assert rows["t"]["std"].old.endswith(" h")
    assert rows["d"]["max"].alike  # 0.30 and 0.3


def _two() -> tuple[pa.Table, pa.Table]:
    n = [pa.array(v) for v in ([1, 2, 3, 2], [1, 15, 8, None])]
    t = [pa.array([10**9 * 10**6 + day * DAY + h * DAY // 24 for h in range(4)], pa.timestamp("us")) for day in (0, 2)]
    d = [pa.array([0.1, 0.2, 0.3, 0.2]).cast(pa.decimal128(9, 2)), pa.array([0.1, 0.2, 0.3, 0.2])]
    old, new = (pa.table({"n": n[i], "t": t[i], "d": d[i]}) for i in (0, 1))
    return old, new
