"""Captured frames."""

from ipl_tui.capture.frames import Frame


def test_a_frame_that_was_cut_says_so() -> None:
    assert Frame(1, 0, b"x" * 1000, 1000, 0).cut == ""
    assert Frame(1, 0, b"x" * 1000, 2345, 0).cut == "captured 1,000 of 2,345 bytes"
