"""The most frequent values, and how often each occurs at least and at most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

MOST = 1024  # values that are kept: all where there are no more, else those that are at least 1/1024 of all
Value: TypeAlias = "int | float | str | bytes"


@dataclass(frozen=True, slots=True)
class Frequent:
    """Values and how often each occurs at least, the most frequent first; at most that and `error`.

    A value that is not there occurs at most `error` times. With an error of 0 all values are there.
    """

    counts: Mapping[Value, int]
    error: int = 0

    @classmethod
    def merge(cls, parts: Iterable[Frequent]) -> Frequent:
        """Of all values together; nothing is left out."""
        counts: Counter[Value] = Counter()
        error = 0
        for part in parts:
            error += part.error
            for value, count in part.counts.items():
                counts[value] += count
        return cls(_ordered(counts), error)

    def cut(self, total: int) -> Frequent:
        """All where they are at most 1,024, else those that are at least 1/1024 of `total`, the number of values."""
        if len(self.counts) <= MOST:
            return self
        kept = {v: c for v, c in islice(self.counts.items(), MOST) if c * MOST >= total}
        dropped = next(islice(self.counts.values(), len(kept), None))
        return Frequent(kept, self.error + dropped)


def _ordered(counts: Mapping[Value, int]) -> dict[Value, int]:
    """The most frequent first; of equals the smaller value."""
    return dict(sorted(sorted(counts.items()), key=lambda item: -item[1]))
