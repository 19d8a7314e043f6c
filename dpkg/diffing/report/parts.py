"""Small pieces of the HTML page."""

from __future__ import annotations

from html import escape
from typing import Any

from dpkg.diffing.report import figures

MARKS = {"major": "▲", "moderate": "◆", "none": "○"}


def named(value: Any, most: int = figures.NAME) -> str:
    """A name from data: it does not turn what is beside it around."""
    return f"<bdi>{escape(figures.text(value, most))}</bdi>"


def sign(what: str) -> str:
    """`+`, with what it means for those who do not see it."""
    said = f'<span class="hidden">{what}</span><span aria-hidden="true">{figures.SIGNS[what]}</span>'
    return f'<span class="sign {what}" title="{what}">{said}</span>'


def badge(verdict: str) -> str:
    """A verdict: a shape, a word and a colour."""
    return f'<span class="badge {verdict}"><span aria-hidden="true">{MARKS[verdict]}</span> {verdict}</span>'


def box(label: str) -> str:
    """The start of a box in which what is wide scrolls, also by keyboard."""
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(label)}">'
