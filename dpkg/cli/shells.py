"""How each shell asks what a word may become, and wants to be answered (dpkg/cli/complete.py knows what).

zsh and fish give the words after `dpk`, and take `VALUE<TAB>what it is` a line; they quote. bash gives its line and
its word breaks, and takes what replaces the text after the last of these, quoted as the line has begun to.
`:file` and `:dir` ask the shell for its own paths, `:nospace` for no space after the word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dpkg.cli.complete import FILES, FOLDERS, candidates

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dpkg.cli.complete import Found

_OPEN = ("/", "@", "=")  # a word that ends so goes on
_SPECIAL = frozenset(" \t\"'\\$`!*?[](){}<>|&;#~^,=:@")
_BLANK = " \t\n"


def answer(args: list[str]) -> Iterator[str]:
    """The lines for a shell: `zsh WORD …`, `fish WORD …`, or `bash LINE BREAKS`, with the line up to the cursor."""
    shell, *rest = args
    if shell == "bash":
        line, breaks = rest
        yield from _bash(split(line, breaks))
    else:
        yield from ("\t".join(found) for found in _printable(candidates(rest or [""])))


def _printable(found: Iterator[Found]) -> Iterator[Found]:
    """Without names that no shell should get to see."""
    return (f for f in found if f.value.isprintable())


class Split(NamedTuple):
    """A line that a user is still typing."""

    words: list[str]  # without quotes; the last is the one at the cursor
    anchor: int  # where in it the text begins that bash replaces
    quote: str  # that is open at the end


def split(line: str, breaks: str) -> Split:
    """The words of a line of bash, as far as its quotes go; `breaks` begin a word to bash, and not to us."""
    words, quote, anchor, outside, in_word = [""], "", 0, 0, False
    chars = iter(line)
    for c in chars:
        if c == "\\" and quote != "'":
            after = next(chars, "")
            words[-1] += after if not quote or after in '"\\$`' else c + after
        elif quote:
            if c == quote:
                quote, anchor = "", outside  # a quote that is closed begins nothing
            else:
                words[-1] += c
        elif c in "'\"":
            quote, anchor, outside = c, len(words[-1]), anchor
        elif c in _BLANK:
            if in_word:
                words.append("")
            anchor, in_word = 0, False
            continue
        else:
            if c in breaks:
                anchor = len(words[-1]) + (c != "@")  # bash keeps this one, for names of hosts
            words[-1] += c
        in_word = True
    return Split(words, anchor, quote)


def _bash(typed: Split) -> Iterator[str]:
    found = list(_printable(candidates(typed.words[1:] or [""])))
    values = [f.value for f in found if f not in (FILES, FOLDERS)]
    yield from (f.value for f in found if f in (FILES, FOLDERS))
    if len(values) == 1 and values[0].endswith(_OPEN):
        yield ":nospace"
    yield from (quoted(value[typed.anchor :], typed.quote) for value in values)


def quoted(text: str, quote: str) -> str:
    """Text as bash wants it where a quote is open, or none."""
    if quote == "'":
        return text.replace("'", "'\\''")
    special = frozenset('"\\$`') if quote else _SPECIAL - frozenset("~^,=:@")
    return "".join(f"\\{c}" if c in special else c for c in text)
