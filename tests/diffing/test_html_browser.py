"""The HTML page of a diff in a real browser, as wide as a phone and as a desk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import chromium
import pytest
from reviewed import NEW, OLD, everything, hostile, verdict

from dpkg.diffing.report import html

# Elements that reach out of the page, and are in no box that scrolls.
_OUTSIDE = """() => [...document.querySelectorAll('body *')]
    .filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest('.scroll')).map(e => e.outerHTML.slice(0, 200))"""


@pytest.mark.spec("REP-1")
def test_nothing_is_cut_off_fetched_or_refused(tmp_path: Path) -> None:
    if reason := chromium.missing():
        pytest.skip(reason)
    names = []
    for name, changes in (("everything", everything()), ("hostile", hostile())):
        names.append(tmp_path / f"{name}.html")
        names[-1].write_text("".join(html.page(OLD, NEW, changes, verdict(changes))), "utf-8")
    said: list[str] = []
    with chromium.browser() as browser:
        page = browser.new_page(color_scheme="dark")
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.on("request", lambda request: said.append(request.url))
        for path in names:
            page.goto(path.as_uri())
            for width in (360, 1280):
                page.set_viewport_size({"width": width, "height": 800})
                assert page.evaluate(_OUTSIDE) == []
                assert page.evaluate("document.documentElement.scrollWidth") == width, path
            _looks_right(page)
    assert said == [path.as_uri() for path in names]


def _looks_right(page: Any) -> None:
    """The style is taken in spite of the policy, charts are drawn, and names do not turn the page around."""
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(18, 22, 27)"
    box = page.locator("svg.chart path.o").first.bounding_box()
    assert box["width"] > 200
    assert box["height"] > 100
    assert page.locator("h1").first.bounding_box()["x"] < 110
