"""Nothing from the wire reaches the terminal raw."""

from unicodedata import combining

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from ipl_tui.packets.text import in_columns, printable


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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ClientMessage", "ClientMessage"),
        ("Grüße ¬Ω ж", "Grüße ¬Ω ж"),
        ("e\u0301", r"e\u0301"),
        ("東", r"\u6771"),
        ("של", r"\u05e9\u05dc"),
        ("٣", r"\u0663"),  # a digit, which takes part in the direction
        ("\u1160", r"\u1160"),  # a vowel that joins what stands before it
        ("a\x1b\udcff", r"a\x1b\xff"),
    ],
)
def test_what_would_shift_a_row_is_escaped(text: str, shown: str) -> None:
    assert in_columns(text) == shown


@given(st.text(st.characters()))
def test_each_character_of_a_row_has_its_column(text: str) -> None:
    shown = in_columns(text)
    assert shown.isprintable() and cell_len(shown) == len(shown) and not any(map(combining, shown))
