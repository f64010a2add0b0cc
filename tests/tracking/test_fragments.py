"""Pieces of datagrams: which part each carries, and when they are all of it."""

from __future__ import annotations

import pytest

from ipl_tui.tracking.fragments import Piece, is_complete


def piece(start: int, end: int, more: bool) -> Piece:
    return Piece(start, end, more, hash((start, end)))


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([(0, 16, True), (16, 20, False)], True),
        ([(16, 20, False), (0, 16, True)], True),
        ([(0, 16, True), (0, 16, True), (16, 20, False)], True),
        ([(0, 16, True), (8, 20, False)], True),
        ([(0, 16, True)], False),
        ([(16, 20, False)], False),
        ([(0, 8, True), (16, 20, False)], False),
        ([(0, 24, True), (8, 16, False)], False),
        ([], False),
    ],
    ids=["in order", "the last first", "one twice", "overlapping", "no last", "no first", "a gap", "beyond its end",
         "none"],
)  # fmt: skip
def test_they_are_complete(pieces: list[tuple[int, int, bool]], expected: bool) -> None:
    assert is_complete(piece(*each) for each in pieces) is expected


def test_only_what_is_not_the_whole_is_a_fragment() -> None:
    assert not piece(0, 20, False).is_fragment
    assert piece(0, 16, True).is_fragment and piece(16, 20, False).is_fragment
    assert not piece(-1, -1, False).is_fragment, "its header tells nothing"
