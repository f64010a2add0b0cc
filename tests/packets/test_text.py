"""Nothing from the wire reaches the terminal raw."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipl_tui.packets.text import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ClientMessage", "ClientMessage"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("a\nb\tc\0", r"a\nb\tc\x00"),
        ("\x9b5n", r"\x9b5n"),  # a control sequence introducer in one character
        ("abc\u202ecba", r"abc\u202ecba"),  # turns the direction of writing
        ("x\udcff\udcfey", r"x\xff\xfey"),  # bytes of a name
        ("\ud800", r"\ud800"),
        ("[bold]Grüße 東京", "[bold]Grüße 東京"),
        ("\\x1b", "\\x1b"),
    ],
)
def test_what_does_not_print_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text(st.characters()))
def test_the_result_always_prints(text: str) -> None:
    assert printable(text).isprintable()
