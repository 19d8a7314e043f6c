"""The one error tree. Each family has an exit code; each error one sentence, and a hint: what to do next.

DpkgError (1)
├── Usage (2)          the call itself is wrong: an argument, an option, a build.yml
├── NotFound (3)       no such package, revision, object, file
├── AlreadyExists (4)  a tag, a remote, a folder that is in the way
├── Conflict (5)       someone else moved a ref; local and remote have diverged
├── Corrupt (6)        stored bytes are not what their name says
├── Format (7)         bytes that are not of a format we read, or data that breaks its declared shape
├── Storage (8)        the place itself fails: permission, disk full, network
├── CheckFailed (9)    a check on the data says no
└── Denied (10)        not allowed
'dpk diff --fail-on' ends with 11, Ctrl-C with 130, a closed pipe with 141.
"""

from __future__ import annotations

from collections.abc import Iterable


class DpkgError(Exception):
    """An error for the user: `message` is one sentence on what is wrong and where, `hint` what to do next."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.message, self.hint)


class Usage(DpkgError):
    exit_code = 2


class NotFound(DpkgError):
    exit_code = 3


class AlreadyExists(DpkgError):
    exit_code = 4


class Conflict(DpkgError):
    exit_code = 5


class Corrupt(DpkgError):
    exit_code = 6


class Format(DpkgError):
    exit_code = 7


class Storage(DpkgError):
    exit_code = 8


class CheckFailed(DpkgError):
    exit_code = 9


class Denied(DpkgError):
    exit_code = 10


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """The hint on a word that is none of the known ones: the nearest; `otherwise` where none is near."""
    near = nearest(word, known)
    return f"did you mean '{near}'?" if near else otherwise


def nearest(word: str, known: Iterable[str], alike: float = 0.6) -> str:
    """The known word that is nearest to another one, and at least so much alike; "" if there is none."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(word, known, 1, alike)), "")
