"""The Markdown of a diff: short enough for a comment, and what comes from data is only text."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from reviewed import EVIL, NEW, OLD, blob, drifted, everything, hostile, table, verdict

from dpkg.comparing import Change
from dpkg.diffing.report import figures, markdown
from dpkg.diffing.report.markdown import code, prose

TEXTS = st.one_of(
    st.text(st.sampled_from("ab1 `\\|<>&*_[]()#@~!$:/.-+\n\"'w"), max_size=24),
    st.text(max_size=12),
    st.sampled_from(EVIL),
)


class Rendered(HTMLParser):
    """Cells of tables with their texts, and the elements."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.elements: list[str] = []
        self.ended: list[str] = []
        self.open: list[str] = []
        self.loose = ""  # text outside of code
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        self.ended.append(tag)
        self.open = self.open[: len(self.open) - 1 - self.open[::-1].index(tag)]

    def handle_data(self, data: str) -> None:
        if self.cells:
            self.cells[-1] += data
        if not {"code", "pre"} & set(self.open):
            self.loose += data


def render(text: str) -> Rendered:
    """As GitHub would: CommonMark with tables, strikethrough, and HTML as it stands."""
    return Rendered(MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(text))


def lines(changes: list[Change]) -> list[str]:
    found = list(markdown.lines(OLD, NEW, changes, verdict(changes)))
    assert sum(len(line) + 1 for line in found) <= markdown.MOST
    assert not any("\n" in line for line in found)
    return found


@pytest.mark.spec("REP-3")
@settings(max_examples=60)
@given(TEXTS, TEXTS)
def test_a_text_in_a_cell_is_that_text_and_no_more(first: str, second: str) -> None:
    said = [figures.text(first, 24), figures.text(second)]
    made = render(f"| a | b |\n|---|---|\n| {code(first, 24)} | {prose(said[1])} |")
    cells = [c.strip() for c in made.cells]
    assert cells == ["a", "b", said[0].strip(), cells[3]]
    assert cells[3].replace("\u200b", "") == said[1].strip()
    assert set(made.elements) <= {"table", "thead", "tbody", "tr", "th", "td", "code"}


@pytest.mark.spec("REP-3")
@pytest.mark.parametrize("changes", [everything, hostile])
def test_nothing_of_data_is_markup_or_mentions_anybody(changes: object) -> None:
    assert callable(changes)
    text = "\n".join(lines(changes()))
    made = render(text)
    known = "p strong em code table thead tbody tr th td br details summary pre"
    assert set(made.elements) <= set(known.split())
    for tag in ("details", "summary"):
        assert made.elements.count(tag) == made.ended.count(tag) == text.count("<details><summary>")
    assert not re.search(r"@\w|#\d", made.loose)
    assert not re.search(r"://|www\.|@\w", prose(EVIL[3]))
    assert not re.search("[\u202e\u2066\x1b\x00\ud800]", text)


def test_what_is_said() -> None:
    found = lines(everything())
    assert found[0].startswith("🔴 **Major drift** in sales: amount: PSI ")
    assert found[2] == "`acme/sales`: `v1` → `v2`, 1 added, 1 removed, 4 changed, 1 renamed"
    text = "\n".join(found)
    for line in (
        "| → | `old/name.txt` → `new/name.txt` | blob 1.2 kB |  |",
        "| ~ | `quiet` | table 600 → 700 rows (+100), metadata | ⚪ none |",
        "| − removed | `gone` | utf8 |",
        "| `gone` | 🔴 major | the column is gone |  |",
        "1 column without drift: `same`",
        "| + | 6 | 7 | 1.5 | *null* |",
        "| 2 | 1 | `amount` | 1.5 | *null* |",
        "| | | `kind` | `a` | `b` |",
        "````diff",
        "+new ```",
        "… 3 more lines",
    ):
        assert line in found, line
    assert "Left out" not in text
    assert re.search(
        r"\| `amount` \| 🔴 major \| PSI [\d.]+; .*\| NaN 0 → [\d.]+\xa0% \(\+[\d.]+ points\)<br>median ", text
    )
    assert list(markdown.lines("a", "b", [])) == ["⚪ **No difference**", "", "`a` → `b`"]


@pytest.mark.spec("REP-2")
def test_what_does_not_fit_is_left_out_and_said() -> None:
    r = np.random.default_rng(1)
    drift = drifted(pa.table({"x": r.normal(size=200)}), pa.table({"x": r.normal(size=200) + 3}))
    columns = tuple(
        replace(drift.columns[0], column=f"a column with a name that is rather long {i}") for i in range(100)
    )
    tables = [
        table(f"{'deep/' * 15}{i:04}", replace(drift, columns=columns), everything()[4].row_changes) for i in range(30)
    ]
    many = [*(blob(f"a/b_{'`|' * 40}{i:05}") for i in range(3000)), *tables]
    found = lines(many)
    assert found[0].startswith("🔴 **Major drift**")
    assert sum("🔴 major" in line for line in found) >= 15  # the worst are there
    assert re.match(r"Left out, as a comment has room for 65,000 characters: \d,\d{3} entries; ", found[-1])
    assert "`--html FILE` has more" in found[-1]
    assert len("\n".join(lines(tables[:3]))) > 20_000  # there is room for much
