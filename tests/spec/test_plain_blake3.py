"""The BLAKE3 in plain Python, with which the vectors are computed on other machines, is BLAKE3."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import blake3
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st


@pytest.fixture(scope="module")
def plain() -> ModuleType:
    """big_endian/blake3.py, under a name of its own: here the package has the name."""
    spec = importlib.util.spec_from_file_location("plain_blake3", Path(__file__).parent / "big_endian/blake3.py")
    assert spec
    assert spec.loader
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


# The lengths and the context of the published test vectors, around each edge of blocks, chunks and trees.
LENGTHS = [0, 1, 2, 63, 64, 65, 127, 128, 1023, 1024, 1025, 2048, 2049, 3072, 3073, 4096, 4097, 5120, 5121, 6144, 6145]
LENGTHS += [7168, 7169, 8192, 8193, 16384, 31744, 102400]
CONTEXT = "BLAKE3 2019-12-27 16:29:52 test vectors context"


@pytest.mark.parametrize("length", LENGTHS)
def test_published_inputs(plain: Any, length: int) -> None:
    data = bytes(i % 251 for i in range(length))
    assert plain.plain(data) == blake3.blake3(data).digest()
    assert plain.plain(data, CONTEXT) == blake3.blake3(data, derive_key_context=CONTEXT).digest()


def test_published_values(plain: Any) -> None:
    """Two of the published test vectors, so that the package is not the only witness."""
    hashed = plain.blake3(b"").hexdigest()
    assert hashed == "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
    derived = plain.blake3(b"\0", derive_key_context=CONTEXT).hexdigest()
    assert derived == "b3e2e340a117a499c6cf2398a19ee0d29cca2bb7404c73063382693bf66cb06c"


@given(st.lists(st.binary(max_size=3000), max_size=3), st.none() | st.text(max_size=9))
@example([], "")
@settings(max_examples=40, deadline=None)
def test_in_pieces(plain: Any, pieces: list[bytes], context: str | None) -> None:
    ours, theirs = plain.blake3(b"", context), blake3.blake3(b"", derive_key_context=context)
    for piece in pieces:
        ours.update(memoryview(piece))
        theirs.update(piece)
    assert ours.hexdigest() == theirs.hexdigest()
    assert ours.digest(4) == theirs.digest(4)


def test_large_data_goes_to_a_program(plain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What b3sum prints is taken as it is: here a program that says what it was given."""
    say = "import sys; data = sys.stdin.buffer.read(); sys.stdout.write(f'{len(data)} {sys.argv[1:]}')"
    monkeypatch.setattr(plain, "B3SUM", [sys.executable, "-c", say])
    data = bytes(plain.LARGE + 1)
    assert plain.blake3(data).digest(99) == b"16385 ['--raw']"
    assert plain.blake3(data, "c").digest(99) == b"16385 ['--raw', '--derive-key', 'c']"
    assert plain.blake3(data[1:]).digest() == blake3.blake3(data[1:]).digest()
